"""Saliency: content counts more where the guide says that it matters, at the same content strength overall.

The survey asks for it without an equation; the weights with mean 1 are what makes a comparison fair (compare Liu et al. 2019).
"""

import torch

from nstlab.errors import check_weight
from nstlab.filters import at_size
from nstlab.losses.content import ContentLoss
from nstlab.stats import single


def mean_one_weights(guide: torch.Tensor, size: tuple[int, int], k: float) -> torch.Tensor:
    """(1 + k S) / mean(1 + k S) at `size` (h, w), for each map S of (N, 1, H, W), averaged over areas.

    The mean is 1 whatever k and S are, so the weights move content strength about and never add any. k = 0, or the same S
    everywhere, gives 1 everywhere.
    """
    raised = 1 + check_weight("k", k) * at_size(guide, size)
    return raised / raised.mean((1, 2, 3), keepdim=True)


def weighted_content_loss(features: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of weights (1 or N, 1, h, w) times the squared difference of two feature tensors (N, C, h, w)."""
    return (weights * (single(features) - target).square()).mean()


class SaliencyContentLoss(ContentLoss):
    """ContentLoss with every place weighted by `mean_one_weights` of `guide` (1, 1, H, W). k = 0 is ContentLoss exactly."""

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
