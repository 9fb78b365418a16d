"""Adaptive instance normalisation: each channel gets the style's mean and standard deviation (Huang & Belongie 2017)."""

from nstlab.feature_transforms.base import FeatureTransform
from nstlab.stats import mean_std, single

ROUNDING = 1e-5  # a smaller standard deviation is that of a constant channel, rounded


class AdaIN(FeatureTransform):
    """sigma_s (F - mu_c) / sigma_c + mu_s, channel by channel.

    The standard deviation is met exactly where the content's variance is at least `eps`; below it, the variances of both sides
    are raised by what the content's lacks, so that a channel that is dead in the content gets the style's mean and no noise
    is blown up. Published code adds 1e-5 everywhere, which misses the deviation of quiet channels by up to 1e-2.
    """

    def __init__(self, alpha=1.0, eps: float = 1e-5):
        super().__init__(alpha)
        self.eps = eps

    def describe(self, style, mask=None):
        """(mean, standard deviation) of each channel, each (N, C)."""
        return mean_std(style, eps=0, mask=mask)

    def match(self, content, target, mask=None):
        mean, std = (each[..., None, None] for each in self.describe(content, mask))
        wanted_mean, wanted_std = (each[..., None, None] for each in target)
        lack = (self.eps - std.square()).clamp_min(0)
        gain = ((wanted_std.square() + lack) / (std.square() + lack)).sqrt()
        return (single(content) - mean) * gain.where(std > ROUNDING, 0) + wanted_mean
