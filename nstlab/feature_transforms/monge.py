"""The affine map that gives features the style's mean and covariance and moves them least (Monge; Pitie & Kokaram 2007)."""

import torch

from nstlab.feature_transforms.base import FeatureTransform
from nstlab.feature_transforms.whitening import affine
from nstlab.stats import moments, monge_matrix


class Monge(FeatureTransform):
    """A (F - mu_c) + mu_s with the symmetric A for which A Sigma_c A = Sigma_s.

    At alpha below 1 this is displacement interpolation between the two normal distributions (McCann 1997). `floor` is added
    to the variances of both sides: what hardly varies in the content, such as the noise of a flat picture, is not blown up.
    """

    def __init__(self, alpha=1.0, floor: float = 1e-3):
        super().__init__(alpha)
        self.floor = floor

    def describe(self, style, mask=None):
        """(mean (N, C, 1), covariance (N, C, C)), in float64."""
        return moments(style, mask)

    def match(self, content, target, mask=None):
        (mean, covariance), (wanted_mean, wanted) = moments(content, mask), target
        least = self.floor * torch.eye(wanted.shape[-1], dtype=wanted.dtype, device=wanted.device)
        return affine(content, monge_matrix(covariance + least, wanted + least), mean, wanted_mean)
