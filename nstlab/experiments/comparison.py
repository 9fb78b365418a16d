"""Comparison at matched style: what a term keeps is worth something only if as much was painted.

Every variant is painted at the style weight at which its distance to the painting, read on layers that no loss reads, is
the baseline's. Only then are the numbers of what was kept laid side by side.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import torch

from nstlab import images, metrics
from nstlab.encoders import Encoder, load_encoder
from nstlab.errors import SettingError, choose
from nstlab.guidance.faces import Box, faces, head_map
from nstlab.guidance.guide import Guide
from nstlab.guidance.importance import importance
from nstlab.guidance.saliency import saliency
from nstlab.systems import preserve, stylize

UNREAD = ("relu3_3", "relu4_4")  # layers that neither a loss nor the style distance reads
DEEP = ("relu4_4", "relu5_1")  # no loss asks for the photo's features there
UP = ("edge_f1", "share", "stroke_share", "recognised", "faces_found")  # measures of which more is better
MEASURED, ABLATION = (Path(__file__).with_name(name) for name in ("preservation.json", "ablation.json"))
TERMS = ("inside", "structure", "semantic")  # what "preserve" adds to "gatys"


def without(*terms: str) -> dict:
    """Options of "preserve" with these of its TERMS switched off."""
    for term in terms:
        choose("term", term, TERMS)
    return {"weights": dict.fromkeys(terms, 0.0)}


def only(*terms: str) -> dict:
    """Options of "preserve" with none of its TERMS but these; none at all is "gatys"."""
    return without(*(term for term in TERMS if term not in terms))


VARIANTS = {
    "full": without(),
    **{f"only {term}": only(term) for term in TERMS},
    **{f"without {term}": without(term) for term in TERMS},
}


@dataclass(frozen=True)
class Match:
    """A picture at the style weight `factor` (times the default) whose style `distance` is near the wanted one.

    `reached` says whether within the tolerance; `trials` lists the (factor, distance) tried.
    """

    image: torch.Tensor
    factor: float
    distance: float
    reached: bool
    trials: tuple[tuple[float, float], ...]


def match_style(
    paint: Callable[[float], torch.Tensor],
    distance: Callable[[torch.Tensor], float],
    target: float,
    *,
    tolerance: float = 0.02,
    first: float = 1.0,
    most: int = 8,
    largest: float = 64.0,
) -> Match:
    """Find the factor at which `distance(paint(factor))` is `target`, within `tolerance` of it, in at most `most` trials.

    More weight, less distance, nearly a straight line between their logarithms: each trial is where that line through the two
    trials around the target meets it. `first` is tried first; factors beyond `largest`, or under its inverse, are not.
    """
    if not target > 0:
        raise SettingError(f"style distance {target}: nothing but the painting itself has none, so there is nothing to match")
    trials: list[tuple[float, float]] = []
    best, factor = None, first
    for _ in range(most):
        image = paint(factor)
        found = distance(image)
        trials.append((factor, found))
        if best is None or abs(found - target) < abs(best.distance - target):
            best = Match(image, factor, found, abs(found / target - 1) <= tolerance, ())
        if best.reached:
            break
        following = _next_factor(trials, target, largest)
        if any(abs(following / tried - 1) < 1e-3 for tried, _ in trials):
            break  # at the end of the range
        factor = following
    return Match(best.image, best.factor, best.distance, best.reached, tuple(trials))


def _next_factor(trials, target, largest) -> float:
    """Where the line through the trials nearest to the target, in logarithms, meets it."""
    points = sorted((math.log(factor), math.log(max(found / target, 1e-9))) for factor, found in trials)
    above = [point for point in points if point[1] > 0]
    below = [point for point in points if point[1] <= 0]
    if above and below:
        (x0, y0), (x1, y1) = max(above), min(below)
        x = x0 + (x1 - x0) * min(0.9, max(0.1, y0 / (y0 - y1))) if x0 < x1 else (x0 + x1) / 2
    else:
        (x0, y0), *others = sorted(points, key=lambda point: abs(point[1]))
        slope = -0.5  # a first guess
        if others and abs(others[0][0] - x0) > 1e-6:
            slope = min(-0.1, max(-2.0, (others[0][1] - y0) / (others[0][0] - x0)))
        x = x0 + min(1.6, max(-1.6, -1.1 * y0 / slope))
    return math.exp(min(math.log(largest), max(-math.log(largest), x)))


@dataclass
class Pair:
    """A photo and a painting that variants are compared on, with the guide that says where.

    `photo`, `painting` are images, `guide` says what counts as inside (`inside`: its map at the photo's size) and `kept` how
    much each place of it counts; `heads` are the photo's faces at its size, and `face` a map of them or None. `strength` is
    the style weight of the baseline (times its default), which factors multiply. Pictures are judged as they would be saved.
    """

    content: str | Path | torch.Tensor
    style: str | Path | torch.Tensor
    size: int = 256
    steps: int = 60
    seed: int = 0
    strength: float = 0.25
    encoder: Encoder | None = None
    guide: Guide | None = None

    def __post_init__(self):
        self.encoder = self.encoder or load_encoder()
        self.photo = images.load(self.content, self.size)
        self.painting = images.resize(images.load(self.style), max(self.photo.shape[-2:]))
        seen, size = preserve.look(self.content), tuple(self.photo.shape[-2:])
        self.kept = self.guide or importance(seen)
        self.guide = self.guide or saliency(seen)
        self.inside = images.resize(self.guide.map, size)
        scale = size[1] / seen.shape[-1]
        self.heads = [Box(*(scale * side for side in astuple(box))) for box in faces(seen)]
        self.face = torch.stack([head_map(box, size) for box in self.heads]).amax(0) if self.heads else None
        self.baseline = self.paint("gatys", {}, 1.0)
        self.target = self.style_distance(self.baseline)

    def paint(self, system: str, options: dict, factor: float) -> torch.Tensor:
        """The picture of a system with these options, at `factor` times the baseline's style weight, as it would be saved."""
        options = dict(options)
        weights = dict(options.get("weights", {}))
        if system == "preserve":  # what asks for the painting inside is as weak as the baseline
            weights["inside"] = self.strength * weights.get("inside", 1.0)
        options["weights"] = {**weights, "style": self.strength * factor}
        if system == "preserve" and "guide" not in options:
            options |= {"guide": self.kept}
        shared = {"size": self.size, "steps": self.steps, "seed": self.seed, "encoder": self.encoder}
        return images.eight_bit(stylize(self.content, self.style, system=system, **shared, **options).image)

    def style_distance(self, image: torch.Tensor) -> float:
        """Gram distance of an image to the painting, on layers that no loss reads."""
        return metrics.style_distance(self.encoder, image, self.painting)

    def matched(self, options: dict, tolerance: float = 0.02, first: float = 1.0) -> Match:
        """The variant of "preserve" with these options, at the baseline's style distance; `first` is the factor tried first."""
        paint = lambda factor: self.paint("preserve", options, factor)
        return match_style(paint, self.style_distance, self.target, tolerance=tolerance, first=first)

    def measure(self, image: torch.Tensor) -> dict[str, float]:
        """What was kept inside the guide and over all, and what was painted: the numbers of the comparison."""
        inside = self.inside
        layers = ("relu3_1", "relu4_2", *UNREAD, "relu5_1")
        features = metrics.feature_distance(self.encoder, image, self.photo, layers, guide=inside)
        stroke_share, bare = metrics.painted_inside(self.stroke_share(image), inside)
        return {
            "style_distance": self.style_distance(image),
            "stroke_share": stroke_share,
            "bare": bare,
            "relu3_1": features["relu3_1"],
            "relu4_2": features["relu4_2"],
            "features": (features["relu3_1"] + features["relu4_2"]) / 2,
            "unread": sum(features[layer] for layer in UNREAD) / len(UNREAD),
            "deep": sum(features[layer] for layer in DEEP) / len(DEEP),
            "1-structure": 1 - metrics.structure(image, self.photo, inside),
            "1-ssim": 1 - metrics.ssim(image, self.photo, inside),
            "gmsd": metrics.gmsd(image, self.photo, inside),
            "edge_f1": metrics.edge_f1(image, self.photo),
            "share": self.share(image),
            **self._recognition(image),
        }

    def stroke_share(self, image: torch.Tensor) -> torch.Tensor:
        """Map (1, 1, H, W) of the share of the baseline's strokes that stands in an image."""
        return metrics.stroke_share(image, self.photo, self.baseline)

    def _recognition(self, image: torch.Tensor) -> dict[str, float]:
        """Whether the content is recognised inside the guide, and its faces: their distortion, and how many are found.

        `faces` counts those that are found in the photo itself at this size.
        """
        seen = metrics.recognised(image, self.photo, self.inside)
        wanted = [box for box, there in zip(self.heads, metrics.faces_found(self.photo, self.heads), strict=True) if there]
        found = {"recognised": seen.kept, "recognised_still": float(seen.still)}
        if self.heads:
            distances = metrics.feature_distance(self.encoder, image, self.photo, DEEP, guide=self.face)
            found["face"] = sum(distances.values()) / len(DEEP)
        return found | {"faces": len(wanted), "faces_found": sum(metrics.faces_found(image, wanted))}

    def share(self, image: torch.Tensor) -> float:
        """(g(photo) - g(image)) / (g(photo) - g(baseline)) with g the Gram distance to the painting inside the guide.

        1: painted inside as much as the baseline; 0: as little as the photo itself.
        """
        photo, ours, baseline = (self._distance_inside(x) for x in (self.photo, image, self.baseline))
        return (photo - ours) / (photo - baseline)

    def _distance_inside(self, image: torch.Tensor) -> float:
        return metrics.style_distance(self.encoder, image, self.painting, guide=self.inside)


def compare(pair: Pair, variants: dict[str, dict]) -> Iterator[dict]:
    """One row after the other: the baseline's, then each variant's at matched style, with its factor and whether it matched."""
    yield {"variant": "gatys", "factor": 1.0, "matched": True, **pair.measure(pair.baseline), "image": pair.baseline}
    for name, options in variants.items():
        match = pair.matched(options)
        row = {"variant": name, "factor": match.factor, "matched": match.reached}
        yield {**row, **pair.measure(match.image), "image": match.image}


def sign_test(better: int, worse: int) -> float:
    """Two-sided p of so uneven a split, were better and worse equally likely; ties are left out by the caller."""
    count, few = better + worse, min(better, worse)
    if count == 0:
        return 1.0
    return min(1.0, 2 * sum(math.comb(count, i) for i in range(few + 1)) / 2**count)


def changes(rows: list[dict], variant: str, measure: str, against: str = "gatys") -> list[float]:
    """Change of a measure from one variant to another on every pair, relative to it; for UP measures the difference.

    Pairs that do not have the measure, such as "face" where there is none, are left out.
    """
    value = {(row["content"], row["style"], row["variant"]): row[measure] for row in rows if measure in row}
    pairs = dict.fromkeys((row["content"], row["style"]) for row in rows if measure in row)
    both = [(value[(*pair, against)], value[(*pair, variant)]) for pair in pairs]
    return [after - before if measure in UP else after / before - 1 for before, after in both]


def measured() -> tuple[list[dict], dict]:
    """(rows, settings) of `benchmarks/preservation.py` on the sample pairs, as they come with the package."""
    return _report(MEASURED)


def ablation() -> tuple[list[dict], dict]:
    """(rows, settings) of the ablation by which the terms of "preserve" were chosen, from five, at the weights of that time."""
    return _report(ABLATION)


def _report(path: Path) -> tuple[list[dict], dict]:
    report = json.loads(path.read_text(encoding="utf-8"))
    return report["rows"], report["settings"]
