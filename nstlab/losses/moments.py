"""Mean and standard deviation of each channel: the style of one-pass systems (Huang & Belongie 2017; Li et al. 2017)."""

import torch
import torch.nn.functional as F

from nstlab.stats import mean_std


def moment_loss(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the channels' means plus that of their standard deviations.

    `features` (N, C, h, w) and `target` (N, C, h', w') may differ in size.
    """
    return sum(F.mse_loss(ours, theirs) for ours, theirs in zip(mean_std(features), mean_std(target), strict=True))
