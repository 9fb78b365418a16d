"""A small depth network that lets gradients through, trained on drawn scenes alone (see scenes.py).

It knows that low is near, that things stand on the ground, and that haze is far; of real photos it knows nothing more.
`python -m nstlab.training.scene_depth` trains it anew: about 10 minutes on 2 cores.
"""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.encoders import weights

FILE = Path(__file__).with_name("scene_depth.safetensors")
SIZE = 128  # long side in pixels at which it looks
WIDTHS = (16, 32, 48, 64)


class DepthNet(nn.Module):
    """A U-Net: image (N, 3, H, W) -> nearness (N, 1, H, W) in [0, 1]; three halvings, and skips across."""

    def __init__(self, widths=WIDTHS):
        super().__init__()
        inputs = (5, *widths[:-1])
        self.down = nn.ModuleList(_pair(a, b) for a, b in zip(inputs, widths))
        self.up = nn.ModuleList(_pair(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image):
        rows, columns = (torch.linspace(-1, 1, side, device=image.device) for side in image.shape[-2:])
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(image.shape[0], -1, -1, -1)
        x, skips = torch.cat([image * 2 - 1, place], 1), []
        for number, layer in enumerate(self.down):
            x = layer(x if number == 0 else F.avg_pool2d(x, 2, ceil_mode=True))
            skips.append(x)
        for layer, skip in zip(self.up, skips[-2::-1]):
            x = layer(torch.cat([skip, F.interpolate(x, skip.shape[-2:])], 1))
        return self.last(x).sigmoid()


class _Convolution(nn.Conv2d):
    """A 3x3 convolution that repeats the edge at the border."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3)

    def forward(self, x):
        return F.conv2d(images.pad(x, (1, 1, 1, 1), mirrored=False), self.weight, self.bias)


def _pair(inputs, outputs):
    layers = []
    for first in (inputs, outputs):
        layers += [_Convolution(first, outputs), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@functools.cache
def load_depth_net() -> DepthNet:
    """The trained network, frozen, loaded once."""
    network = DepthNet()
    network.load_state_dict({name: value.float() for name, value in weights.load_state(FILE).items()})
    return network.eval().requires_grad_(False)


def scene_depth(image: torch.Tensor) -> torch.Tensor:
    """Nearness (N, 1, H, W) of an image (N, 3, H, W), differentiable; the network looks at it at 128 px."""
    size = images.fit(tuple(image.shape[-2:]), min(SIZE, max(image.shape[-2:])))
    size = tuple(max(8, side) for side in size)
    small = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
    found = load_depth_net().to(image.device)(small)
    return F.interpolate(found, image.shape[-2:], mode="bilinear", align_corners=False)
