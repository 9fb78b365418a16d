"""Edges: outlines stay where they were (Lapstyle, Li et al. 2017), and new strokes cost nothing (one-sided)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import check_count
from nstlab.filters import at_size, blocks, laplacian, sobel
from nstlab.losses.base import Loss


def laplacian_loss(image: torch.Tensor, content: torch.Tensor, pool: int = 4) -> torch.Tensor:
    """Mean squared difference of the pooled Laplacians of two images (1, 3, H, W); 0 if they differ by a ramp."""
    return F.mse_loss(laplacian(image, pool), laplacian(content, pool))


def one_sided_edge_loss(
    image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None, block: float = 1
) -> torch.Tensor:
    """Mean square of the edge strength that the content has and the image lacks; edges that are new cost nothing.

    Averaged with the weights of a map, if given; with a `block` of more than 1 pixel, of the edges between `blocks`.
    """
    lost = F.relu(sobel(blocks(content, block)) - sobel(blocks(image, block))).square()
    if guide is None:
        return lost.mean()
    guide = at_size(guide, tuple(lost.shape[-2:]))
    return (guide * lost).sum() / guide.sum().clamp_min(1e-6)


class EdgeLoss(Loss):
    """Mean of `laplacian_loss` over the pool sizes that the picture is large enough for."""

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
    """`one_sided_edge_loss` to the photo, everywhere, at blocks of that share of the long side (0: between pixels).

    `finer` are places of finer detail, as [(map (1, 1, H, W), block)]: each adds its own loss in proportion to its area.
    """

    def __init__(self, content: torch.Tensor, block: float = 0.0, finer=()):
        super().__init__()
        self.content, self.block, self.finer = images.check(content), block, tuple(finer)

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.target = images.resize(self.content, size).to(encoder.device)
        self.parts = [(1.0, None, self.block * max(size))]
        for places, block in self.finer:
            places = at_size(places, size).to(encoder.device)
            self.parts.append((float(places.mean()), places, block * max(size)))

    def forward(self, features):
        image = features["image"]
        return sum(share * one_sided_edge_loss(image, self.target, guide, block) for share, guide, block in self.parts)
