"""Saliency: weights content by a guide, at the same content strength overall.

The survey gives no equation; weights with mean 1 make a comparison fair (compare Liu et al. 2019).
"""

import torch

from nstlab.errors import check_weight
from nstlab.filters import at_size
from nstlab.losses.content import ContentLoss
from nstlab.stats import single


def mean_one_weights(guide: torch.Tensor, size: tuple[int, int], k: float) -> torch.Tensor:
    """(1 + k S) / mean(1 + k S) at `size` (h, w), for each map S of `guide` (N, 1, H, W), area-averaged.

    The mean is 1 for all k and S, so the weights redistribute content strength and never add any. k = 0 or a uniform S gives
    1 everywhere.
    """
    raised = 1 + check_weight("k", k) * at_size(guide, size)
    return raised / raised.mean((1, 2, 3), keepdim=True)


def weighted_content_loss(features: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of weights (1 or N, 1, h, w) times the squared difference of two feature tensors (N, C, h, w)."""
    return (weights * (single(features) - target).square()).mean()


class SaliencyContentLoss(ContentLoss):
    """ContentLoss with places weighted by `mean_one_weights` of `guide` (1, 1, H, W). k = 0 is exactly ContentLoss."""

    def __init__(self, content: torch.Tensor, guide: torch.Tensor, k: float = 8.0, **options):
        super().__init__(content, **options)
        self.guide, self.k = guide, check_weight("k", k)
        self.weights: dict[str, torch.Tensor] = {}
        self.uniform: dict[str, bool] = {}

    @torch.no_grad()
    def prepare(self, encoder, size):
        super().prepare(encoder, size)
        guide = self.guide.to(encoder.device)
        self.weights = {layer: mean_one_weights(guide, target.shape[-2:], self.k) for layer, target in self.targets.items()}
        self.uniform = {layer: bool((weights == weights.flatten()[0]).all()) for layer, weights in self.weights.items()}

    def distance(self, features, layer):
        if self.uniform[layer]:
            return super().distance(features, layer)
        return weighted_content_loss(features[layer], self.targets[layer], self.weights[layer])
