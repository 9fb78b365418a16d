"""Repetition: whether a picture's texture is one pattern over and over, as networks fall into and painters rarely do."""

import math

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.filters import box, gaussian

SEEN = 512  # long side in pixels at which pictures are looked at, so that their size does not matter
PATCHES = 8  # a patch is the 8th part of the long side wide, and its like is sought as far away
FORMS = 32  # what is wider than the 32nd part of the long side is form, not texture
FAINT = 0.1  # texture of less than this share of the picture's mean contrast is not raised to the others'
ANGLES = 96  # directions in which a patch's like is sought


def repeats(image: torch.Tensor, painting: torch.Tensor | None = None) -> float:
    """How much of the texture of an image (1, 3, H, W) is one pattern over and over: 0, none, to 1, tiles.

    With the `painting` it was painted after, what the painting has of it itself is taken away, down to 0: a painting of roof
    tiles may repeat, a face painted after clouds may not. It is the mean of `repetition_map`, by contrast.
    """
    score, contrast = repetition_map(image)
    found = (score * contrast).sum() / contrast.sum().clamp_min(1e-12)
    return found.item() if painting is None else max(0.0, found.item() - repeats(painting))


def repetition_map(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(score, contrast), maps (1, 1, h, w) of patches half overlapping: how much each repeats, and how much texture it has.

    The texture is the luminance without its forms, evened out in contrast. A patch is laid over its surroundings at every
    distance d up to its own width, which gives a correlation c(d), and a pattern must go on: c(d) is the smaller of that at d
    and at -d. An edge looks the same all along itself, a wave anywhere along its crest; so what counts is how far c rises
    again on the straight way to d: c(d) less the lowest c between 0 and d (0 where that is negative). The score is the
    highest of these over all d. It is 0 for a patch without texture, and does not change with size, contrast or brightness.
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
    """Evened out texture and its contrast (squared), maps (1, 1, H, W), and the side of a patch in pixels."""
    grey = luminance(images.resize(image.detach().float().cpu(), SEEN))
    long, short = max(grey.shape[-2:]), min(grey.shape[-2:])
    side = max(4, min(long // PATCHES, short // 3))
    grey = images.pad(grey, (0, max(0, 3 * side - grey.shape[-1]), 0, max(0, 3 * side - grey.shape[-2])))
    detail = grey - gaussian(grey, long / FORMS)
    contrast = box(detail.square(), side // 2).clamp_min(0)
    floor = FAINT * contrast.mean()
    return detail / (contrast + floor).clamp_min(1e-12).sqrt(), contrast, side


def _starts(length: int, side: int) -> list[int]:
    """Where patches begin along a side, half overlapping, so that all have their surroundings of `side` pixels."""
    room = length - 3 * side
    count = 1 + math.ceil(room / (side / 2))
    return [side + round(room * i / max(1, count - 1)) for i in range(count)]


def _correlation(around: torch.Tensor, side: int) -> torch.Tensor:
    """Correlation (P, 2 side + 1, 2 side + 1) of the middle of each of P squares of 3 side pixels with every place in it."""
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
    """Means of x (P, h, w) over the squares of `side` pixels that begin at each place."""
    return F.avg_pool2d(F.avg_pool2d(x, (side, 1), stride=1), (1, side), stride=1)


def _rises(correlation: torch.Tensor) -> torch.Tensor:
    """For each of P correlations, the most by which it rises again on a straight way out of its middle; those to both sides."""
    both = torch.minimum(correlation, correlation.flip((1, 2)))
    reach = both.shape[-1] // 2
    turn = torch.arange(ANGLES) * math.pi / ANGLES  # the other half circle is the same
    way = torch.arange(reach + 1) / reach
    places = torch.stack([turn.cos()[:, None] * way, turn.sin()[:, None] * way], -1)
    found = F.grid_sample(both[:, None], places.expand(len(both), -1, -1, -1), align_corners=True)[:, 0]
    return (found - found.cummin(-1).values.clamp_min(0)).amax((1, 2)).clamp(0, 1)
