"""Networks with trained weights: generators, discriminators, and the moving average of a network's weights."""

from nstlab.networks.decoder import Decoder, load_decoder
from nstlab.networks.discriminator import MultiscaleDiscriminator, PatchDiscriminator
from nstlab.networks.ema import Ema
from nstlab.networks.generator import StyleNet, new_style, style_parameters
from nstlab.networks.multiscale import MultiscaleNet
from nstlab.networks.preset_net import PresetNet
from nstlab.networks.revision import RevisionNet

__all__ = [
    "Decoder",
    "Ema",
    "MultiscaleDiscriminator",
    "MultiscaleNet",
    "PatchDiscriminator",
    "PresetNet",
    "RevisionNet",
    "StyleNet",
    "load_decoder",
    "new_style",
    "style_parameters",
]
