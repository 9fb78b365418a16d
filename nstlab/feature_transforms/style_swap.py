"""Style swap: every patch of the content's features gives way to the style's patch most like it (Chen & Schmidt 2016)."""

import torch
import torch.nn.functional as F

from nstlab.errors import SettingError, check_count
from nstlab.feature_transforms.base import FeatureTransform
from nstlab.feature_transforms.whitening import FLOOR, Whitening, affine
from nstlab.stats import single

CHUNK = 2**24  # similarities held at a time


class StyleSwap(FeatureTransform):
    """Patches of `patch` x `patch` places, found by normalised cross-correlation and averaged where they overlap.

    A mask on the style leaves the patches whose middle it marks; one on the content only says where the result goes. On
    features with a side shorter than a patch, patches are as large as fits. Costs places of the content times the style's.
    """

    def __init__(self, alpha=1.0, patch: int = 3):
        super().__init__(alpha)
        self.patch = check_count("patch", patch)

    def describe(self, style, mask=None):
        """(features (N, C, h, w), mask or None): patches are cut when they are needed, as they may be many."""
        return single(style), mask

    def match(self, content, target, mask=None):
        content, (style, kept) = single(content), target
        count, size = len(content), min(self.patch, *content.shape[-2:], *style.shape[-2:])
        styles = style.expand(count, -1, -1, -1)
        masks = [None] * count if kept is None else kept.expand(count, -1, -1, -1)
        made = [_swap(item[None], other[None], mask, size) for item, other, mask in zip(content, styles, masks, strict=True)]
        return torch.cat(made)


class WhitenedSwap(StyleSwap):
    """Style swap among whitened features, coloured again afterwards: patches are compared by form, not by colour or strength.

    This is what the universal transfer of Li et al. (2017) does at its deepest level when asked for patches.
    """

    def __init__(self, alpha=1.0, patch: int = 3, floor: float = FLOOR):
        super().__init__(alpha, patch)
        self.floor, self.whitening = floor, Whitening(floor=floor)

    def describe(self, style, mask=None):
        """(mean, root of the covariance, whitened patches) of the style."""
        seen = self.whitening.spectrum(style, mask)
        white = affine(style, seen.power(-0.5), seen.mean, torch.zeros_like(seen.mean))
        return seen.mean, seen.power(0.5), super().describe(white, mask)

    def match(self, content, target, mask=None):
        mean, root, patches = target
        swapped = super().match(self.whitening.whiten(content, mask), patches)
        return affine(swapped, root, torch.zeros_like(mean), mean)


def _swap(content: torch.Tensor, style: torch.Tensor, kept: torch.Tensor | None, size: int) -> torch.Tensor:
    """The content (1, C, h, w) made of patches of the style (1, C, h', w') of `size` x `size` places."""
    theirs = F.unfold(style, size)[0].T  # (patches, C size size)
    if kept is not None:
        before, after = (size - 1) // 2, size // 2
        height, width = kept.shape[-2:]
        middles = kept[0, before : height - after, before : width - after].flatten() >= 0.5
        if not bool(middles.any()):
            raise SettingError("the style's mask holds no whole patch: draw a larger region, or leave it out")
        theirs = theirs[middles]
    ours = F.unfold(content, size)  # (1, C size size, places)
    nearest = nearest_patches(ours[0].T, theirs)
    patches = theirs[nearest].T[None]
    shape = tuple(content.shape[-2:])
    return F.fold(patches, shape, size) / F.fold(torch.ones_like(ours[:, : size * size]), shape, size)


def nearest_patches(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """For each row of `ours` (n, d) the number of the row of `theirs` (m, d) of the highest normalised correlation, (n,)."""
    directions = theirs / theirs.norm(dim=1, keepdim=True).clamp_min(1e-12)
    rows = max(1, CHUNK // len(theirs))
    return torch.cat([(part @ directions.T).argmax(1) for part in ours.split(rows)])
