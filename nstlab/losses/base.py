"""What every loss is."""

import torch
from torch import nn

from nstlab.errors import SettingError, check_weight


class Loss(nn.Module):
    """A scalar read from features. `layers` names those it reads; `prepare` makes its targets for one picture size."""

    layers: tuple[str, ...] = ("image",)

    def prepare(self, encoder, size: tuple[int, int]) -> None:
        """Make the targets for an output of (H, W) pixels. Called again whenever the scale changes."""

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss, a scalar in float32, of features as an Encoder returns them."""
        raise TypeError(f"{type(self).__name__} says nowhere how it is computed")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.layers)})"


def shares(things, weights=None) -> dict:
    """{thing: share}, the shares in proportion to `weights` (equal without them) and adding up to 1."""
    things = tuple(things)
    weights = [1.0] * len(things) if weights is None else [check_weight("in a list", w) for w in weights]
    if not things or len(weights) != len(things) or sum(weights) == 0:
        raise SettingError(f"{len(weights)} weights for {len(things)} layers or styles: give one each, not all of them 0")
    return {thing: weight / sum(weights) for thing, weight in zip(things, weights, strict=True)}
