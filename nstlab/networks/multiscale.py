"""From a draft to the finished picture: large forms first, strokes added at each finer scale (LapStyle, Lin et al. 2021)."""

import torch
from torch import nn

from nstlab import images, pyramid
from nstlab.errors import check_count
from nstlab.networks.generator import Core, StyleNet, count_styles, shares_of


class MultiscaleNet(nn.Module):
    """A StyleNet paints the photo at 1 / 2^(scales - 1) of its size; at each finer scale a Revision adds what is missing there.

    Every part knows all styles. `widths` and `blocks` are those of the revisions, `draft` the options of the StyleNet (which
    works on few pixels, and may be large). Fresh revisions add nothing: training begins with the draft, enlarged.
    """

    def __init__(self, styles: int = 1, scales: int = 3, *, widths=(32, 64), blocks: int = 3, norm="instance", draft=None):
        super().__init__()
        scales = check_count("scales", scales)
        self.draft = StyleNet(styles, **{"norm": norm} | (draft or {}))
        self.revisions = nn.ModuleList(Revision(styles, widths=widths, blocks=blocks, norm=norm) for _ in range(scales - 1))

    @property
    def styles(self) -> int:
        """How many styles it holds."""
        return count_styles(self)

    @property
    def scales(self) -> int:
        """How many sizes it paints at."""
        return 1 + len(self.revisions)

    def forward(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """The painted image (N, 3, H, W) in [0, 1] of an image of any size; `blend` as for StyleNet."""
        return self.forward_all(image, blend)[-1]

    def forward_all(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The picture at each scale, coarse to fine: the draft first, the finished one last."""
        image = images.check(image)
        blend = shares_of(blend, self.styles, image)
        *bands, small = pyramid.laplacian_pyramid(image, self.scales)
        pictures = [self.draft(small, blend)]
        for band, revision in zip(reversed(bands), self.revisions, strict=True):
            pictures.append(revision(band, pictures[-1], blend))
        return pictures


class Revision(nn.Module):
    """Adds a band of details to an enlarged draft, given the photo's own details at this scale. `options`: those of Core."""

    def __init__(self, styles: int, **options):
        super().__init__()
        self.core = Core(styles, 6, **options)
        nn.init.zeros_(self.core.last.weight)

    def forward(self, band: torch.Tensor, draft: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) in [0, 1] of the photo's band of that size and the draft (N, 3, h, w)."""
        draft = pyramid.upsample(draft, tuple(band.shape[-2:]))
        return held(draft + torch.tanh(self.core(torch.cat([band, draft], 1), blend)))


def held(image: torch.Tensor) -> torch.Tensor:
    """The image cut to [0, 1], with the gradient of the uncut one (straight-through, Bengio et al. 2013).

    Cutting alone stops the gradient, and a pixel pushed too far would never return. As a band is at most 1 high, none can
    drift far.
    """
    return image.clamp(0, 1).detach() + (image - image.detach())
