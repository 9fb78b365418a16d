"""Content: the picture's features stay near the photo's (feature reconstruction, Gatys et al. 2016)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.losses.base import Loss, shares
from nstlab.stats import single


def content_loss(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two feature tensors of the same shape (N, C, H, W)."""
    return F.mse_loss(single(features), target)


class ContentLoss(Loss):
    """Distance to the features of `content` (1, 3, H, W) at `layers`, averaged over layers by their weights.

    `rescale(channels, places)` is a factor for a layer's term, for the normalisation used in a paper (see presets).
    """

    def __init__(self, content: torch.Tensor, layers=("relu4_2",), layer_weights=None, rescale=None):
        super().__init__()
        self.shares = shares(layers, layer_weights)
        self.layers = tuple(self.shares)
        self.content = images.check(content)
        self.rescale = rescale or (lambda channels, places: 1.0)
        self.targets: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def prepare(self, encoder, size):
        features = encoder(images.resize(self.content, size).to(encoder.device), self.layers)
        self.targets = {layer: single(features[layer]) for layer in self.layers}

    def distance(self, features, layer: str) -> torch.Tensor:
        """The distance at one layer, before its share."""
        return content_loss(features[layer], self.targets[layer])

    def forward(self, features):
        total = 0.0
        for layer, share in self.shares.items():
            _, channels, height, width = features[layer].shape
            total = total + share * self.rescale(channels, height * width) * self.distance(features, layer)
        return total
