"""The pixel protocol: named losses of the output's features, made small by changing its pixels.

Every system of this kind begins with a Scene (pictures read, colours settled, scales planned, encoder loaded) and ends in the
Run of its losses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from nstlab import color, images
from nstlab.devices import available_memory
from nstlab.encoders import Encoder, PocketEncoder, load_encoder
from nstlab.errors import SettingError, check_count, check_seed, check_weight, choose
from nstlab.losses.style import STYLE_LAYERS
from nstlab.objective import Objective
from nstlab.optimize import OPTIMIZERS
from nstlab.options import option, plain, settings
from nstlab.pyramid import schedule
from nstlab.systems.run import Run
from nstlab.systems.styles import StyleMix, style_mix

BASE, BYTES_A_PIXEL = 600e6, 2050  # of memory for a run in bf16 (fp32: twice as much a pixel), measured at 512 to 2048 px
STYLE_SHARE = 0.5  # what a pixel of a painting takes of that: its features are computed once, without gradients
POCKET = "painted with the pocket encoder, which only approximates VGG-19"
STARTS = ("content", "noise", "style")
COLORS = (*color.KEPT, "match", "match-pca", "match-cholesky")


@dataclass(frozen=True)
class PixelOptions:
    """What all systems of the pixel protocol can be told.

    `weights` multiply the system's defaults: {"style": 2} doubles the style. `start` may be a picture to continue from.
    `colors` "style" paints in the painting's colours; "luminance" paints the brightness and restores the content's chroma,
    "oklab" paints everything and then restores the content's chroma; "match", "match-pca" and "match-cholesky" recolour the
    painting like the content first (Gatys et al. 2016b, color.match_colors); "only" keeps the content's lightness and takes
    the painted chroma. `blend`, `mix`, `masks` and `feather` say how several paintings share the picture (see styles.py).
    """

    size: int = option(512, "Long side of the picture in pixels.")
    steps: int = option(150, "Steps of the optimisation, all scales together.")
    seed: int = option(0, "Seed of the noise, where a run starts from noise.")
    encoder: object = option(
        "vgg19", "vgg19, pocket (fast, an approximation), vgg19-torchvision, vgg16-torchvision, or a file."
    )
    weights: dict | None = option(None, "NAME=VALUE: style=2 doubles the style. Repeatable.", flag="weight", kind="weights")
    start: object = option("content", "content, noise, style, or a picture to continue from.")
    colors: str = option("style", "style; the photo's: luminance, oklab, match; only: nothing is painted but the colours.")
    style_scale: float = option(1.0, "Stroke size: the painting's long side over the picture's.", flag="stroke")
    blend: object = option(None, "Shares of several paintings, such as 0.7,0.3.", kind="numbers")
    mix: str = option("losses", "losses, statistics, or scales (fine strokes of the first painting).")
    masks: object = option(
        None, "A painting's place: a picture, white is its. Repeatable, in order.", flag="mask", kind="texts"
    )
    feather: float = option(0.02, "Blur of the masks' borders, as a share of the long side.")
    content_layers: object = option(("relu4_2",), "Layers that keep the content, such as relu3_2,relu4_2.", kind="layers")
    style_layers: object = option(STYLE_LAYERS, "Layers whose statistics make the style.", kind="layers")
    optimizer: str = option("lbfgs", "lbfgs or adam.")
    levels: int | None = option(None, "Number of scales, coarse to fine (by size if left out).", kind="int")
    device: str = option("auto", "auto, cpu, cuda, or mps.")
    precision: str = option("auto", "auto (bf16 where the machine has it), bf16, or fp32.")


@dataclass
class Scene:
    """The content at its working size, the paintings, the encoder, and the stages [((H, W), steps), ...] of the run."""

    content: torch.Tensor
    mix: StyleMix
    encoder: Encoder
    stages: list[tuple[tuple[int, int], int]]
    start: torch.Tensor
    optimizer: str
    settings: dict
    finish_image: Callable[[torch.Tensor], torch.Tensor]
    notes: list[str] = field(default_factory=list)
    regions: list = field(default_factory=list)  # for each painting, of a few systems: [(map on the content, map on it), ...]

    def run(self, losses: dict, defaults: dict[str, float], weights: dict[str, float] | None, late=()) -> Run:
        """The run of these losses, each at its default weight times the user's factor; those named `late` count only then."""
        factors = weight_factors(weights, defaults)
        found = {name: defaults[name] * factors.get(name, 1.0) for name in losses}
        second = {name: found[name] for name in late}
        objective = Objective(self.encoder, losses, found)
        return Run(
            objective, self.start, self.stages, self.optimizer, self.settings, self.finish_image, self.notes, late=second
        )


def weight_factors(weights: dict[str, float] | None, defaults: dict[str, float]) -> dict[str, float]:
    """The user's weights, checked: {"style": 2} means twice the default of "style"."""
    return {choose("weight", name, defaults): check_weight(name, value) for name, value in (weights or {}).items()}


def scene(system: str, content, styles, options: PixelOptions) -> Scene:
    """The scene of a content, one or more styles, and the options of the system of that name. Raises NstlabError."""
    choose("optimizer", options.optimizer, OPTIMIZERS)
    check_seed(options.seed)
    size = check_count("size", options.size)
    stages = schedule(size, check_count("steps", options.steps), options.levels)
    made = {"system": system, "content": plain(content), "styles": [plain(style) for style in styles], **settings(options)}
    photo = images.load(content, size)
    paintings = [images.load(style) for style in styles]
    photo, paintings, finish_image = _recolor(photo, paintings, choose("colors", options.colors, COLORS))
    shape = tuple(photo.shape[-2:])
    stages = [(images.fit(shape, long), count) for long, count in stages]
    encoder = options.encoder
    if not isinstance(encoder, torch.nn.Module):
        encoder = load_encoder(str(encoder), device=options.device, precision=options.precision)
    _check_memory(shape, paintings, float(options.style_scale), encoder)
    blend = None if options.blend is None else [float(share) for share in options.blend]
    mix = style_mix(
        paintings, options.style_layers, options.style_scale, blend, options.mix, options.masks, options.feather, shape
    )
    first = _start(options.start, photo, paintings, stages[0][0], int(options.seed))
    notes = [POCKET] if isinstance(encoder, PocketEncoder) else []
    return Scene(photo, mix, encoder, stages, first, options.optimizer, made, finish_image, notes)


def _check_memory(shape: tuple[int, int], paintings, style_scale: float, encoder: Encoder) -> None:
    """Refuse a picture of (H, W), or strokes, that would not fit, and say which size would.

    A painting is seen with the content's long side times `style_scale`, however flat the content is.
    """
    a_pixel = BYTES_A_PIXEL * (2 if encoder.dtype == torch.float32 else 1)
    seen = [images.fit(tuple(each.shape[-2:]), max(1, round(max(shape) * style_scale))) for each in paintings]
    style = STYLE_SHARE * max(height * width for height, width in seen)
    needed, free = BASE + a_pixel * max(shape[0] * shape[1], style), available_memory(encoder.device)
    if needed > free:
        fits = max(1, int(max(shape) * (max(0, free - BASE) / (needed - BASE)) ** 0.5))
        cause = f"size {max(shape)}" if style <= shape[0] * shape[1] else f"size {max(shape)} with stroke {style_scale:g}"
        raise SettingError(
            f"{cause}: it would take about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free:"
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
