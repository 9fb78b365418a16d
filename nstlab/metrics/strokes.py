"""Strokes and structure, place by place: how much of a picture consists of strokes, and how much structure is kept.

A painter keeps what is coarser than the brush and paints what is finer. Therefore strokes are measured at the scale of the
brush, and similarity only above it. Images are (1, 3, H, W) in [0, 1], maps (1, 1, H, W).
"""

import torch

from nstlab.color import luminance
from nstlab.filters import at_size, blocks, box, gaussian
from nstlab.losses.structure import ssim_map

STROKES = 256  # strokes are measured from half to twice 1/256 of the long side
WINDOWS = 16  # in windows of 1/16 of it
BARE = 0.25  # a place with less than this share of the strokes is bare
UNSEEN = 1e-6  # variance of luminance of strokes too faint to see (a quarter of a grey level)


def stroke_energy(image: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Variance (1, 1, H, W) of the strokes of `image` around each place: detail of brush size that the content does not have.

    With B = blur(s/2) - blur(2s) of the luminance, s = long side / 256 (at least 1), and windows of long side / 16, it is the
    variance of B(image) that no multiple of B(content) explains, var - cov^2 / var(content), minus the contribution of white
    noise. Unlike strokes, white noise is equally strong at all scales, so its strength is measured in x - blur(s/2), which is
    finer than any stroke. Noise blurred to the width of strokes is not recognised; only its Gram matrices differ from those of
    strokes, see `style_distance`.
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
    """Detail finer than a stroke, and detail of the size of a stroke."""
    sharp, soft = gaussian(grey, scale / 2), gaussian(grey, 2 * scale)
    return grey - sharp, sharp - soft


def _unexplained(x: torch.Tensor, by: torch.Tensor, radius: int) -> torch.Tensor:
    """Variance of x in each window that no multiple of `by` explains."""
    mean_x, mean_by, xx, yy, xy = box(torch.cat((x, by, x * x, by * by, x * by), 1), radius).chunk(5, 1)
    var_x, var_by = xx - mean_x.square(), yy - mean_by.square()
    return (var_x - (xy - mean_x * mean_by).square() / var_by.clamp_min(1e-9)).clamp_min(0)


def stroke_share(image: torch.Tensor, content: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    """Map (1, 1, H, W) in [0, 1] of how much of the strokes of `painted`, the same content painted everywhere, `image` has.

    The ratio of their `stroke_energy`, at most 1. It is 1 for `painted` itself and 0 for the content. Where `painted` has no
    visible stroke, the ratio is near 0 and carries no meaning.
    """
    ours, theirs = (stroke_energy(each.to(image.device), content) for each in (image, painted))
    return (ours / theirs.clamp_min(UNSEEN)).clamp(0, 1)


def painted_inside(share: torch.Tensor, guide: torch.Tensor | None = None) -> tuple[float, float]:
    """(mean share, bare area) of a map of `stroke_share`, weighted by a guide; bare is where the share is below 1/4."""
    weights = torch.ones_like(share) if guide is None else at_size(guide.to(share.device), share.shape[-2:])
    total = weights.sum().clamp_min(1e-9)
    return ((share * weights).sum() / total).item(), (((share < BARE) * weights).sum() / total).item()


def structure(image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """SSIM of the luminance averaged over blocks of long side / 128 pixels, coarser than strokes; weighted by a map."""
    size = max(image.shape[-2:]) / 128
    similarity = ssim_map(*(blocks(luminance(each.to(image.device)), size) for each in (image, content)))
    weights = torch.ones_like(similarity) if guide is None else at_size(guide.to(image.device), similarity.shape[-2:])
    return ((similarity * weights).sum() / weights.sum().clamp_min(1e-9)).item()
