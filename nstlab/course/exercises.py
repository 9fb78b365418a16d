"""Exercises made for one student: the same task for all, numbers and pictures of one's own, drawn from a seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """A task in Markdown, the code that is given, a reference solution that sets `answer`, and a hint.

    All code is plain Python; `given` is run before the solution. The answer is a number, or a list of numbers of any depth.
    """

    title: str
    lesson: str  # the notebook that teaches it
    task: str
    given: str
    solution: str
    hint: str


def convolution(draw: random.Random) -> Exercise:
    """One value of a 3 x 3 convolution."""
    image = [[draw.randint(0, 9) for _ in range(5)] for _ in range(5)]
    kernel = [[draw.choice((-2, -1, 0, 1, 2)) for _ in range(3)] for _ in range(3)]
    row, column = draw.randint(1, 3), draw.randint(1, 3)
    return Exercise(
        "A filter by hand", "01_features",
        f"Slide `kernel` over `image` without flipping it. What is the value where its centre lies on row {row}, column "
        f"{column} (counted from 0)?",
        f"image = {image}\nkernel = {kernel}\nrow, column = {row}, {column}",
        "answer = sum(kernel[i][j] * image[row + i - 1][column + j - 1] for i in range(3) for j in range(3))",
        "Nine products: the kernel's upper left number meets the pixel above and left of the centre.",
    )  # fmt: skip


def receptive_field(draw: random.Random) -> Exercise:
    """The side of a receptive field."""
    layers = [draw.choice(((3, 1), (3, 1), (5, 1), (2, 2), (3, 2))) for _ in range(draw.randint(5, 7))]
    return Exercise(
        "A receptive field", "01_features",
        "`layers` lists (side of the kernel, stride) from the picture on. How many pixels of the picture, along one side, can "
        "change one value of the last layer?",
        f"layers = {layers}",
        "answer, step = 1, 1\nfor kernel, stride in layers:\n    answer += (kernel - 1) * step\n    step *= stride",
        "A kernel of side k reaches k - 1 steps further, and every stride so far has made the step longer.",
    )  # fmt: skip


def gram(draw: random.Random) -> Exercise:
    """The three different numbers of a 2 x 2 Gram matrix."""
    features = [[draw.randint(0, 6) for _ in range(4)] for _ in range(2)]
    return Exercise(
        "A Gram matrix", "03_style_loss",
        r"Two features at four places. Give $[G_{11}, G_{12}, G_{22}]$ with $G_{ij} = \frac{1}{CN} \sum_p F_{ip} F_{jp}$.",
        f"F = {features}",
        "answer = [sum(a * b for a, b in zip(F[i], F[j])) / (2 * 4) for i, j in ((0, 0), (0, 1), (1, 1))]",
        "Divide by the number of channels times the number of places.",
    )  # fmt: skip


def adain(draw: random.Random) -> Exercise:
    """AdaIN of one channel."""
    content, style = ([draw.randint(0, 9) for _ in range(3)] for _ in range(2))
    content, style = [*content, max(content) + draw.randint(1, 4)], [*style, max(style) + draw.randint(1, 4)]
    return Exercise(
        "AdaIN", "14_any_painting_at_once",
        "One channel of a photo and of a painting. Give the photo's channel the mean and the standard deviation of the "
        "painting's (both over all four places, divided by 4), as a list of four numbers.",
        f"content = {content}\nstyle = {style}",
        "mean = lambda x: sum(x) / len(x)\n"
        "deviation = lambda x: mean([(v - mean(x)) ** 2 for v in x]) ** 0.5\n"
        "answer = [(v - mean(content)) / deviation(content) * deviation(style) + mean(style) for v in content]",
        "Take the photo's mean away, divide by its deviation; then multiply and add the painting's.",
    )  # fmt: skip


def mean_one(draw: random.Random) -> Exercise:
    """Weights of mean 1 from a map."""
    values, k = [[draw.choice((0, 0.25, 0.5, 1.0)) for _ in range(2)] for _ in range(2)], draw.choice((3, 4, 8, 10, 20))
    values[0][0] = 0.75
    return Exercise(
        "Weights of mean 1", "05_saliency",
        rf"From this map $S$ make content weights proportional to $1 + kS$, with $k = {k}$ and mean 1. Give the 2 x 2 weights.",
        f"S = {values}\nk = {k}",
        "mean = sum(1 + k * s for row in S for s in row) / 4\nanswer = [[(1 + k * s) / mean for s in row] for row in S]",
        "The four weights must add up to 4.",
    )  # fmt: skip


def edge_f1(draw: random.Random) -> Exercise:
    """Precision, recall and F1 of a drawing, within one pixel."""
    wanted = sorted(draw.sample([(i, j) for i in range(6) for j in range(6)], 7))
    found = [(min(5, i + draw.choice((0, 0, 1))), min(5, j + draw.choice((0, 1, 2)))) for i, j in draw.sample(wanted, 4)]
    found = sorted({*found, (draw.randint(0, 5), draw.randint(0, 5))})
    return Exercise(
        "Edge F1", "07_edges",
        "Edge pixels as (row, column) of a wanted and a found drawing. A pixel counts as matched if the other drawing has one "
        "in the same place or in one of its 8 neighbours. Give [precision, recall, F1].",
        f"wanted = {wanted}\nfound = {found}",
        "near = lambda p, others: any(abs(p[0] - q[0]) <= 1 and abs(p[1] - q[1]) <= 1 for q in others)\n"
        "precision = sum(near(p, wanted) for p in found) / len(found)\n"
        "recall = sum(near(p, found) for p in wanted) / len(wanted)\n"
        "answer = [precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0]",
        "Precision asks the found pixels, recall the wanted ones.",
    )  # fmt: skip


def shift(draw: random.Random) -> Exercise:
    """How far a picture was moved."""
    seed, down, right = draw.randrange(10**6), draw.randint(-9, 9), draw.choice((-7, -5, -4, 4, 5, 7))
    stretch = draw.choice((0.6, 0.7, 0.8))
    return Exercise(
        "Your picture, moved", "02_content_loss",
        "`after` is your picture `before`, moved, faded, and with new noise; what leaves on one side comes back on the other. "
        "By how many pixels was it moved, [down, right]? Look first, then let the computer try all shifts of up to 10 pixels.",
        "import torch\n\nfrom nstlab.data.scenes import scene\nfrom nstlab.plots import show\n\n"
        f"before = scene({seed}, 64).image\n"
        f"noise = 0.03 * torch.randn(before.shape, generator=torch.Generator().manual_seed({seed}))\n"
        f"after = personal.moved(before, {_veiled(down, right)!r}) * {stretch} + noise\n"
        'show([before, after], ["before", "after"], caption="Your picture, and where it went.")',
        "flat = lambda x: (x - x.mean((2, 3), keepdim=True)).flatten()\n"
        "reach = [(down, right) for down in range(-10, 11) for right in range(-10, 11)]\n"
        "answer = list(max(reach, key=lambda s: float(flat(before.roll(s, (2, 3))) @ flat(after))))",
        "Fading changes brightness and contrast, so compare by correlation, not by distance.",
    )  # fmt: skip


def guided_gram(draw: random.Random) -> Exercise:
    """A guided Gram matrix of colours."""
    seed = draw.randrange(10**6)
    return Exercise(
        "The colours of one thing", "06_segmentation",
        "Your picture has labels: 0 the sky, 1 the ground, 2 and more the things on it. Give the guided Gram matrix of its "
        r"*sky*, with the colours as features: the 3 x 3 numbers $G_{ij} = \frac{1}{3 \sum_p M_p} \sum_p M_p F_{ip} F_{jp}$.",
        f"from nstlab.data.scenes import scene\nfrom nstlab.plots import show\n\nmine = scene({seed}, 64)\n"
        "picture, labels = mine.image, mine.labels\n"
        'show([picture, (labels == 0)[None].float()], ["your picture", "its sky"], caption="Only the white places count.")',
        "mask = (labels == 0).float().flatten()\ncolors = picture.flatten(2)[0]\n"
        "answer = ((colors * mask) @ colors.T / (3 * mask.sum())).tolist()",
        "Divide by the number of masked places times three, not by the size of the picture.",
    )  # fmt: skip


EXERCISES: tuple[Callable[[random.Random], Exercise], ...] = (
    convolution, receptive_field, gram, adain, mean_one, edge_f1, shift, guided_gram,
)  # fmt: skip


def _veiled(down: int, right: int) -> str:
    """A shift as a text that does not tell it at a glance."""
    return f"{(down + 32) * 64 + right + 32:#x}"
