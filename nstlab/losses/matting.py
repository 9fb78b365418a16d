"""Photorealism: inside every 3x3 window the picture's colours are an affine function of the photo's (Luan et al. 2017).

The penalty is the quadratic form of the matting Laplacian (Levin et al. 2006). Written window by window it needs no
matrix: it is what is left of the picture's variance once the photo has explained all it can.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.losses.base import Loss

EPS = 1e-7  # of Luan et al.; the price of a steep affine map


def window_mean(x: torch.Tensor) -> torch.Tensor:
    """Mean over each 3x3 window that lies inside the picture: (N, C, H, W) -> (N, C, H-2, W-2)."""
    return F.avg_pool2d(x, 3, 1)


def window_model(photo: torch.Tensor, eps: float = EPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each window of a photo (1, 3, H, W): its mean colour, and the inverse (h, w, 3, 3) of covariance + eps / 9."""
    mean = window_mean(photo)
    pairs = (photo[:, :, None] * photo[:, None]).flatten(1, 2)
    covariance = window_mean(pairs) - (mean[:, :, None] * mean[:, None]).flatten(1, 2)
    covariance = covariance[0].view(3, 3, *mean.shape[-2:]).permute(2, 3, 0, 1)
    return mean, torch.linalg.inv(covariance + eps / 9 * torch.eye(3, dtype=photo.dtype, device=photo.device))


def matting_energy(image: torch.Tensor, photo: torch.Tensor, model=None) -> torch.Tensor:
    """Sum over colours c of V_c^T M V_c, M the photo's matting Laplacian, for images (1, C, H, W) and (1, 3, H, W).

    A window costs 9 (var(V) - cov(V, I)^T (cov(I) + eps / 9)^-1 cov(V, I)). 0 for an affine recolouring of the photo but
    for eps. Give float64: the differences are small. `model` is `window_model` of the photo, if it is at hand.
    """
    mean, inverse = model or window_model(photo)
    ours = window_mean(image)
    variance = window_mean(image.square()) - ours.square()
    cross = (photo[:, :, None] * image[:, None]).flatten(1, 2)
    cross = window_mean(cross) - (mean[:, :, None] * ours[:, None]).flatten(1, 2)
    cross = cross[0].view(3, image.shape[1], *ours.shape[-2:]).permute(2, 3, 0, 1)  # (h, w, 3, C)
    explained = (cross * (inverse @ cross)).sum((2, 3))
    return 9 * (variance.sum() - explained.sum())


class MattingLoss(Loss):
    """`matting_energy` to the photo over 9 C H W: the share of each pixel's variance that no recolouring explains."""

    def __init__(self, content: torch.Tensor, eps: float = EPS):
        super().__init__()
        self.content, self.eps = images.check(content), eps

    @torch.no_grad()
    def prepare(self, encoder, size):
        exact = torch.float32 if encoder.device.type == "mps" else torch.float64
        self.target = images.resize(self.content, size).to(encoder.device, exact)
        self.model = window_model(self.target, self.eps) if min(size) >= 3 else None

    def forward(self, features):
        image = features["image"]
        if self.model is None:  # no window fits into a picture this thin
            return image.new_zeros(())
        energy = matting_energy(image.to(self.target.dtype), self.target, self.model)
        return (energy / (9 * image.numel())).float()
