"""The pocket encoder: VGG-19 up to relu5_1, with every convolution but the first factorised, for a quarter of the work.

Each is a 3x3 convolution to few channels and a 1x1 convolution back to all of them (low rank, from the principal components of
the responses, Zhang et al. 2015), then trained on VGG-19's features (FitNets, Romero et al. 2015; training/distill.py). It has
VGG-19's layers and channels, so losses and their weights mean the same. As it is an approximation, it is used only if requested
by name; `pocket.json` tells how close it is.
"""

import json
from pathlib import Path

import torch
from torch import nn

from nstlab import images
from nstlab.encoders import weights
from nstlab.encoders.base import Encoder, conv_relu

FILE = Path(__file__).with_name("pocket.safetensors")
ABOUT = Path(__file__).with_name("pocket.json")  # how it was trained, VGG-19's scales, and the agreement with it
CHANNELS = {"relu1_1": 64, "relu1_2": 64, "relu2_1": 128, "relu2_2": 128} | {f"relu3_{i}": 256 for i in range(1, 5)}
CHANNELS |= {f"relu4_{i}": 512 for i in range(1, 5)} | {"relu5_1": 512}  # VGG-19's
RANKS = {"relu1_2": 20, "relu2_1": 28, "relu2_2": 32, "relu3_1": 48, "relu3_2": 48, "relu3_3": 48, "relu3_4": 48}
RANKS |= {"relu4_1": 80, "relu4_2": 80, "relu4_3": 80, "relu4_4": 80, "relu5_1": 80}


class PocketEncoder(Encoder):
    """VGG-19's layers up to relu5_1 with the same channels and scales; all convolutions but the first are factorised.

    `state` is a state dict; without it, the weights are random and trainable. See Encoder for the other options.
    """

    layers, channels = tuple(CHANNELS), CHANNELS

    def __init__(self, state=None, scales=None, **options):
        super().__init__("pocket", scales=scales, **options)
        self.first = nn.Conv2d(3, 64, 3)
        inputs = dict(zip(self.layers[1:], CHANNELS.values()))
        self.thin = nn.ModuleDict({layer: nn.Conv2d(inputs[layer], rank, 3, bias=False) for layer, rank in RANKS.items()})
        self.wide = nn.ModuleDict({layer: nn.Conv2d(rank, CHANNELS[layer], 1) for layer, rank in RANKS.items()})
        if state is not None:
            self.load_state_dict(state)
            self.requires_grad_(False)
        self.to(self.device, self.dtype, memory_format=torch.channels_last)

    def normalize(self, image):
        return image * 2 - 1

    def convolve(self, x, layer):
        x = images.pad(x, (1, 1, 1, 1))
        last, x = (self.first, x) if layer == "relu1_1" else (self.wide[layer], self.thin[layer](x))
        return conv_relu(x, last.weight, last.bias)


def load_pocket(**options) -> PocketEncoder:
    """The trained pocket encoder that ships; `options` are passed to PocketEncoder."""
    state = {name: value.float() for name, value in weights.load_state(FILE).items()}
    scales = json.loads(ABOUT.read_text(encoding="utf-8"))["scales"]
    return PocketEncoder(state, scales, digest=weights.digest(FILE), **options)
