"""Mean and standard deviation of each channel: the style of one-pass systems (Huang & Belongie 2017; Li et al. 2017)."""

import torch
import torch.nn.functional as F

from nstlab.stats import mean_std


def moment_loss(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the channels' means, and of their standard deviations, of features (N, C, h, w) and those of
    the style (N, C, h', w'), added up."""
    return sum(F.mse_loss(ours, theirs) for ours, theirs in zip(mean_std(features), mean_std(target), strict=True))
