"""Semantic preservation: keeps the deep features of a region near the photo's, whatever its size; by a map or by priorities.

The survey gives no equation; a mean per region, divided by its area, is an interpretation.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError, check_weight
from nstlab.filters import at_size
from nstlab.losses.base import Loss, shares
from nstlab.losses.content import ContentLoss
from nstlab.stats import single


def region_distances(features: torch.Tensor, target: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two feature tensors (1, C, h, w) over each of the masks (R, 1, h, w), as (R,)."""
    error = (single(features) - target).square().mean(1, keepdim=True)
    return (error * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp_min(1e-6)


class InsideContentLoss(ContentLoss):
    """The mean of ContentLoss weighted by the values of a map (1, 1, H, W); 0 for an empty map.

    Unlike SaliencyContentLoss, which redistributes content strength, it adds: small and large regions count alike.
    """

    def __init__(self, content: torch.Tensor, guide: torch.Tensor, layers=("relu4_2",), **options):
        super().__init__(content, layers, **options)
        self.guide = guide

    @torch.no_grad()
    def prepare(self, encoder, size):
        super().prepare(encoder, size)
        self.places = {}
        for layer, target in self.targets.items():
            places = at_size(self.guide, target.shape[-2:]).to(encoder.device)
            self.places[layer] = places / places.sum().clamp_min(1e-6)

    def distance(self, features, layer):
        error = (single(features[layer]) - self.targets[layer]).square().mean(1, keepdim=True)
        return (self.places[layer] * error).sum()


class SemanticLoss(Loss):
    """Sum over labels of priority times the feature distance inside the label, divided by the label's area.

    `labels` is int64 (1, H, W); `priorities` is {label: weight}, scaled to add up to 1. Labels without a priority are not
    protected. Raises SettingError for a label that no pixel has.
    """

    def __init__(
        self, content: torch.Tensor, labels: torch.Tensor, priorities: dict[int, float], layers=("relu3_1", "relu4_2")
    ):
        super().__init__()
        here = set(labels.unique().tolist())
        missing = [label for label in priorities if label not in here]
        if missing:
            raise SettingError(f"no region has the label {missing[0]}: there are {sorted(here)}")
        for label, priority in priorities.items():
            check_weight(f"of label {label}", priority)
        self.priorities = shares(priorities, list(priorities.values()))
        self.shares = shares(layers)
        self.layers = tuple(self.shares)
        self.content = images.check(content)
        self.masks = torch.stack([(labels == label).float() for label in self.priorities])

    @torch.no_grad()
    def prepare(self, encoder, size):
        features = encoder(images.resize(self.content, size).to(encoder.device), self.layers)
        self.targets = {layer: single(features[layer]) for layer in self.layers}
        self.placed = {
            layer: F.interpolate(self.masks, target.shape[-2:], mode="area").to(encoder.device)
            for layer, target in self.targets.items()
        }
        self.weights = torch.tensor(list(self.priorities.values()), device=encoder.device)

    def forward(self, features):
        return sum(
            share * (self.weights * region_distances(features[layer], self.targets[layer], self.placed[layer])).sum()
            for layer, share in self.shares.items()
        )
