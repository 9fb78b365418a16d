"""Edges: losses that keep outlines in place, two-sided (Lapstyle, Li et al. 2017) or one-sided, where new strokes are free."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import check_count
from nstlab.filters import laplacian, sobel
from nstlab.losses.base import Loss


def laplacian_loss(image: torch.Tensor, content: torch.Tensor, pool: int = 4) -> torch.Tensor:
    """Mean squared difference of the pooled Laplacians of two images (1, 3, H, W); 0 if they differ by a ramp."""
    return F.mse_loss(laplacian(image, pool), laplacian(content, pool))


def one_sided_edge_loss(image: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Mean square of the edge strength present in the content and missing in the image; new edges cost nothing."""
    return F.relu(sobel(content) - sobel(image)).square().mean()


class EdgeLoss(Loss):
    """Mean of `laplacian_loss` over those pool sizes that fit three times into the shorter side of the picture."""

    def __init__(self, content: torch.Tensor, pools=(2, 4)):
        super().__init__()
        self.content = images.check(content)
        self.pools = tuple(check_count("pool", pool) for pool in pools)

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.target = images.resize(self.content, size).to(encoder.device)

    def forward(self, features):
        image = features["image"]
        pools = [pool for pool in self.pools if min(image.shape[-2:]) >= 3 * pool]
        return sum((laplacian_loss(image, self.target, pool) for pool in pools), image.new_zeros(())) / max(1, len(pools))


class OutlineLoss(Loss):
    """`one_sided_edge_loss` to the photo, everywhere."""

    def __init__(self, content: torch.Tensor):
        super().__init__()
        self.content = images.check(content)

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.target = images.resize(self.content, size).to(encoder.device)

    def forward(self, features):
        return one_sided_edge_loss(features["image"], self.target)
