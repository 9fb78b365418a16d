"""From a draft to the finished picture: large forms first, strokes added at each finer scale (LapStyle, Lin et al. 2021)."""

import torch
from torch import nn

from nstlab import images, pyramid
from nstlab.errors import check_count
from nstlab.networks.generator import Staged, StyleNet, shares_of
from nstlab.networks.revision import Revision


class MultiscaleNet(Staged):
    """A StyleNet paints the photo at 1 / 2^(scales - 1) of its size; at each finer scale a Revision adds what is missing there.

    Every part knows all styles. `widths` and `blocks` are those of the revisions, `draft` the options of the StyleNet (which
    works on few pixels, and may be large). Fresh revisions add nothing: training begins with the draft, enlarged.
    """

    def __init__(self, styles: int = 1, scales: int = 3, *, widths=(32, 64), blocks: int = 3, norm="instance", draft=None):
        super().__init__()
        scales = check_count("scales", scales)
        self.draft = StyleNet(styles, **{"norm": norm} | (draft or {}))
        self.revisions = nn.ModuleList(Revision(styles, widths=widths, blocks=blocks, norm=norm) for _ in range(scales - 1))

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
