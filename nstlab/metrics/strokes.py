"""Kept and painted, place by place: how much of a picture is in strokes, and what is kept beneath them.

A painter keeps what is coarser than the brush and paints what is finer. So strokes are sought at the scale of the brush, and
likeness only above it. Images are (1, 3, H, W) in [0, 1], maps (1, 1, H, W).
"""

import torch

from nstlab.color import luminance
from nstlab.filters import at_size, blocks, box, gaussian
from nstlab.losses.structure import ssim_map

STROKES = 256  # strokes are sought from half to twice the 256th part of the long side
WINDOWS = 16  # in windows of the 16th part of it
BARE = 0.25  # a place with less than this share of the strokes is bare
UNSEEN = 1e-6  # variance of luminance of strokes too faint to see (a quarter of a grey level)


def stroke_energy(image: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Variance (1, 1, H, W) of the strokes of `image` around each place: detail of brush size that is not the content's.

    With B = blur(s/2) - blur(2s) of the luminance, s = long side / 256 (at least 1), and windows of long side / 16: the
    variance of B(image) less what a multiple of B(content) explains, var - cov^2 / var(content). Noise has no scale of its
    own, strokes do: white noise is as strong in what is finer than any stroke, x - blur(s/2), where a stroke leaves little.
    So that much as white noise of the strength found there would add to B is taken away. Noise blurred to the width of
    strokes is told from them by its Gram matrices alone, see `style_distance`.
    """
    scale = max(1.0, max(image.shape[-2:]) / STROKES)
    ours, theirs = luminance(image), luminance(content.to(image.device))
    radius = max(1, round(max(image.shape[-2:]) / (2 * WINDOWS)))
    point = torch.zeros(1, 1, *(2 * [2 * round(6 * scale) + 9]), dtype=ours.dtype, device=ours.device)
    point[..., point.shape[-2] // 2, point.shape[-1] // 2] = 1
    finest, band = (part.square().sum() for part in _bands(point, scale))
    (fine_a, band_a), (fine_b, band_b) = _bands(ours, scale), _bands(theirs, scale)
    noise = _unexplained(fine_a, fine_b, radius) * band / finest
    return (_unexplained(band_a, band_b, radius) - noise).clamp_min(0)


def _bands(grey: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What is finer than a stroke, and what has its size."""
    sharp, soft = gaussian(grey, scale / 2), gaussian(grey, 2 * scale)
    return grey - sharp, sharp - soft


def _unexplained(x: torch.Tensor, by: torch.Tensor, radius: int) -> torch.Tensor:
    """Variance of x in each window that no multiple of `by` there explains."""
    mean_x, mean_by, xx, yy, xy = box(torch.cat((x, by, x * x, by * by, x * by), 1), radius).chunk(5, 1)
    var_x, var_by = xx - mean_x.square(), yy - mean_by.square()
    return (var_x - (xy - mean_x * mean_by).square() / var_by.clamp_min(1e-9)).clamp_min(0)


def stroke_share(image: torch.Tensor, content: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    """Map of how much of the strokes of `painted`, the same content painted all over, stands in `image`, from 0 to 1.

    The ratio of their `stroke_energy`, at most 1. `painted` itself has 1 and the content 0 everywhere (where `painted` has no
    stroke that can be seen, both have 0 or 1 by what they are, and other images about 0).
    """
    ours, theirs = (stroke_energy(each.to(image.device), content) for each in (image, painted))
    return (ours / theirs.clamp_min(UNSEEN)).clamp(0, 1)


def painted_inside(share: torch.Tensor, guide: torch.Tensor | None = None) -> tuple[float, float]:
    """(mean share, bare part) of a map of `stroke_share`, by the weights of a guide: bare is where the share is under 1/4."""
    weights = torch.ones_like(share) if guide is None else at_size(guide.to(share.device), share.shape[-2:])
    total = weights.sum().clamp_min(1e-9)
    return ((share * weights).sum() / total).item(), (((share < BARE) * weights).sum() / total).item()


def structure(image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """SSIM of the luminance above the stroke: of its averages over blocks of long side / 128 pixels; weighted by a map."""
    size = max(image.shape[-2:]) / 128
    similarity = ssim_map(*(blocks(luminance(each.to(image.device)), size) for each in (image, content)))
    weights = torch.ones_like(similarity) if guide is None else at_size(guide.to(image.device), similarity.shape[-2:])
    return ((similarity * weights).sum() / weights.sum().clamp_min(1e-9)).item()
