"""Li, Fang, Yang, Wang, Lu & Yang 2017: Universal Style Transfer via Feature Transforms.

Paper:  NeurIPS 2017.
Idea:   no style is ever learned: a decoder that only gives pictures back, and features that get the painting's whole
        covariance, from the deepest level, which places large forms, to the shallowest, which settles the colours.
What we changed: levels 4 to 1, without relu5_1, whose decoder loses most of the picture; one decoder serves all levels. The
        picture between two levels is clipped to [0, 1]. Eigenvectors are those of eigh in float64.
Cost:   four passes, each through a decoder: several seconds at 512 px on a CPU.
"""

from dataclasses import dataclass
from functools import partial

from nstlab.errors import SettingError, choose
from nstlab.feature_transforms import WhitenedSwap, Whitening
from nstlab.networks.decoder import shipped_file
from nstlab.options import option
from nstlab.systems.one_pass import Pass
from nstlab.systems.registry import System
from nstlab.systems.transfer import TransferOptions, transfer

LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")
DEEPEST = {"covariance": Whitening, "patches": WhitenedSwap}
A_PIXEL = 1000  # bytes of memory, measured with vgg19


@dataclass(frozen=True)
class WctOptions(TransferOptions):
    """TransferOptions, the levels, and what the deepest of them takes from the painting."""

    alpha: float = option(0.6, "How much of the painting: 0 is the photo as the decoder gives it back, 1 is all.")
    levels: object = option(LEVELS, "Layers to change the features at, in this order.", kind="layers")
    deepest: str = option("covariance", "What the first level takes from the painting: its covariance, or its patches.")


def plan(content, styles, options: WctOptions) -> Pass:
    """Make a pass ready. Raises NstlabError."""
    levels = [choose("level", level, LEVELS) for level in options.levels]
    if not levels:
        raise SettingError("levels: name one at least, such as relu4_1")
    first = DEEPEST[choose("deepest", options.deepest, DEEPEST)]
    made = transfer("wct", content, styles, options, levels, A_PIXEL)
    changes = [first(made.alpha), *(Whitening(made.alpha) for _ in levels[1:])]

    def paint(image):
        made.describe(dict(zip(levels, changes, strict=True)))
        for level, change in zip(levels, changes, strict=True):
            features = made.encode(image, (level,))
            features[level] = made.change(change, features[level], level)
            image = made.decode(features, level).clamp(0, 1)
        return image

    return made.run(paint)


SYSTEM = System(
    name="wct",
    paper="Li et al. 2017, Universal Style Transfer via Feature Transforms",
    idea="give the photo's features the painting's covariance at four levels, and decode each",
    cost="several seconds for any painting",
    label="in seconds, like any painting, its textures too",
    options=WctOptions,
    plan=plan,
    ready=partial(shipped_file, "vgg19"),
)
