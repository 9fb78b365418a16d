"""What every optimising system begins with: pictures read, colours settled, scales planned, encoder loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nstlab import color, images
from nstlab.devices import available_memory
from nstlab.encoders import Encoder, load_encoder
from nstlab.encoders.pocket import PocketEncoder
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.losses.style import STYLE_LAYERS
from nstlab.objective import Objective
from nstlab.optimize import OPTIMIZERS
from nstlab.pyramid import schedule
from nstlab.systems.run import Run
from nstlab.systems.styles import Painters, painters

BASE, BYTES_A_PIXEL = 600e6, 2050  # of memory for a run in bf16 (fp32: twice as much a pixel), measured at 512 to 2048 px
POCKET = "painted with the pocket encoder, which only approximates VGG-19"
STARTS = ("content", "noise", "style")
COLORS = (*color.KEPT, "match", "match-pca", "match-cholesky")


@dataclass
class Scene:
    """The photo at its working size, the paintings, the encoder, and the stages [((H, W), steps), ...] of the run."""

    photo: torch.Tensor
    painters: Painters
    encoder: Encoder
    stages: list[tuple[tuple[int, int], int]]
    start: torch.Tensor
    optimizer: str
    settings: dict
    finish_image: Callable[[torch.Tensor], torch.Tensor]
    notes: list[str] = field(default_factory=list)

    def run(self, losses: dict, defaults: dict[str, float], weights: dict[str, float] | None) -> Run:
        """The run of these losses, each at its default weight times the user's factor."""
        factors = weight_factors(weights, defaults)
        objective = Objective(self.encoder, losses, {name: defaults[name] * factors.get(name, 1.0) for name in losses})
        return Run(objective, self.start, self.stages, self.optimizer, self.settings, self.finish_image, self.notes)


def weight_factors(weights: dict[str, float] | None, defaults: dict[str, float]) -> dict[str, float]:
    """The user's weights, checked: {"style": 2} means twice the default of "style"."""
    return {choose("weight", name, defaults): check_weight(name, value) for name, value in (weights or {}).items()}


def scene(
    content,
    styles,
    *,
    system: str,
    size: int = 512,
    steps: int = 150,
    seed: int = 0,
    encoder: str | Path | Encoder | PocketEncoder = "vgg19",
    weights: dict[str, float] | None = None,
    start: str = "content",
    colors: str = "style",
    style_scale: float = 1.0,
    blend=None,
    mix: str = "losses",
    masks=None,
    feather: float = 0.02,
    content_layers=("relu4_2",),
    style_layers=STYLE_LAYERS,
    optimizer: str = "lbfgs",
    levels: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Scene:
    """Make a scene ready. These are the options that all optimising systems share.

    `size` is the long side of the picture in pixels, `steps` those of all scales together. `weights` multiply the system's
    defaults: {"style": 2} doubles the style. `start` is "content", "noise", "style", or a picture to go on from. `colors`
    "style" paints in the painting's colours; "luminance" paints brightness only and gives the photo's chroma back, "oklab"
    paints all and then gives the photo's chroma back; "match", "match-pca" and "match-cholesky" recolour the painting like
    the photo first (Gatys et al. 2016b, color.match_colors); "only" keeps the photo's lightness and takes the painted chroma.
    `style_scale` is the stroke size, `levels` the number of scales (None: by size). `blend`, `mix`, `masks` and `feather` say
    how several paintings share the picture (see painters.py). Raises NstlabError.
    """
    settings = {"system": system, "content": name(content), "styles": [name(s) for s in styles], "size": size}
    settings |= {"steps": steps, "seed": seed, "encoder": name(encoder), "weights": dict(weights or {}), "start": name(start)}
    settings |= {"colors": colors, "style_scale": style_scale, "optimizer": optimizer, "levels": levels}
    settings |= {"blend": list(blend) if blend else None, "mix": mix, "masks": [name(m) for m in masks or []] or None}
    settings["feather"] = feather
    settings |= {"content_layers": list(content_layers), "style_layers": list(style_layers), "precision": precision}
    choose("optimizer", optimizer, OPTIMIZERS)
    stages = schedule(check_count("size", size), steps, levels)
    photo = images.load(content, size)
    paintings = [images.load(style) for style in styles]
    photo, paintings, finish_image = _recolor(photo, paintings, choose("colors", colors, COLORS))
    shape = tuple(photo.shape[-2:])
    stages = [(images.fit(shape, long), count) for long, count in stages]
    together = painters(paintings, style_layers, style_scale, blend, mix, masks, feather, shape)
    first = _start(start, photo, paintings, stages[0][0], seed)
    if isinstance(encoder, (str, Path)):
        encoder = load_encoder(str(encoder), device=device, precision=precision)
    _check_memory(shape, encoder)
    notes = [POCKET] if isinstance(encoder, PocketEncoder) else []
    return Scene(photo, together, encoder, stages, first, optimizer, settings, finish_image, notes)


def _check_memory(shape: tuple[int, int], encoder: Encoder) -> None:
    """Refuse a picture of (H, W) that would not fit, and say which size would."""
    a_pixel = BYTES_A_PIXEL * (2 if encoder.dtype == torch.float32 else 1)
    needed, free = BASE + a_pixel * shape[0] * shape[1], available_memory(encoder.device)
    if needed > free:
        fits = max(1, int(max(shape) * (max(0, free - BASE) / (a_pixel * shape[0] * shape[1])) ** 0.5))
        raise SettingError(
            f"size {max(shape)}: it would take about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free:"
            f" the largest size that fits is about {fits}"
        )


def _recolor(photo, paintings, colors):
    """Photo, paintings, and what to do with the finished picture, for one way of keeping colours."""
    if colors.startswith("match"):
        form = colors.partition("-")[2] or "monge"
        return photo, [color.match_colors(painting, photo, form) for painting in paintings], lambda image: image
    finish_image = lambda image: color.keep_colors(image, photo, colors)
    if colors == "luminance":
        paintings = [color.match_luminance(painting, photo) for painting in paintings]
        return color.luminance(photo).expand_as(photo), paintings, finish_image
    return photo, paintings, finish_image


def _start(start, photo, paintings, size, seed):
    """The first picture, (1, 3, H, W) at `size`."""
    if not isinstance(start, str) or start not in STARTS:
        return images.resize(images.load(start), size)
    if start == "noise":
        return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))
    return images.resize(photo if start == "content" else paintings[0], size)


def name(source) -> str:
    """What a source is called in the settings: its path or sample name; "image" for what has no name to find it by again."""
    return str(source) if isinstance(source, (str, Path)) else "image"
