"""Repetition: whether a picture's texture repeats one pattern, as networks tend to do and painters rarely do."""

import math

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.filters import box, gaussian

SEEN = 512  # long side in pixels to which pictures are resized, so that their size does not matter
PATCHES = 8  # a patch is 1/8 of the long side wide, and repetitions of it are sought up to that distance
FORMS = 32  # what is wider than 1/32 of the long side is form, not texture
FAINT = 0.1  # share of the mean contrast below which texture is not amplified to that of the rest
ANGLES = 96  # directions in which repetitions are sought


def repeats(image: torch.Tensor, painting: torch.Tensor | None = None) -> float:
    """How much of the texture of an image (1, 3, H, W) repeats one pattern, from 0 (none) to 1 (tiles).

    It is the mean of `repetition_map` weighted by contrast. If the `painting` used as style is given, its own value is
    subtracted, down to 0: a picture in the style of roof tiles may repeat, one in the style of clouds may not.
    """
    score, contrast = repetition_map(image)
    found = (score * contrast).sum() / contrast.sum().clamp_min(1e-12)
    return found.item() if painting is None else max(0.0, found.item() - repeats(painting))


def repetition_map(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(score, contrast), maps (1, 1, h, w) over half-overlapping patches: how much each repeats, and how much texture it has.

    The texture is the luminance without large forms, normalised in contrast. A patch is correlated with its surroundings at
    every displacement d up to its own width. A pattern must continue on both sides, so c(d) is the smaller of the correlations
    at d and at -d. An edge looks the same along its whole length and a wave along its crest, so what counts is by how much c
    rises again on the straight line from 0 to d: c(d) minus the lowest c in between (or minus 0 if that is negative). The score
    is the maximum over all d. It is 0 for a patch without texture, and independent of size, contrast and brightness.
    """
    texture, contrast, side = _texture(image)
    rows, columns = (_starts(length, side) for length in texture.shape[-2:])
    around = torch.stack([texture[0, 0, y - side : y + 2 * side, x - side : x + 2 * side] for y in rows for x in columns])
    found = _rises(_correlation(around, side))
    seen = _means(contrast[0], side)[0]
    strength = torch.stack([seen[y, x] for y in rows for x in columns])
    shape = (1, 1, len(rows), len(columns))
    return found.view(shape), strength.sqrt().view(shape)


def _texture(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Normalised texture and its squared contrast, maps (1, 1, H, W), and the side of a patch in pixels."""
    grey = luminance(images.resize(image.detach().float().cpu(), SEEN))
    long, short = max(grey.shape[-2:]), min(grey.shape[-2:])
    side = max(4, min(long // PATCHES, short // 3))
    grey = images.pad(grey, (0, max(0, 3 * side - grey.shape[-1]), 0, max(0, 3 * side - grey.shape[-2])))
    detail = grey - gaussian(grey, long / FORMS)
    contrast = box(detail.square(), side // 2).clamp_min(0)
    floor = FAINT * contrast.mean()
    return detail / (contrast + floor).clamp_min(1e-12).sqrt(), contrast, side


def _starts(length: int, side: int) -> list[int]:
    """The starts of half-overlapping patches along an axis, so that each has a margin of `side` pixels around it."""
    room = length - 3 * side
    count = 1 + math.ceil(room / (side / 2))
    return [side + round(room * i / max(1, count - 1)) for i in range(count)]


def _correlation(around: torch.Tensor, side: int) -> torch.Tensor:
    """Correlation (P, 2 side + 1, 2 side + 1) of the middle of each of P squares (3 side pixels wide) with every part of it."""
    middle = around[:, side : 2 * side, side : 2 * side]
    middle = middle - middle.mean((1, 2), keepdim=True)
    size = 2 ** math.ceil(math.log2(around.shape[-1]))
    spectrum = torch.fft.rfft2(around, (size, size)) * torch.fft.rfft2(middle, (size, size)).conj()
    product = torch.fft.irfft2(spectrum, (size, size))[:, : 2 * side + 1, : 2 * side + 1]
    mean, square = _means(around, side), _means(around.square(), side)
    energy = side**2 * (square - mean.square()).clamp_min(0)
    least = 1e-6 * side**2  # of a texture whose contrast is 1
    return product / (energy.clamp_min(least) * middle.square().sum((1, 2)).clamp_min(least)[:, None, None]).sqrt()


def _means(x: torch.Tensor, side: int) -> torch.Tensor:
    """Means of x (P, h, w) over squares of `side` pixels, for each position of the top left corner."""
    return F.avg_pool2d(F.avg_pool2d(x, (side, 1), stride=1), (1, side), stride=1)


def _rises(correlation: torch.Tensor) -> torch.Tensor:
    """For each of P correlations, the largest amount by which it rises again on a straight line from its middle, both ways."""
    both = torch.minimum(correlation, correlation.flip((1, 2)))
    reach = both.shape[-1] // 2
    turn = torch.arange(ANGLES) * math.pi / ANGLES  # the other half circle is the same
    way = torch.arange(reach + 1) / reach
    places = torch.stack([turn.cos()[:, None] * way, turn.sin()[:, None] * way], -1)
    found = F.grid_sample(both[:, None], places.expand(len(both), -1, -1, -1), align_corners=True)[:, 0]
    return (found - found.cummin(-1).values.clamp_min(0)).amax((1, 2)).clamp(0, 1)
