"""Gatys, Ecker & Bethge 2016: Image Style Transfer Using Convolutional Neural Networks.

Paper:  CVPR 2016.
Idea:   keep the photo's deep VGG features (content), take over the painting's Gram matrices (style); change the pixels
        until both are near.
What we changed: every style layer counts alike; the pixels stay in [0, 1]; from coarse to fine; starts from the photo.
Cost:   about 150 encoder passes forward and back, most of them at a quarter of the size or less.
"""

from nstlab.losses import ContentLoss, SmoothnessLoss
from nstlab.systems.pixel import PixelOptions, scene, weight_factors
from nstlab.systems.registry import System
from nstlab.systems.run import Run

DEFAULTS = {"content": 1.0, "style": 60.0, "smoothness": 20.0}


def plan(content, styles, options: PixelOptions) -> Run:
    """Make a run ready. `weights`: "content", "style", "smoothness". Raises NstlabError."""
    weight_factors(options.weights, DEFAULTS)  # before anything is loaded
    made = scene("gatys", content, styles, options)
    losses = {
        "content": ContentLoss(made.content, made.settings["content_layers"]),
        "style": made.mix.style_loss(),
        "smoothness": SmoothnessLoss(),
    }
    return made.run(losses, DEFAULTS, options.weights)


SYSTEM = System(
    name="gatys",
    paper="Gatys, Ecker & Bethge 2016, Image Style Transfer Using Convolutional Neural Networks",
    idea="change the pixels until deep features match the photo and Gram matrices match the painting",
    cost="about 150 encoder passes a picture",
    label="paint all of it",
    options=PixelOptions,
    plan=plan,
)
