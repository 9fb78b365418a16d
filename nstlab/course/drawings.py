"""Drawings of single lessons, so that their notebooks show the idea and not the plotting."""

import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb

from nstlab import images, plots
from nstlab.guidance.edges import canny
from nstlab.guidance.faces import faces
from nstlab.guidance.segments import REGIONS

KEPT, LOST, NEW = (0.0, 0.0, 0.0), (0.85, 0.35, 0.0), (0.3, 0.7, 0.95)  # inks of `outlines`: black, orange, blue
THINGS = ("#d62728", "#ff7f0e", "#9467bd", "#ffe119", "#8c564b", "#e377c2")  # person, animal, vehicle, food, furniture, other
STUFF = ("#87ceeb", "#1f4fb0", "#2ca02c", "#d2b48c", "#708090", "#e6beff")  # sky, water, plants, ground, building, room
HUES = dict(zip(REGIONS, map(to_rgb, (*THINGS, *STUFF, "#202020"))))  # and background
REACH = 1.7  # of the plane in `critic_fields`, to each side


def profiles(rows: dict, values: dict, ylabel: str) -> plots.Picture:
    """Small grey pictures (h, w) by name, and under each one the bars of its values (n,), at its inner pixels."""
    fig = plots.new_figure(2.2 * len(rows), 2.5)
    grid = fig.subplots(2, len(rows), height_ratios=(1, 1.3), sharex=True)
    for column, (name, picture) in enumerate(rows.items()):
        above, below = grid[:, column]
        above.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="auto")
        above.set(title=name, yticks=[])
        above.title.set_size(9)
        above.tick_params(bottom=False)
        below.bar(range(1, len(values[name]) + 1), values[name], color=plots.COLORS[1])
        below.axhline(0, color="0.5", lw=0.8)
        below.set(ylim=(-1.3, 1.3), ylabel="" if column else ylabel)
        plots.tidy(below)
    fig.tight_layout()
    return plots.render(fig, f"{', '.join(rows)}, and the {ylabel} of each")


def near(edges: torch.Tensor, tolerance: float = 0.0075) -> torch.Tensor:
    """Where an edge of (1, 1, H, W) lies within `tolerance` times the diagonal, as `metrics.edge_f1` matches them."""
    radius = max(1, round(tolerance * (edges.shape[-1] ** 2 + edges.shape[-2] ** 2) ** 0.5))
    return F.max_pool2d(edges.float(), 2 * radius + 1, 1, radius) > 0


def outlines(picture: torch.Tensor, wanted_from: torch.Tensor) -> torch.Tensor:
    """A drawing (1, 3, H, W) of the edges of two pictures: black in both, orange wanted and lost, blue new."""
    found, wanted = canny(picture) > 0.5, canny(wanted_from) > 0.5
    drawing = torch.ones_like(picture)
    for ink, where in ((KEPT, wanted & near(found)), (LOST, wanted & ~near(found)), (NEW, found & ~near(wanted))):
        drawing = torch.where(where, torch.tensor(ink).view(1, 3, 1, 1), drawing)
    return drawing


def magnified(image: torch.Tensor) -> torch.Tensor:
    """An image with its differences from its own mean colour made visible; what is flat stays flat, and grey."""
    change = image - image.mean((2, 3), keepdim=True)
    return (0.5 + 0.15 * change / change.std().clamp_min(1e-5)).clamp(0, 1)


@torch.no_grad()
def verdicts(image: torch.Tensor, logits: list[torch.Tensor]) -> list[torch.Tensor]:
    """An image (1, 3, H, W) in grey under each critic's logits (1, 1, h, w): orange says real or painted, purple not."""
    orange, purple = (torch.tensor(color).view(1, 3, 1, 1) for color in ((0.95, 0.6, 0.15), (0.4, 0.25, 0.65)))
    grey, size = 0.4 * image.mean(1, keepdim=True), tuple(image.shape[-2:])
    maps = [F.interpolate((3 * each).sigmoid(), size, mode="bilinear") for each in logits]
    return [(0.7 * (purple + each * (orange - purple)) + grey).clamp(0, 1) for each in maps]


