"""Image filters for maps, losses and metrics. All take (N, C, H, W) and keep its size unless they say otherwise."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import SettingError, check_count


def box(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over a square of 2 radius + 1 pixels, the edge repeated beyond the border; the radius does not change its cost."""
    if radius < 1:
        return x
    side = 2 * radius + 1
    middle = x.mean((2, 3), keepdim=True)  # running sums of values around 0 stay small, and so exact
    x = F.pad(x - middle, (radius + 1, radius, radius + 1, radius), mode="replicate")
    for axis in (3, 2):
        sums, rest = x.cumsum(axis), x.shape[axis] - side
        x = (sums.narrow(axis, side, rest) - sums.narrow(axis, 0, rest)) / side
    return x + middle


def gaussian(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of standard deviation `sigma` in pixels, mirrored at the border."""
    if sigma <= 0:
        return x
    radius = max(1, round(3 * sigma))
    places = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    padded = images.pad(x, (radius,) * 4)
    across = F.conv2d(padded, kernel[:, :, None], groups=x.shape[1])
    return F.conv2d(across, kernel[..., None], groups=x.shape[1])


def stretch(x: torch.Tensor, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """Each item scaled so that its quantiles `low` and `high` become 0 and 1, and clipped; a constant item becomes 0."""
    flat = x.flatten(1)
    # quantile takes at most 16 million numbers; every n-th is as good
    flat = flat[:, :: 1 + flat.shape[1] // 10_000_000]
    ends = torch.quantile(flat, torch.tensor([low, high], dtype=x.dtype, device=x.device), dim=1)
    bottom, top = (end.view(-1, 1, 1, 1) for end in ends)
    return torch.where(top - bottom > 1e-6, (x - bottom) / (top - bottom).clamp_min(1e-6), torch.zeros_like(x)).clamp(0, 1)


def guided_filter(x: torch.Tensor, guide: torch.Tensor, radius: int, eps: float = 1e-3, full: torch.Tensor | None = None):
    """Smooth `x` (N, C, H, W) except at the edges of the picture `guide` (N, 3, H, W) (He, Sun & Tang 2010).

    In each window of 2 radius + 1 pixels x is fitted by a linear function of the picture's colours, so the result has edges
    where the picture has them. `eps` is the variance of the picture (values in [0, 1]) below which it counts as flat. With
    `full`, the same picture at full size, the fit is applied there: a coarse map becomes a fine one (fast guided filter, He
    & Sun 2015). Raises SettingError if map and guide differ in size.
    """
    if guide.shape[-2:] != x.shape[-2:]:
        raise SettingError(
            f"guided filter: the map has {tuple(x.shape[-2:])} pixels, its guide {tuple(guide.shape[-2:])}; resize one of them"
        )
    count, channels = guide.shape[:2]
    mean_g, mean_x = box(guide, radius), box(x, radius)
    pairs = (guide[:, :, None] * guide[:, None]).flatten(1, 2)
    cov_gg = box(pairs, radius) - (mean_g[:, :, None] * mean_g[:, None]).flatten(1, 2)
    cov_gg = cov_gg.view(count, channels, channels, *guide.shape[-2:]).permute(0, 3, 4, 1, 2)
    cov_gg = cov_gg + eps * torch.eye(channels, dtype=x.dtype, device=x.device)
    cross = (guide[:, :, None] * x[:, None]).flatten(1, 2)
    cov_gx = box(cross, radius) - (mean_g[:, :, None] * mean_x[:, None]).flatten(1, 2)
    cov_gx = cov_gx.view(count, channels, x.shape[1], *guide.shape[-2:]).permute(0, 3, 4, 1, 2)
    slope = torch.linalg.solve(cov_gg, cov_gx).permute(0, 3, 4, 1, 2)  # (N, 3, C, H, W)
    offset = mean_x - (slope * mean_g[:, :, None]).sum(1)
    slope, offset = box(slope.flatten(1, 2), radius), box(offset, radius)
    if full is not None and full.shape[-2:] != guide.shape[-2:]:
        slope, offset = (F.interpolate(part, full.shape[-2:], mode="bilinear", align_corners=False) for part in (slope, offset))
        guide = full
    slope = slope.view(count, channels, x.shape[1], *guide.shape[-2:])
    return (slope * guide[:, :, None]).sum(1) + offset


def rgb_to_lab(image: torch.Tensor) -> torch.Tensor:
    """CIE Lab colours (N, 3, H, W) of an image: lightness from 0 to 100, then the green-red and the blue-yellow axis."""
    from skimage.color import rgb2lab  # half a second to import

    array = rgb2lab(image.detach().cpu().permute(0, 2, 3, 1).numpy())
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().contiguous()


def shrink(image: torch.Tensor, size: int) -> torch.Tensor:
    """The image with a long side of at most `size` pixels; a smaller one is returned as it is."""
    return images.resize(image, size) if max(image.shape[-2:]) > size else image


def at_size(guide: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A map (N, 1, H, W) at the places of a layer (h, w): the average over the area that each place covers."""
    return F.interpolate(guide.float(), size, mode="area")


def blocks(x: torch.Tensor, size: float) -> torch.Tensor:
    """Maps or images (N, C, H, W) averaged over blocks of `size` pixels, as one of fewer pixels; at most 1 pixel: x itself.

    The blocks overlap and fade towards their edges, so that what reads them cannot leave a pattern of squares behind.
    """
    if size <= 1:
        return x
    sides = [max(1, round(side / size)) for side in x.shape[-2:]]
    return F.interpolate(x, sides, mode="bilinear", antialias=True, align_corners=False)


def stroke_width(painting: torch.Tensor) -> float:
    """Width of a painting's (1, 3, H, W) strokes as a share of its long side, seen at 512 pixels; about 1/90 for most.

    Half the period of the wave that has the painting's ratio of contrast to steepness (Rice 1945), pi sqrt(var(x) / mean
    |grad x|^2), of the luminance x without its forms, which are wider than the 32nd part of the long side.
    """
    grey = luminance(images.resize(painting, 512))
    long = max(grey.shape[-2:])
    detail = grey - gaussian(grey, long / 64)
    right, down = gradient(detail)
    steepness = (right.square() + down.square()).mean()
    contrast = detail.square().mean()
    width = torch.pi * (contrast / steepness.clamp_min(1e-12)).sqrt().item() / long
    return min(max(width, 1 / 224), 1 / 45)  # a blank has none


def gradient(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Change per pixel of a map (N, 1, H, W), to the right and downwards, by Sobel's 3x3 filters."""
    smooth, slope = grey.new_tensor([1.0, 2.0, 1.0]) / 4, grey.new_tensor([-1.0, 0.0, 1.0]) / 2
    padded = images.pad(grey, (1, 1, 1, 1))
    right = F.conv2d(padded, torch.outer(smooth, slope)[None, None])
    down = F.conv2d(padded, torch.outer(slope, smooth)[None, None])
    return right, down


def sobel(image: torch.Tensor) -> torch.Tensor:
    """Edge strength (N, 1, H, W): twice the length of the brightness gradient, so a step from 0 to 1 gives 1."""
    right, down = gradient(luminance(image))
    return 2 * (right.square() + down.square() + 1e-12).sqrt() - 2e-6


def laplacian(image: torch.Tensor, pool: int = 4) -> torch.Tensor:
    """Signed Laplacian (N, 1, h, w) of the picture averaged over pool x pool pixels, summed over colours (Li et al. 2017).

    Each value is 4 times a pixel less its four neighbours: 0 on constants and on ramps. The outermost pixels have too few
    neighbours and are left out, so the result is 2 smaller than the pooled picture.
    """
    pool = check_count("pool", pool)
    if min(image.shape[-2:]) < 3 * pool:
        size = f"{image.shape[-1]} x {image.shape[-2]}"
        raise SettingError(f"pool {pool}: it takes {3 * pool} pixels along each side, the picture has {size}")
    total = F.avg_pool2d(image.float(), pool).sum(1, keepdim=True)
    kernel = total.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    return F.conv2d(total, kernel[None, None])
