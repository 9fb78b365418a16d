"""Structure: light and dark stay where they were, weighted by saliency (SSIM of luminance, Wang et al. 2004)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.filters import at_size
from nstlab.losses.base import Loss

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03


def blocks(x: torch.Tensor, size: float) -> torch.Tensor:
    """Maps or images (N, C, H, W) averaged over blocks of `size` pixels, as one of fewer pixels; at most 1 pixel: x itself.

    The blocks overlap and fade towards their edges, so that what reads them cannot leave a pattern of squares behind.
    """
    if size <= 1:
        return x
    sides = [max(1, round(side / size)) for side in x.shape[-2:]]
    return F.interpolate(x, sides, mode="bilinear", antialias=True, align_corners=False)


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


def structure_loss(image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None) -> torch.Tensor:
    """1 - SSIM of the luminance of two images, averaged with the weights of a map (1, 1, H, W), or plainly without one."""
    similarity = ssim_map(luminance(image), luminance(content))
    if guide is None:
        return 1 - similarity.mean()
    return 1 - (guide * similarity).sum() / guide.sum().clamp_min(1e-6)


class StructureLoss(Loss):
    """`structure_loss` to the photo, inside the region that the guide marks (all of it if it marks nothing)."""

    def __init__(self, content: torch.Tensor, guide: torch.Tensor | None = None):
        super().__init__()
        self.content, self.guide = images.check(content), guide

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.target = images.resize(self.content, size).to(encoder.device)
        self.weights = None
        if self.guide is not None and float(self.guide.sum()) > 0:
            self.weights = at_size(self.guide, size).to(encoder.device)

    def forward(self, features):
        return structure_loss(features["image"], self.target, self.weights)
