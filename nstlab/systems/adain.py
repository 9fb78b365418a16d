"""Huang & Belongie 2017: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.

Paper:  ICCV 2017.
Idea:   the mean and the deviation of each channel at relu4_1 are the style; give the photo's features those of the painting,
        and let a decoder, trained once and for all, give the picture back.
What we changed: the painting is looked at with 3/4 of the picture's long side: its statistics hardly change, and it is almost
        half the work. They are kept for the next call. The deviation is met exactly (see feature_transforms/adain.py).
        Encoder and decoder are those of this package, and the decoder works before it enlarges. Mean and deviation of deep
        features leave the hues to the decoder; so the finished picture's colours are moved half of the way to the mean and
        covariance of the painting's (on 12 pairs of training pictures that lowered the Gram distance each time; all
        the way overshoots where a photo is flat). The ONNX file is without this step.
Cost:   one pass: about a second at 512 px on a CPU, with the pocket encoder a fraction of that.
"""

from dataclasses import dataclass
from functools import partial

from nstlab.feature_transforms import AdaIN, Monge
from nstlab.feature_transforms.base import check_alpha
from nstlab.networks.decoder import shipped_file
from nstlab.options import option
from nstlab.systems.one_pass import Pass
from nstlab.systems.registry import System
from nstlab.systems.transfer import TransferOptions, transfer
from nstlab.training.any_style import AnyStyle

LAYER, PICTURE = "relu4_1", "image"
A_PIXEL = 900  # bytes of memory, measured with vgg19


@dataclass(frozen=True)
class AdainOptions(TransferOptions):
    """TransferOptions with a painting that is a little smaller; `recolor` times alpha moves the colours of the result."""

    style_scale: float = option(0.75, "Stroke size: the painting's long side over the picture's.", flag="stroke")
    recolor: float = option(0.5, "How far the result's colours are moved to the painting's: 0 leaves them as decoded.")


def plan(content, styles, options: AdainOptions) -> Pass:
    """Make a pass ready. Raises NstlabError."""
    made = transfer("adain", content, styles, options, (LAYER, PICTURE), A_PIXEL, kind="adain")
    adain, monge = AdaIN(made.alpha), Monge(made.alpha * check_alpha(options.recolor, "recolor"))

    def paint(image):
        made.describe({LAYER: adain, PICTURE: monge})
        features = made.encode(image, (LAYER,))
        features[LAYER] = made.change(adain, features[LAYER], LAYER)
        picture = made.decode(features, LAYER).float().clamp(0, 1)
        return made.change(monge, picture, PICTURE)

    return made.run(paint)


SYSTEM = System(
    name="adain",
    paper="Huang & Belongie 2017, Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization",
    idea="give the photo's deep features the painting's mean and deviation, and decode them",
    cost="about a second for any painting",
    label="at once, like any painting",
    options=AdainOptions,
    plan=plan,
    ready=partial(shipped_file, "vgg19", kind="adain"),
    task=partial(AnyStyle, "adain"),
)
