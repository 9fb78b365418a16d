"""Selective emphasis: content counts more at some places and in some channels.

"Neural style transfer for selective feature emphasis" (Kumar & Rexie 2024) is named by the survey; its text could not be
located, so this is a reading: places by a map as in SaliencyContentLoss, channels by what is peculiar to the marked region.
"""

import torch

from nstlab.filters import at_size
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.stats import single


def channel_attention(features: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """Weights (1, C, 1, 1) of mean 1 for features (1, C, h, w): high where a channel fires more inside the map than outside.

    softmax over channels of (mean inside - mean outside) / tau, times C; tau is the deviation of those differences. A
    uniform map has no inside: all weights are 1.
    """
    places = at_size(guide, features.shape[-2:]).to(features.device)
    if bool((places == places.flatten()[0]).all()):
        return torch.ones(1, features.shape[1], 1, 1, device=features.device)
    features = single(features)
    inside = (features * places).sum((2, 3)) / places.sum()
    outside = (features * (1 - places)).sum((2, 3)) / (1 - places).sum()
    difference = inside - outside
    weights = torch.softmax(difference / difference.std().clamp_min(1e-12), 1) * features.shape[1]
    return (weights / weights.mean())[..., None, None]


class SelectiveContentLoss(SaliencyContentLoss):
    """SaliencyContentLoss whose channels are weighted too, by `channel_attention` of the photo (`channels` False: not).

    k = 0 without channels is ContentLoss exactly.
    """

    def __init__(self, content, guide, k: float = 4.0, *, channels: bool = True, layers=("relu3_1", "relu4_2"), **options):
        super().__init__(content, guide, k, layers=layers, **options)
        self.channels = channels
        self.emphasis: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def prepare(self, encoder, size):
        super().prepare(encoder, size)
        self.emphasis = {layer: channel_attention(target, self.guide) for layer, target in self.targets.items()}

    def distance(self, features, layer):
        if not self.channels:
            return super().distance(features, layer)
        error = (single(features[layer]) - self.targets[layer]).square()
        return (self.weights[layer] * self.emphasis[layer] * error).mean()
