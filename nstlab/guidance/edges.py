"""Edges: where the brightness jumps. Each operator is differentiable, so that losses may use it as it stands."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import SettingError, check_count, choose
from nstlab.filters import gaussian
from nstlab.guidance.guide import Guide, load_map
from nstlab.guidance.hed import hed

FAINTEST = 0.1  # of full contrast: a picture whose strongest edges are fainter keeps them faint
WHAT = {
    "sobel": "Sobel gradient of the brightness",
    "laplacian": "pooled Laplacian, its size",
    "canny": "soft Canny",
    "hed": "HED, a network trained on outlines drawn by people",
}


def edges(image: torch.Tensor, method: str = "sobel", *, map=None) -> Guide:
    """Map of the outlines of `image` (N, 3, H, W), as a Guide: 1 on the strongest edges.

    "sobel", the default; "laplacian"; "canny": thin lines; "hed": outlines of things rather than of texture, an optional
    extra. `map`: a map of the user's own instead (see `load_map`).
    """
    image = images.check(image).detach().clamp(0, 1)
    size = tuple(image.shape[-2:])
    if map is not None:
        return load_map(map, size, "the edge map")
    choose("edges method", method, WHAT)
    if method == "sobel":
        values = _scaled(sobel(image))
    elif method == "laplacian":
        pool = min(4, *size)
        mirrored = images.pad(image, (pool,) * 4)
        values = F.interpolate(laplacian(mirrored, pool).abs(), size, mode="bilinear", align_corners=False)
        values = _scaled(values / 3)
    else:
        values = canny(image) if method == "canny" else hed(image)
    note = "the picture has no edges" if values.max() < 1e-3 else ""
    return Guide(values, WHAT[method], note)


def _scaled(values: torch.Tensor) -> torch.Tensor:
    """Divided by the size of the strongest hundredth of the pixels of each item, but not by less than FAINTEST."""
    flat = values.flatten(1)[:, :: 1 + values[0].numel() // 10_000_000]
    return (values / torch.quantile(flat, 0.99, dim=1).clamp_min(FAINTEST).view(-1, 1, 1, 1)).clamp(0, 1)


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
    check_count("pool", pool)
    if min(image.shape[-2:]) < 3 * pool:
        size = f"{image.shape[-1]} x {image.shape[-2]}"
        raise SettingError(f"pool {pool}: it takes {3 * pool} pixels along each side, the picture has {size}")
    total = F.avg_pool2d(image.float(), pool).sum(1, keepdim=True)
    kernel = total.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    return F.conv2d(total, kernel[None, None])


def canny(image: torch.Tensor, sigma: float = 1.4, threshold: float = 0.06, steepness: float = 60.0) -> torch.Tensor:
    """Thin edges (N, 1, H, W) in [0, 1], after Canny 1986, with soft decisions that let gradients through.

    Blur by `sigma`; gradient; keep a pixel where its gradient is a maximum along its own direction; keep what exceeds
    `threshold`. Both decisions are sigmoids of that `steepness`. The tracing of weak edges from strong ones is left out.
    """
    right, down = gradient(gaussian(luminance(image), sigma))
    strength = (right.square() + down.square() + 1e-12).sqrt()
    height, width = strength.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=image.device, dtype=strength.dtype),
        torch.arange(width, device=image.device, dtype=strength.dtype),
        indexing="ij",
    )
    along = torch.cat([right, down], 1).detach() / strength.detach()

    def beside(sign):
        x, y = columns + sign * along[:, 0], rows + sign * along[:, 1]
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        return F.grid_sample(strength, grid, mode="bilinear", padding_mode="border", align_corners=False)

    higher = torch.maximum(beside(1), beside(-1))
    crest = torch.sigmoid(steepness * ((strength - higher) / (strength + 1e-3) + 0.05))
    return crest * torch.sigmoid(steepness / 5 * (strength / max(threshold, 1e-6) - 1))
