"""Base class of the losses, and weights scaled to add up to 1."""

import torch
from torch import nn

from nstlab.errors import SettingError, check_weight


class Loss(nn.Module):
    """A scalar computed from features. `layers` names the layers it reads; `prepare` computes its targets for one size."""

    layers: tuple[str, ...] = ("image",)

    def prepare(self, encoder, size: tuple[int, int]) -> None:
        """Compute the targets for an output of (H, W) pixels. Called again whenever the size changes."""

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss (a float32 scalar) of features {layer: (N, C, h, w)} as returned by an Encoder."""
        raise TypeError(f"{type(self).__name__} says nowhere how it is computed")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.layers)})"


def shares(things, weights=None) -> dict:
    """{thing: share}: shares proportional to `weights` (equal by default) that add up to 1. Raises SettingError."""
    things = tuple(things)
    weights = [1.0] * len(things) if weights is None else [check_weight("in a list", w) for w in weights]
    if not things or len(weights) != len(things) or sum(weights) == 0:
        raise SettingError(f"{len(weights)} weights for {len(things)} layers or styles: give one each, not all of them 0")
    return {thing: weight / sum(weights) for thing, weight in zip(things, weights, strict=True)}
