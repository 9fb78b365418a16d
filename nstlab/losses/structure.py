"""Structure: keeps light and dark in place, weighted by saliency (SSIM of the luminance, Wang et al. 2004)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.filters import at_size, blocks
from nstlab.losses.base import Loss

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
BLOCK = 1.4  # times a stroke's width: finer structure is free


def ssim_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity (N, 1, H, W) of two maps in [0, 1], by an 11x11 Gaussian window of sigma 1.5; 1 where equal."""
    steps = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    row = torch.exp(-steps.square() / (2 * SIGMA**2))
    row = row / row.sum()

    def blur(x):
        x = images.pad(x, (WINDOW // 2,) * 4)
        channels = x.shape[1]
        across = row.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        return F.conv2d(F.conv2d(x, across, groups=channels), across.transpose(2, 3), groups=channels)

    mean_a, mean_b, aa, bb, ab = blur(torch.cat((a, b, a * a, b * b, a * b), 1)).chunk(5, 1)
    var_a, var_b, both = aa - mean_a.square(), bb - mean_b.square(), ab - mean_a * mean_b
    c1, c2 = K1**2, K2**2
    return ((2 * mean_a * mean_b + c1) * (2 * both + c2)) / ((mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2))


def structure_loss(
    image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None, block: float = 1
) -> torch.Tensor:
    """1 - SSIM of the luminance of two images (1, 3, H, W), averaged with the weights of a map (1, 1, H, W) if one is given.

    If `block` exceeds 1 pixel, the luminance is averaged over `blocks` first: finer structure is free.
    """
    similarity = ssim_map(blocks(luminance(image), block), blocks(luminance(content), block))
    if guide is None:
        return 1 - similarity.mean()
    guide = at_size(guide, tuple(similarity.shape[-2:]))
    return 1 - (guide * similarity).sum() / guide.sum().clamp_min(1e-6)


class StructureLoss(Loss):
    """`structure_loss` relative to the photo, inside the region marked by the guide (everywhere if it marks nothing).

    `block` is a share of the long side, such as 1/128 (0: every pixel counts). `finer` lists places of finer detail as
    [(map (1, 1, H, W), block)]: each adds a `structure_loss` with its own block, weighted by the mean of its map relative to
    that of the guide.
    """

    def __init__(self, content: torch.Tensor, guide: torch.Tensor | None = None, block: float = 0.0, finer=()):
        super().__init__()
        self.content, self.guide = images.check(content), guide
        self.block, self.finer = block, tuple(finer)

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.target = images.resize(self.content, size).to(encoder.device)
        guide = None
        if self.guide is not None and float(self.guide.sum()) > 0:
            guide = at_size(self.guide, size).to(encoder.device)
        self.parts = [(1.0, guide, self.block * max(size))]
        for places, block in self.finer:
            places = at_size(places, size).to(encoder.device)
            share = float(places.mean() / (1 if guide is None else guide.mean()))
            self.parts.append((share, places, block * max(size)))

    def forward(self, features):
        image = features["image"]
        return sum(share * structure_loss(image, self.target, guide, block) for share, guide, block in self.parts)
