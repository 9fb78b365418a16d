"""Smoothness: keeps neighbouring pixels similar (total variation, squared form of Mahendran & Vedaldi 2015)."""

import torch

from nstlab.losses.base import Loss


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical ones; 0 for a single pixel."""
    across = (image[..., :, 1:] - image[..., :, :-1]).square()
    down = (image[..., 1:, :] - image[..., :-1, :]).square()
    return sum((d.mean() for d in (across, down) if d.numel()), image.new_zeros(()))


class SmoothnessLoss(Loss):
    """Total variation of the picture itself; it has no target."""

    def forward(self, features):
        return total_variation(features["image"])
