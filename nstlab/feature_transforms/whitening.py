"""Whitening and colouring: the features get the style's mean and its whole covariance (Li et al. 2017).

Features are uncorrelated first, F_w = Sigma_c^-1/2 (F - mu_c), and then correlated as the style's are, Sigma_s^1/2 F_w + mu_s.
Both roots are symmetric, which moves the features least and makes the signs of the eigenvectors irrelevant.
"""

from dataclasses import dataclass

import torch

from nstlab.feature_transforms.base import FeatureTransform
from nstlab.stats import moments, single

FLOOR = 1e-5  # of Li et al.: eigenvalues below it count as 0


@dataclass(frozen=True)
class Spectrum:
    """Mean (N, C, 1) of features and the eigenvalues (N, C) and eigenvectors (N, C, C) of their covariance, in float64.

    `kept` (N, C) marks the directions in which the features vary at all; the others stay out of every power.
    """

    mean: torch.Tensor
    values: torch.Tensor
    vectors: torch.Tensor
    kept: torch.Tensor

    @property
    def rank(self) -> list[int]:
        """How many directions of each item are kept."""
        return self.kept.sum(1).tolist()

    @property
    def projector(self) -> torch.Tensor:
        """The projector (N, C, C) onto the kept directions."""
        return self.power(0)

    def power(self, exponent: float) -> torch.Tensor:
        """Power of the covariance (N, C, C) on the kept directions, 0 on the others."""
        powers = torch.where(self.kept, torch.where(self.kept, self.values, 1).pow(exponent), 0)
        return (self.vectors * powers.unsqueeze(1)) @ self.vectors.mT


def spectrum(features: torch.Tensor, mask: torch.Tensor | None = None, floor: float = FLOOR, identity: float = 0) -> Spectrum:
    """The Spectrum of features (N, C, h, w), inside a mask (1 or N, 1, h, w) if there is one.

    Eigenvalues of at most `floor`, and those that are rounding errors beside the largest, are dropped. `identity` times the
    identity is added to the covariance first, as PhotoWCT and WCT2 do: then nothing is dropped.
    """
    mean, covariance = moments(features, mask)
    if covariance.device.type == "cuda":  # small, and LAPACK's is the same everywhere
        mean, covariance = mean.cpu(), covariance.cpu()
    values, vectors = torch.linalg.eigh(covariance + identity * torch.eye(covariance.shape[-1], dtype=covariance.dtype))
    rounding = values.shape[1] * torch.finfo(values.dtype).eps * values[:, -1:].clamp_min(0)
    return Spectrum(mean, values, vectors, values > rounding.clamp_min(floor))


class Whitening(FeatureTransform):
    """Whitening and colouring of features.

    On n places or channels that are dead the content's covariance has not full rank, and then the result's is K P K, with K
    the square root of the style's and P the projector on the content's kept directions; it is the style's only if P is the
    identity. `identity` 1 is the variant of PhotoWCT and WCT2: it drops nothing and amplifies less, and misses the style's
    covariance the more, the smaller the features are (0.09 relative at variances about 1). `floor`: see `spectrum`.
    """

    def __init__(self, alpha=1.0, floor: float = FLOOR, identity: float = 0.0):
        super().__init__(alpha)
        self.floor, self.identity = floor, identity

    def spectrum(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> Spectrum:
        """The Spectrum of features as this transform sees it; its `rank` says how many directions are kept."""
        return spectrum(features, mask, self.floor, self.identity)

    def describe(self, style, mask=None):
        """(mean (N, C, 1), square root (N, C, C) of the covariance), in float64."""
        seen = self.spectrum(style, mask)
        return seen.mean, seen.power(0.5)

    def match(self, content, target, mask=None):
        seen, (mean, root) = self.spectrum(content, mask), target
        return affine(content, root @ seen.power(-0.5), seen.mean, mean)

    def whiten(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The features with mean 0, and covariance 1 on the kept directions and 0 on the others."""
        seen = self.spectrum(features, mask)
        return affine(features, seen.power(-0.5), seen.mean, torch.zeros_like(seen.mean))


def affine(features: torch.Tensor, matrix: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """matrix (F - before) + after of features (N, C, h, w), for means (N or 1, C, 1), in float32 or better."""
    flat = single(features).flatten(2)
    matrix, before, after = (each.to(flat.device, flat.dtype) for each in (matrix, before, after))
    return (matrix @ (flat - before) + after).view(features.shape)
