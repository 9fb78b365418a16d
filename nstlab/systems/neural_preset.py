"""Ke, Liu, Zhu, Zhao & Lau 2023: Neural Preset for Color Style Transfer.

Paper:  CVPR 2023. The survey's "self-supervised photo-realistic stylization" [19] could not be located; this is what does it.
Idea:   a photo in two looks teaches, without labels, what is look and what is scene: one colour map takes the look away,
        another gives that of any picture; a thumbnail tells both. Colours change, and not a pixel's shape.
What we changed: each stage is a cubic of the colour, not a 3 x 3 matrix, so it bends curves; it is added to the colour; four
        convolutions in place of an EfficientNet; drawn looks in place of an app's tables; a picture must map to itself, too.
Cost:   minutes of training, once for all styles; then two looks at 64 px and 26 multiplications and additions a channel.
"""

from dataclasses import dataclass
from functools import partial

from nstlab import color, images
from nstlab.errors import check_count, choose
from nstlab.feature_transforms import ColorMap
from nstlab.feature_transforms.base import Part, check_alpha
from nstlab.networks import PresetNet
from nstlab.options import option, plain, settings
from nstlab.systems.checkpoint import describe
from nstlab.systems.one_pass import Pass, check_memory
from nstlab.systems.registry import System
from nstlab.systems.styles import style_mix
from nstlab.systems.trained import checked_digest, open_network
from nstlab.systems.transfer import strength
from nstlab.training.color_preset import PresetTask

NAME = "neural_preset"
BASE, BYTES_A_PIXEL = 100e6, 120  # of memory for a pass


@dataclass(frozen=True)
class NeuralPresetOptions:
    """What neural_preset can be told, as the other systems of one pass (see transfer.TransferOptions and TrainedOptions)."""

    size: int = option(512, "Long side of the picture in pixels.")
    alpha: float = option(1.0, "How much of the look: 0 is the photo, 1 is all.")
    colors: str = option("style", "style; only: the chroma alone changes, not how light it is; luminance, oklab: the reverse.")
    guide: object = option("none", "What is changed less: none, importance, saliency, or a picture, white is kept.")
    keep: float = option(0.7, "How much of the photo is kept where the guide is white: 0 is nothing, 1 all.")
    blend: object = option(None, "Shares of several pictures' looks, such as 0.7,0.3.", kind="numbers")
    masks: object = option(None, "A look's place: a picture, white is its. Repeatable, in order.", flag="mask", kind="texts")
    feather: float = option(0.02, "Blur of the masks' borders, as a share of the long side.")
    checkpoint: object = option(None, "The checkpoint to use; else the one that ships.")
    checkpoint_hash: str | None = option(None, "Refuse a checkpoint whose SHA-256 begins otherwise.")


def plan(content, styles, options: NeuralPresetOptions) -> Pass:
    """Make a pass ready. `styles` are any pictures whose colours are wanted. Raises NstlabError."""
    choose("colors", options.colors, color.KEPT)
    alpha, keep = check_alpha(options.alpha), check_alpha(options.keep, "keep")
    photo, pictures = images.load(content, check_count("size", options.size)), [images.load(style) for style in styles]
    shape, blend = tuple(photo.shape[-2:]), None if options.blend is None else [float(share) for share in options.blend]
    check_memory(shape, photo.device, BASE, BYTES_A_PIXEL)
    mix = style_mix(pictures, (), 1.0, blend, "losses", options.masks, options.feather, shape)
    network, _, path = open_network(NAME, options.checkpoint)
    made = {"system": NAME, "content": plain(content), "styles": [plain(style) for style in styles], **settings(options)}
    made["checkpoint_hash"] = checked_digest(path, options.checkpoint_hash)
    alpha, notes = strength(options.guide, content, photo, alpha, keep)
    transform = ColorMap(network, alpha)
    if mix.masks:  # a photo has one look, so what is taken away is the same everywhere
        places = zip(pictures, mix.masks, strict=True)
        parts = [Part(transform.look(picture), mask=mask, inside=False) for picture, mask in places]
    else:
        parts = [Part(transform.look(picture), share) for picture, share in zip(pictures, mix.blend, strict=True)]
    return Pass(lambda image: transform.mix(image, parts), photo, made, options.colors, notes)


def task(*, network=None, encoder=None, device=None, **options) -> PresetTask:
    """The training of the network; `network` are options of PresetNet, `options` those of PresetTask. It needs no encoder."""
    return PresetTask(NAME, describe("PresetNet", None, network or {}), PresetNet(**(network or {})), **options)


SYSTEM = System(
    name=NAME,
    paper="Ke, Liu, Zhu, Zhao & Lau 2023, Neural Preset for Color Style Transfer",
    idea="one colour map takes the photo's look away, another gives it that of any picture; nothing else changes",
    cost="minutes of training for all styles; then hundredths of a second",
    label="only the look: light and colours of another picture",
    options=NeuralPresetOptions,
    plan=plan,
    task=task,
    photos_only=True,
    ready=partial(open_network, NAME),
)
