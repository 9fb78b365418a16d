"""How the benchmarks judge a painted picture: by the painting, by the photo, and by what Gatys' method makes of the two.

The judge is VGG-19 in fp32, whatever painted. Of the painting it asks for Gram matrices, on layers that trainings read and on
others, at the size of the painting that suits the picture best; of the photo for deep features, forms above the stroke, and
faces; of plain style transfer for its strokes. What plain style transfer makes is kept in the cache folder for the next run.
"""

import functools
import hashlib
import statistics
from dataclasses import astuple
from pathlib import Path

import torch
from measuring import machine

import nstlab
from nstlab import images, metrics, samples
from nstlab.encoders import load_encoder
from nstlab.experiments.comparison import DEEP
from nstlab.files import cache_dir
from nstlab.guidance import saliency
from nstlab.guidance.faces import Box, faces, head_map
from nstlab.losses.style import STYLE_LAYERS
from nstlab.objective import Objective
from nstlab.stats import gram
from nstlab.systems import preserve, stylize

PAINTING_SIZES = (0.75, 1.0, 1.5)  # long sides, over the picture's, at which a painting may be what the picture is like
STEPS = 150  # of plain style transfer, coarse to fine: as many as it has for people who ask for no number


class Scene:
    """A photo at the size that is judged: what stands out in it, and its faces."""

    def __init__(self, source, size: int):
        self.source, self.name = str(source), Path(str(source)).stem
        self.photo = images.load(source, size)
        self.size = tuple(self.photo.shape[-2:])

    @functools.cached_property
    def _seen(self) -> torch.Tensor:
        return preserve.look(self.source)

    @functools.cached_property
    def inside(self) -> torch.Tensor:
        """Map of what stands out in the photo."""
        return images.resize(saliency(self._seen).map, self.size)

    @functools.cached_property
    def heads(self) -> list[Box]:
        """The photo's faces, in pixels of its size."""
        scale = self.size[1] / self._seen.shape[-1]
        return [Box(*(scale * side for side in astuple(box))) for box in faces(self._seen)]

    @functools.cached_property
    def wanted(self) -> list[Box]:
        """Those of its faces that are found at this size too."""
        found = metrics.faces_found(self.photo, self.heads)
        return [box for box, there in zip(self.heads, found, strict=True) if there]

    @functools.cached_property
    def face(self) -> torch.Tensor | None:
        """Map of its faces."""
        return torch.stack([head_map(box, self.size) for box in self.heads]).amax(0) if self.heads else None


class Judge:
    """Judges pictures of one long side; paintings are read once, and a photo's features for as long as it is asked about."""

    def __init__(self, size: int):
        self.size, self.encoder = size, load_encoder(device="cpu", precision="fp32")
        self._photo: tuple = (None, None)
        self.paintings = functools.cache(self._paintings)

    def _paintings(self, style) -> list[dict]:
        return [grams(self.encoder, images.load(style, round(share * self.size))) for share in PAINTING_SIZES]

    @torch.no_grad()
    def __call__(self, picture: torch.Tensor, scene: Scene, style, plain: torch.Tensor | None = None) -> dict[str, float]:
        """The measures of a picture of the scene. `plain` is what plain style transfer makes of it, for strokes."""
        if self._photo[0] is not scene:
            self._photo = scene, self.encoder(scene.photo, DEEP)
        features = self.encoder(picture, (*STYLE_LAYERS, *metrics.UNUSED_STYLE_LAYERS, *DEEP))
        found = {layer: gram(values) for layer, values in features.items() if layer != "image"}
        known = lambda image, layers: features if image is picture else self._photo[1]
        row = {
            "style_distance": distance(found, self.paintings(style), metrics.UNUSED_STYLE_LAYERS),
            "read_style_distance": distance(found, self.paintings(style), STYLE_LAYERS),
            "structure": metrics.structure(picture, scene.photo, scene.inside),
            "ssim": metrics.ssim(picture, scene.photo, scene.inside),
            "deep": statistics.mean(metrics.feature_distance(known, picture, scene.photo, DEEP, scene.inside).values()),
        }
        if plain is not None:
            share = metrics.stroke_share(picture, scene.photo, plain)
            row["stroke_share"], row["bare"] = metrics.painted_inside(share, scene.inside)
        return row

    @torch.no_grad()
    def likeness(self, picture: torch.Tensor, scene: Scene) -> dict[str, float]:
        """How much the faces of the scene are distorted, how many are wanted and how many found again."""
        row = {"faces": len(scene.wanted), "faces_found": sum(metrics.faces_found(picture, scene.wanted))}
        if scene.face is not None:
            far = metrics.feature_distance(self.encoder, picture, scene.photo, DEEP, scene.face)
            row["face"] = statistics.mean(far.values())
        return row


@torch.no_grad()
def grams(encoder, image) -> dict[str, torch.Tensor]:
    """Gram matrices at the layers that style losses read, and at those that none reads."""
    layers = (*STYLE_LAYERS, *metrics.UNUSED_STYLE_LAYERS)
    return {layer: gram(features) for layer, features in encoder(image, layers).items() if layer != "image"}


def distance(found: dict, paintings: list[dict], layers) -> float:
    """Gram distance over the painting's energy, mean over layers, from the painting at the size that is nearest."""
    each = [[float((found[x] - goal[x]).square().mean() / goal[x].square().mean()) for x in layers] for goal in paintings]
    return min(statistics.mean(parts) for parts in each)


def plainly_painted(content, style, size: int, steps: int = STEPS) -> torch.Tensor:
    """What the system "gatys" makes of a photo with its own weights, as it would be saved; read again if it is kept."""
    kept = cache_dir() / "plain" / f"{_key(content, style, size, steps)}.png"
    if kept.exists():
        return images.load(kept)
    picture = images.eight_bit(stylize(content, style, system="gatys", size=size, steps=steps).image)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        images.save(picture, kept)
    except (OSError, nstlab.NstlabError):
        pass  # it is painted again next time
    return picture


def _key(*setting) -> str:
    """Changes with the pictures, the setting, the machine, and every line that plain style transfer consists of."""
    digest = hashlib.sha256(machine().encode())
    for part in setting:
        path = None if isinstance(part, int) else Path(part) if Path(part).is_file() else samples.sample(part).path
        digest.update(str(part).encode() if path is None else path.read_bytes())
    package = Path(nstlab.__file__).parent
    for room in ("encoders", "losses", "objective.py", "optimize.py", "pyramid.py", "systems/gatys.py", "systems/pixel.py"):
        for path in sorted((package / room).rglob("*.py")) if (package / room).is_dir() else [package / room]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def evaluated(losses, weights, start, evaluations: int) -> torch.Tensor:
    """The picture after so many evaluations by torch's L-BFGS, as most implementations of Gatys et al. 2016 have it."""
    objective = Objective(load_encoder(device="cpu"), losses, weights)
    objective.prepare(tuple(start.shape[-2:]))
    picture = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([picture], max_iter=evaluations, max_eval=evaluations, tolerance_grad=0, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        total, _ = objective(picture)
        total.backward()
        return total

    optimizer.step(closure)
    return picture.detach().clamp(0, 1)


def means(rows: list[dict], by: str = "what") -> dict[str, dict[str, float]]:
    """Mean of every measure that is a number, over the rows that have it, for each value of the column `by`."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for measure, value in row.items():
            if isinstance(value, (int, float)):
                found.setdefault(row[by], {}).setdefault(measure, []).append(value)
    return {name: {measure: statistics.mean(values) for measure, values in each.items()} for name, each in found.items()}
