"""Luan, Paris, Shechtman & Bala 2017: Deep Photo Style Transfer.

Paper:  CVPR 2017. The survey's [14] (D'Angelo et al. 2022) restyles regions to train a classifier; the transfer is this one.
Idea:   each region takes the style of the region that is like it (sky from sky), and in every small window the colours stay an
        affine function of the photo's, so that lines stay straight and nothing is painted that is not there.
What we changed: regions by name, or labels of yours, and what a style lacks goes after the whole of it; the first stage,
        without the matting term, is the coarse scales and the second the last one; the final smoothing is a guided filter,
        which fits the same local affine maps.
Cost:   that of gatys, and two looks for regions.
"""

from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.errors import check_count
from nstlab.filters import guided_filter
from nstlab.losses import ContentLoss, SmoothnessLoss
from nstlab.losses.matting import MattingLoss
from nstlab.options import option
from nstlab.systems import gatys
from nstlab.systems.photo import find_regions
from nstlab.systems.pixel import PixelOptions, scene, weight_factors
from nstlab.systems.registry import System
from nstlab.systems.run import Run

DEFAULTS = {**gatys.DEFAULTS, "matting": 1e5}
FLAT = 1e-4  # variance of the photo's colours below which a window counts as flat, for the final smoothing


@dataclass(frozen=True)
class LuanOptions(PixelOptions):
    """PixelOptions, and regions that go together as those of photo.PhotoOptions do."""

    segments: object = option("things", "Regions that go together: none, things, or a picture of labels in flat colours.")
    style_segments: object = option(None, "A style's picture of labels. Repeatable, in order.", kind="texts")
    smoothing: int = option(7, "Radius in pixels of the final smoothing along the photo's edges; 0: none.")


def plan(content, styles, options: LuanOptions) -> Run:
    """Make a run ready. `weights`: the names of DEFAULTS. Raises NstlabError."""
    weight_factors(options.weights, DEFAULTS)  # before anything is loaded
    radius = check_count("smoothing", options.smoothing, least=0)
    made = scene("luan", content, styles, options)
    find_regions(made, content, styles, options)
    colors = made.finish_image
    made.finish_image = lambda image: colors(smooth(image, made.content, radius))
    losses = {
        "content": ContentLoss(made.content, made.settings["content_layers"]),
        "style": made.mix.style_by_regions(made.regions) if any(made.regions) else made.mix.style_loss(),
        "matting": MattingLoss(made.content),
        "smoothness": SmoothnessLoss(),
    }
    return made.run(losses, DEFAULTS, options.weights, late=("matting",))


def smooth(image: torch.Tensor, photo: torch.Tensor, radius: int) -> torch.Tensor:
    """The image (1, 3, H, W) with its colours, in windows of that radius, as affine functions of the photo's of that size."""
    if radius == 0 or min(image.shape[-2:]) < 3:
        return image
    return guided_filter(image.double(), images.resize(photo, tuple(image.shape[-2:])).double(), radius, FLAT).float()


SYSTEM = System(
    name="luan",
    paper="Luan, Paris, Shechtman & Bala 2017, Deep Photo Style Transfer",
    idea="each region takes the style of its like, and in every small window colours stay an affine function of the photo's",
    cost="that of gatys, and two looks for regions",
    label="a photo that stays a photo, in another light",
    options=LuanOptions,
    plan=plan,
)
