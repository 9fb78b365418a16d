"""Selective emphasis: content weighted by place and by channel.

The survey cites "Neural style transfer for selective feature emphasis" (Kumar & Rexie 2024). Its text could not be located, so
this is an interpretation: places are weighted by a map as in SaliencyContentLoss, channels by how much they distinguish the
marked region.
"""

import torch

from nstlab.filters import at_size
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.stats import single


def channel_attention(features: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """Weights (1, C, 1, 1) of mean 1 for features (1, C, h, w): high for channels more active inside the map than outside.

    softmax over channels of (mean inside - mean outside) / tau, times C, where tau is the standard deviation of these
    differences. For a uniform map all weights are 1.
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
    """SaliencyContentLoss with channels also weighted, by `channel_attention` of the photo (unless `channels` is False).

    k = 0 with `channels` False is exactly ContentLoss.
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
