"""Colour presets: the looks that a photo app offers, as functions of one pixel's colour. Some by name, and any number drawn."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import choose

LATTICE = 4  # points along each side of the colour cube at which a drawn preset shifts colours
COUNT = 21 + 3 * LATTICE**3  # numbers that a preset is drawn from

NAMED = {  # what differs from leaving the photo as it is
    "warm": {"gain": (1.12, 1.0, 0.84)},
    "cool": {"gain": (0.88, 0.99, 1.1)},
    "faded": {"lift": (0.13, 0.12, 0.16), "top": (0.95, 0.93, 0.88), "saturation": 0.75},
    "vivid": {"contrast": 0.35, "saturation": 1.35},
    "dusk": {"gamma": (1.25, 1.4, 1.1), "gain": (1.0, 0.86, 1.0), "saturation": 0.85},
    "sepia": {"gain": (1.08, 0.98, 0.8), "saturation": 0.15},
}


@dataclass(frozen=True)
class ColorPresets:
    """Presets for a batch of N pictures, each a chain of what apps offer.

    In this order: `gamma` (N, 3), an exponent a channel; `gain` (N, 3), a factor (white balance and exposure); `contrast`
    (N, 1), an S-curve from -0.9 (flat) to 0.9 (steep); `saturation` (N, 1), a factor of the chroma, 0 is grey; `lift` and
    `top` (N, 3), the colours of black and of white; `lattice` (N, 3, 4, 4, 4), a shift for each corner of the colour cube's
    cells, blue first, trilinear between them as in a lookup table. Results are clipped to [0, 1].
    """

    gamma: torch.Tensor
    gain: torch.Tensor
    contrast: torch.Tensor
    saturation: torch.Tensor
    lift: torch.Tensor
    top: torch.Tensor
    lattice: torch.Tensor

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, H, W) in the looks of these N presets."""
        spread = lambda values: values[:, :, None, None].to(image.device)
        x = images.check(image).clamp(0, 1) ** spread(self.gamma) * spread(self.gain)
        x = x.clamp(0, 1)
        x = x - spread(self.contrast) * torch.sin(2 * torch.pi * x) / (2 * torch.pi)
        grey = luminance(x)
        x = (grey + spread(self.saturation) * (x - grey)).clamp(0, 1)
        x = spread(self.lift) + x * (spread(self.top) - spread(self.lift))
        places = (2 * x - 1).movedim(1, -1)[:, None]  # (N, 1, H, W, 3): red runs along the last axis of the lattice
        shift = F.grid_sample(self.lattice.to(image.device), places, padding_mode="border", align_corners=True)
        return (x + shift[:, :, 0]).clamp(0, 1)


def named(name: str) -> ColorPresets:
    """The preset of that name, for one picture. Raises SettingError."""
    given = NAMED[choose("colour preset", name, NAMED)]
    some = lambda key, default: torch.tensor(given.get(key, default), dtype=torch.float32).reshape(1, -1)
    plain, none = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    return ColorPresets(
        some("gamma", plain), some("gain", plain), some("contrast", 0.0), some("saturation", 1.0),
        some("lift", none), some("top", plain), torch.zeros(1, 3, *[LATTICE] * 3),
    )  # fmt: skip


def drawn(seeds) -> ColorPresets:
    """A preset for each seed, from hardly any change to a strong one."""
    numbers = [torch.rand(COUNT, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    table = torch.stack(numbers)
    strength, table = table[:, :1].sqrt(), 2 * table[:, 1:] - 1  # most are strong: mild ones are easy
    parts = (strength * table).split([1, 3, 1, 3, 1, 1, 3, 3, 1, 3, 3 * LATTICE**3], 1)
    gamma, gammas, gain, gains, contrast, saturation, lift, top, dark, tint, lattice = parts
    return ColorPresets(
        gamma=(0.5 * gamma + 0.15 * gammas).exp(),
        gain=(0.2 * gain + 0.15 * gains + 0.05 * tint).exp(),
        contrast=0.6 * contrast,
        saturation=(0.7 * saturation).exp(),
        lift=0.06 * (dark + strength) + 0.06 * (lift + strength),
        top=1 - 0.08 * (top + strength),
        lattice=0.06 * lattice.view(-1, 3, *[LATTICE] * 3),
    )
