"""Networks whose weights are trained: generators that paint, critics that judge, and the average of a network's weights."""

from nstlab.networks.average import Average
from nstlab.networks.discriminator import MultiscaleDiscriminator, PatchDiscriminator
from nstlab.networks.generator import StyleNet, new_style, style_parameters
from nstlab.networks.multiscale import MultiscaleNet

__all__ = [
    "Average",
    "MultiscaleDiscriminator",
    "MultiscaleNet",
    "PatchDiscriminator",
    "StyleNet",
    "new_style",
    "style_parameters",
]
