"""A deterministic colour map in two stages: one takes a photo's look away, one gives it that of another (Ke et al. 2023).

Both are functions of one pixel's colour, and what they are is told by a small matrix that an encoder reads off a thumbnail. So
equal colours stay equal, a picture may be mapped piece by piece, and its size costs nothing but the mapping itself.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.errors import check_count

THUMBNAIL = 64  # side in pixels of what the encoder looks at
ROWS = 512  # that are mapped at once, so that a large picture takes little memory
TERMS = 13  # of a colour: see color_terms


class Codes(NamedTuple):
    """Of N pictures, what takes the look away and what gives it: matrices (N, k, k) each."""

    normal: torch.Tensor
    style: torch.Tensor


def color_terms(image: torch.Tensor):
    """The 13 terms that a map is a sum of, maps (N, 1, H, W): 1, r, g, b, their squares and cubes, and rg, rb, gb.

    With r, g, b alone, as in the paper, each stage would be one 3 x 3 matrix: it could not bend a curve. Colours are given in
    [-1, 1].
    """
    r, g, b = image.split(1, 1)
    yield torch.ones_like(r)
    yield from (r, g, b)
    for channel in (r, g, b):
        square = channel * channel
        yield square
        yield square * channel
    yield from (r * g, r * b, g * b)


def map_colors(image: torch.Tensor, coefficients: torch.Tensor, exact: bool = True) -> torch.Tensor:
    """Images (N, 3, H, W) in [-1, 1] plus, of each pixel, the sum of its terms times coefficients (N, 13, 3).

    `exact` adds term by term. A matrix product is quicker to learn through, but rounds a colour differently depending on where
    it stands.
    """
    if not exact:
        terms = torch.cat(list(color_terms(image)), 1).flatten(2)
        return image + (coefficients.mT @ terms).view(image.shape)
    result = image
    for number, term in enumerate(color_terms(image)):
        result = result + coefficients[:, number, :, None, None] * term
    return result


class Preset(NamedTuple):
    """The map from one picture's look to another: the coefficients (1, 13, 3) of its two stages."""

    normal: torch.Tensor
    style: torch.Tensor

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """An image (N, 3, H, W) in [0, 1], mapped and clipped; whatever its size, and whether it is the whole or a part."""
        done = [map_colors(map_colors(2 * rows - 1, self.normal), self.style) for rows in image.split(ROWS, 2)]
        return ((torch.cat(done, 2) + 1) / 2).clamp(0, 1)


class PresetNet(nn.Module):
    """Reads `Codes` off pictures, and maps colours by them. `k` is the side of the matrices, `widths` are of the convolutions.

    A stage adds terms . P T Q to the colour, T the code, P (13, k) and Q (k, 3) its own: with T = 0 it changes nothing.
    """

    def __init__(self, k: int = 16, widths=(16, 32, 64, 96), hidden: int = 128):
        super().__init__()
        self.k = check_count("k", k)
        ends = zip((3, *widths), widths, strict=False)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, 2, 1, padding_mode="replicate") for i, o in ends)
        self.head = nn.Sequential(nn.Linear(sum(widths), hidden), nn.GELU(), nn.Linear(hidden, 2 * k * k))
        self.before = nn.ParameterDict({name: torch.randn(TERMS, k) / TERMS**0.5 for name in Codes._fields})
        self.after = nn.ParameterDict({name: torch.randn(k, 3) / k**0.5 for name in Codes._fields})
        with torch.no_grad():
            self.head[-1].weight.mul_(0.1)
            self.head[-1].bias.zero_()

    def codes(self, image: torch.Tensor) -> Codes:
        """The codes of images (N, 3, H, W) in [0, 1], of any size: they are looked at as 64 x 64 pixels."""
        x, seen = 2 * images.resize(image, (THUMBNAIL, THUMBNAIL)) - 1, []
        for conv in self.convs:
            x = F.gelu(conv(x))
            seen.append(x.mean((2, 3)))
        return Codes(*self.head(torch.cat(seen, 1)).view(-1, 2, self.k, self.k).unbind(1))

    def coefficients(self, stage: str, code: torch.Tensor) -> torch.Tensor:
        """Those (N, 13, 3) of a stage, "normal" or "style", for codes (N, k, k)."""
        return self.before[stage] @ code @ self.after[stage]

    def normalize(self, image: torch.Tensor, codes: Codes) -> torch.Tensor:
        """Images in [0, 1] without their look: (N, 3, H, W) around 0, in colours that no screen shows."""
        return map_colors(2 * image - 1, self.coefficients("normal", codes.normal), exact=False)

    def restyle(self, normal: torch.Tensor, codes: Codes) -> torch.Tensor:
        """Images in [0, 1], not clipped, of what `normalize` gave, in the look of these codes."""
        return (map_colors(normal, self.coefficients("style", codes.style), exact=False) + 1) / 2

    @torch.no_grad()
    def preset(self, content: torch.Tensor, style: torch.Tensor) -> Preset:
        """The map of a content (N, 3, H, W) to the look of a style's code (N, k, k), for it, its parts, or frames like it."""
        return Preset(self.coefficients("normal", self.codes(content).normal), self.coefficients("style", style))

    def forward_all(self, looks: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is trained on: `looks` (2N, 3, H, W) are N pictures in one look and the same N in another.

        "normal": without their looks. "own": these in their own looks again. "swapped": each in its own look, from what the
        picture in the other look was without it.
        """
        codes = self.codes(looks)
        normal = self.normalize(looks, codes)
        swapped = self.restyle(normal.roll(len(looks) // 2, 0), codes)
        return {"normal": normal, "own": self.restyle(normal, codes), "swapped": swapped}

    def forward(self, content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """The contents (N, 3, H, W) in the looks of the styles (N, 3, h, w), both in [0, 1]; not clipped."""
        return self.restyle(self.normalize(content, self.codes(content)), self.codes(style))
