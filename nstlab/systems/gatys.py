"""Gatys, Ecker & Bethge 2016: Image Style Transfer Using Convolutional Neural Networks.

Paper:  CVPR 2016.
Idea:   keep the photo's deep VGG features (content), take over the painting's Gram matrices (style); change the pixels
        until both are near.
What we changed: every style layer counts alike; the pixels stay in [0, 1]; from coarse to fine; starts from the photo.
Cost:   about 150 encoder passes forward and back, most of them at a quarter of the size or less.
"""

from nstlab.losses import ContentLoss, SmoothnessLoss
from nstlab.systems.pixel import scene, weight_factors
from nstlab.systems.run import Run

DEFAULTS = {"content": 1.0, "style": 60.0, "smoothness": 20.0}


def plan(content, styles, *, weights: dict[str, float] | None = None, **options) -> Run:
    """Make a run ready; `options` are those of `scene`. `weights`: "content", "style", "smoothness"."""
    weight_factors(weights, DEFAULTS)  # before anything is loaded
    made = scene(content, styles, system="gatys", weights=weights, **options)
    losses = {
        "content": ContentLoss(made.photo, made.settings["content_layers"]),
        "style": made.painters.style_loss(),
        "smoothness": SmoothnessLoss(),
    }
    return made.run(losses, DEFAULTS, weights)
