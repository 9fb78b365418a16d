"""Ke, Liu, Zhu, Zhao & Lau 2023: Neural Preset for Color Style Transfer.

Paper:  CVPR 2023. The survey's "self-supervised photo-realistic stylization" [19] could not be located; this is what does it.
Idea:   a photo in two looks teaches, without labels, what is look and what is scene: one colour map takes the look away,
        another gives that of any picture; a thumbnail tells both. Colours change, and not a pixel's shape.
What we changed: each stage is a cubic of the colour, not a 3 x 3 matrix, so it bends curves; it is added to the colour; four
        convolutions in place of an EfficientNet; drawn looks in place of an app's tables; a picture must map to itself, too.
Cost:   minutes of training, once for all styles; then two looks at 64 px and 26 multiplications and additions a channel.
"""

from dataclasses import dataclass

import torch

from nstlab import color, images
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.losses.base import shares
from nstlab.networks.preset_net import Codes, PresetNet
from nstlab.options import option, plain, settings
from nstlab.systems.checkpoint import describe
from nstlab.systems.one_pass import Pass
from nstlab.systems.registry import System
from nstlab.systems.trained import checked_digest, open_network
from nstlab.training.color_preset import PresetTask

NAME = "neural_preset"


@dataclass(frozen=True)
class NeuralPresetOptions:
    """What neural_preset can be told; `checkpoint` and `checkpoint_hash` are as in trained.TrainedOptions."""

    size: int = option(512, "Long side of the picture in pixels.")
    alpha: float = option(1.0, "From 0, the photo as it is, to 1, all of the new look.")
    blend: object = option(None, "Shares of several pictures' looks, such as 0.7,0.3.", kind="numbers")
    colors: str = option("style", "style; only: the chroma alone changes, not how light it is; luminance, oklab: the reverse.")
    checkpoint: object = option(None, "The checkpoint to use; else the one that ships.")
    checkpoint_hash: str | None = option(None, "Refuse a checkpoint whose SHA-256 begins otherwise.")


def plan(content, styles, options: NeuralPresetOptions) -> Pass:
    """Make a pass ready. `styles` are any pictures whose colours are wanted. Raises NstlabError."""
    choose("colors", options.colors, color.KEPT)
    if check_weight("alpha", options.alpha) > 1:
        raise SettingError(f"alpha {options.alpha:g}: give a number from 0 to 1")
    photo, pictures = images.load(content, check_count("size", options.size)), [images.load(style) for style in styles]
    parts = shares(range(len(pictures)), None if options.blend is None else [float(share) for share in options.blend])
    network, _, path = open_network(NAME, options.checkpoint)
    made = {"system": NAME, "content": plain(content), "styles": [plain(style) for style in styles], **settings(options)}
    made["checkpoint_hash"] = checked_digest(path, options.checkpoint_hash)
    preset = network.preset(photo, blended(network, pictures, parts.values()))
    alpha = float(options.alpha)
    return Pass(lambda image: (1 - alpha) * image + alpha * preset(image), photo, made, options.colors)


@torch.no_grad()
def blended(network: PresetNet, pictures: list[torch.Tensor], parts) -> Codes:
    """The mean of the codes of pictures (1, 3, H, W), each by its part; a picture without one is not looked at."""
    found = [(part, network.codes(picture)) for picture, part in zip(pictures, parts, strict=True) if part]
    return Codes(*(sum(part * code[place] for part, code in found) for place in range(2)))


def task(*, network=None, **options) -> PresetTask:
    """The training of the network; `network` are options of PresetNet, `options` those of PresetTask."""
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
)
