"""Depth: what was near stays near (Liu et al. 2017; Ioannou & Maddock 2022).

In the papers, it is the mean squared difference of a depth network's output for both pictures. Such networks predict depth only
up to scale and shift, so here the two maps are aligned first: the loss is 1 - their correlation.
"""

from collections.abc import Callable

import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.losses.base import Loss


def depth_loss(found: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - correlation of two depth maps (1, 1, H, W): 0 if one is an increasing affine function of the other, 2 if decreasing.

    It is 0 for a flat target, which has no depth to keep.
    """
    x, y = found - found.mean(), target - target.mean()
    if y.square().mean() < 1e-8:
        return (x * 0).sum()
    return 1 - (x * y).sum() / (x.square().sum() * y.square().sum() + 1e-12).sqrt()


class DepthLoss(Loss):
    """`depth_loss` between the estimator's nearness of the picture and the nearness of the photo.

    `estimator` maps an image (1, 3, H, W) to nearness (1, 1, H, W) and is differentiable, such as
    `networks.scene_depth.scene_depth`. `target` is the true nearness of the photo, if known; by default it is estimated, too.
    """

    def __init__(self, content: torch.Tensor, estimator: Callable[[torch.Tensor], torch.Tensor], target=None):
        super().__init__()
        if not callable(estimator):
            raise SettingError(f"a depth loss needs a function from picture to depth, not {type(estimator).__name__}")
        self.content, self.estimator, self.known = images.check(content), estimator, target

    @torch.no_grad()
    def prepare(self, encoder, size):
        photo = images.resize(self.content, size).to(encoder.device)
        known = None if self.known is None else images.resize(self.known, size).to(encoder.device)
        self.target = self.estimator(photo) if known is None else known

    def forward(self, features):
        return depth_loss(self.estimator(features["image"]), self.target)