def paired(panels: dict[str, dict[str, list[float]]], xlabels, width: float = 2.1) -> plots.Picture:
    """Paired differences: a panel for each {title: {row: values}}, a dot for each value, and the mean of a row as a bar.

    All panels have the same rows in the same order. `xlabels` has one label for each panel.
    """
    names = list(next(iter(panels.values())))
    fig = plots.new_figure(1.2 + width * len(panels), 0.75 + 0.3 * len(names))
    for number, (ax, (title, rows)) in enumerate(
        zip(fig.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True)
    ):
        for row, name in enumerate(names):
            color, values = plots.COLORS[row % len(plots.COLORS)], rows[name]
            ax.plot(values, [row] * len(values), "o", color=color, ms=4, alpha=0.6)
            if values:
                ax.plot([sum(values) / len(values)] * 2, [row - 0.3, row + 0.3], color=color, lw=2.5)
        ax.axvline(0, color="0.6", lw=0.8)
        ax.set(title=title, xlabel=xlabels[number], ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(range(len(names)), names if number == 0 else [""] * len(names))
        plots.tidy(ax)
    fig.tight_layout(pad=0.5)
    return plots.render(fig, "paired differences: " + ", ".join(panels))


def descents(height, paths: dict, size=(5.6, 2.6), title="") -> plots.Picture:
    """Walks [(x, y), ...] by name, over the level lines of height(x, y)."""
    fig = plots.new_figure(*size)
    ax = fig.subplots()
    points = torch.tensor([point for path in paths.values() for point in path])
    low, high = points.amin(0) - 0.3, points.amax(0) + 0.3
    x, y = torch.meshgrid(*(torch.linspace(a, b, 120) for a, b in zip(low.tolist(), high.tolist())), indexing="xy")
    levels = torch.linspace(0.1, 1, 9).square() * height(x, y).max()
    ax.contour(x, y, height(x, y), levels=levels.tolist(), colors="0.8", linewidths=0.8)
    for number, (name, path) in enumerate(paths.items()):
        ax.plot(*zip(*path), "o-", ms=3, lw=1.4, color=plots.COLORS[number], label=name)
    ax.set(xticks=[], yticks=[], title=title)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    plots.tidy(ax)
    return plots.render(fig, "paths of " + ", ".join(paths))


def plane(side: int = 41) -> torch.Tensor:
    """Points (side * side, 2) all over the plane that `critic_fields` draws."""
    across = torch.linspace(-REACH, REACH, side)
    return torch.cartesian_prod(across, across)


def critic_fields(moments, real: torch.Tensor, titles, height=1.9) -> plots.Picture:
    """A critic's judgement over the plane, and the points of a game: one panel for each of `moments`, (made, judged, slope).

    `made` (n, 2) and `real` (m, 2) are points; `judged` (s * s, 1) and `slope` (s * s, 2) belong to `plane(s)`: the ground is
    orange where the critic says real, and the arrows point to where it says more real.
    """
    fig = plots.new_figure(len(moments) * height, height + 0.25)
    for title, ax, (made, judged, slope) in zip(titles, fig.subplots(1, len(moments), squeeze=False)[0], moments, strict=True):
        side = round(len(judged) ** 0.5)
        level = judged.view(side, side).T
        level = level - level.median()
        level = (level / level.abs().quantile(0.9).clamp_min(1e-6)).clamp(-1, 1)
        ax.imshow(level, extent=(-REACH, REACH) * 2, origin="lower", cmap="PuOr_r", vmin=-1.6, vmax=1.6)
        some = slice(2, None, 6)
        across = torch.linspace(-REACH, REACH, side)[some]
        arrows = F.normalize(slope.view(side, side, 2).transpose(0, 1)[some, some], dim=-1)
        ax.quiver(across, across, arrows[..., 0], arrows[..., 1], color="0.35", scale=18, width=0.008)
        ax.scatter(*real.T, s=5, color="black", lw=0)
        ax.scatter(*made[:400].T, s=5, color=plots.COLORS[2], lw=0, alpha=0.7)
        ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[], yticks=[])
        ax.set_title(title, fontsize=9, pad=3)
    fig.tight_layout(pad=0.4)
    return plots.render(fig, "the critic's field with real and made points: " + ", ".join(titles))


def close_up(image: torch.Tensor, x: float, y: float, width: float = 0.2) -> torch.Tensor:
    """The square part of an image around (x, y), shares of its width and height; `width` is a share of the long side."""
    rows, columns = image.shape[-2:]
    half = max(4, int(width * max(rows, columns) / 2))
    top, left = max(0, int(y * rows) - half), max(0, int(x * columns) - half)
    return image[..., top : top + 2 * half, left : left + 2 * half]


