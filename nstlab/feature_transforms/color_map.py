"""The colour map of Ke et al. 2023 as a transform: here the features are the picture itself, (N, 3, H, W) in [0, 1]."""

import torch

from nstlab.feature_transforms.base import FeatureTransform


class ColorMap(FeatureTransform):
    """Colours mapped from the content's look to the style's by a network (a `networks.PresetNet`).

    Unlike the others it gives a style's own picture back nearly, not exactly: that is learned. What lies outside a mask is
    looked at as if it had the mean colour inside.
    """

    def __init__(self, network, alpha: float | torch.Tensor = 1.0):
        super().__init__(alpha)
        self.network = network

    @torch.no_grad()
    def describe(self, style, mask=None):
        """The style's code (N, k, k)."""
        return self.network.codes(inside(style, mask)).style

    @torch.no_grad()
    def match(self, content, target, mask=None):
        """The content in the look of a code (N, k, k), clipped to [0, 1]."""
        return self.network.preset(inside(content, mask), target)(content)


def inside(image: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The image with its mean colour inside the mask (1 or N, 1, H, W) wherever the mask is 0; the image itself without one."""
    if mask is None:
        return image
    mean = (image * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp_min(1e-6)
    return mean + mask * (image - mean)