def marked(image: torch.Tensor, spots: dict, half: int = 4) -> torch.Tensor:
    """The image with a square frame around each (row, column) of `spots`, in the colours of the plots, in order."""
    drawn = image.clone()
    for number, (row, column) in enumerate(spots.values()):
        ink = torch.tensor(to_rgb(plots.COLORS[(number + 1) % len(plots.COLORS)])).view(3, 1, 1)
        rows = slice(max(0, row - half - 2), row + half + 2)
        columns = slice(max(0, column - half - 2), column + half + 2)
        inner = image[0, :, max(0, row - half) : row + half, max(0, column - half) : column + half].clone()
        drawn[0, :, rows, columns] = ink
        drawn[0, :, max(0, row - half) : row + half, max(0, column - half) : column + half] = inner
    return drawn


def regions(image: torch.Tensor, found) -> torch.Tensor:
    """The photo under its regions, a colour for each number."""
    base = [torch.tensor(to_rgb(color)) for color in plots.COLORS[:6]]
    palette = torch.stack(base + [0.5 + 0.5 * color for color in base])
    return 0.35 * image + 0.65 * palette[found.labels[0] % len(palette)].permute(2, 0, 1)[None]


def named_regions(pictures: dict, columns: int = 4) -> plots.Picture:
    """{title: (image, its regions)}: each under its regions, with a legend of their names and how sure the head is of them."""
    rows = -(-len(pictures) // columns)
    fig = plots.new_figure(2.1 * columns, 3.2 * rows)
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax, (title, (image, found)) in zip(axes, pictures.items()):
        colors = torch.tensor([HUES[name] for name in found.names])[found.labels[0]]
        ax.imshow(0.4 * image[0].permute(1, 2, 0) + 0.6 * colors)
        for name, score in zip(found.names, found.scores):
            ax.plot([], [], "s", color=HUES[name], label=f"{name} {score:.2f}")
        ax.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0))
        ax.set_title(title, fontsize=9)
    for ax in axes:
        ax.set_axis_off()
    fig.tight_layout()
    return plots.render(fig, "regions with names: " + ", ".join(pictures))


def tables(named: dict, rows, columns, note: str) -> plots.Picture:
    """Tables {title: numbers} side by side, each cell as dark as its number is large within its row."""
    fig = plots.new_figure(max(2.3, 1.1 * len(columns)) * len(named) + 0.8, 0.5 * len(rows) + 1.15)
    for number, (ax, (title, table)) in enumerate(zip(fig.subplots(1, len(named), squeeze=False)[0], named.items())):
        ax.imshow([[v / max(row) for v in row] for row in table], cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
        ax.set(xticks=range(len(columns)), yticks=[] if number else range(len(rows)), title=title)
        ax.set_xticklabels(columns)
        ax.set_yticklabels([] if number else rows)
        for r, row in enumerate(table):
            for c, value in enumerate(row):
                ax.text(c, r, f"{value:.2f}", ha="center", va="center", fontsize=10)
        plots.tidy(ax)
    fig.suptitle(note, fontsize=9, style="italic", y=0.02)
    fig.tight_layout()
    return plots.render(fig, note)


def looked_at(image: torch.Tensor, look: torch.Tensor, place: int, grid) -> torch.Tensor:
    """The image, faded where `place` of `look` (P, P) does not look, on a grid (h, w) of P places; the place is red."""
    light = (look[place] * look.shape[1] / 4).clamp(0, 1).view(1, 1, *grid)  # full where it gets 4 times its fair share
    picture = 1 - (1 - image) * (0.2 + 0.8 * images.resize(light, tuple(image.shape[-2:])))
    tall, wide = (side // count for side, count in zip(image.shape[-2:], grid))
    row, column = divmod(place, grid[1])
    square = (..., slice(row * tall, (row + 1) * tall), slice(column * wide, (column + 1) * wide))
    picture[square] = torch.tensor([1.0, 0.1, 0.1]).view(1, 3, 1, 1)
    return picture


def portrait(photo: torch.Tensor) -> torch.Tensor:
    """The square part of a photo around its largest face; all of it if there is none."""
    for box in faces(photo)[:1]:
        side = int(min(3.2 * box.height, *photo.shape[-2:]))
        top = int(min(max(0, box.top + box.height / 2 - 0.42 * side), photo.shape[-2] - side))
        left = int(min(max(0, box.left + box.width / 2 - 0.5 * side), photo.shape[-1] - side))
        return photo[..., top : top + side, left : left + side].contiguous()
    return photo
