"""Edges: where the brightness changes abruptly. Each operator is differentiable, so that it can be used in losses."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import choose
from nstlab.filters import gaussian, gradient, laplacian, sobel
from nstlab.guidance.guide import Guide, load_map
from nstlab.guidance.hed import hed

FAINTEST = 0.1  # of full contrast: weaker edges are not amplified to 1, even if they are the strongest of a picture
WHAT = {
    "sobel": "Sobel gradient of the brightness",
    "laplacian": "pooled Laplacian, its size",
    "canny": "soft Canny",
    "hed": "HED, a network trained on outlines drawn by people",
}


def edges(image: torch.Tensor, method: str = "sobel", *, map=None) -> Guide:
    """Map of the outlines of `image` (N, 3, H, W), as a Guide: 1 on the strongest edges.

    `method`: "sobel", the default; "laplacian"; "canny", thin lines; "hed", outlines of things rather than of texture, an
    optional extra. `map`: the user's own map instead (see `load_map`). Raises SettingError, WeightsError.
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
    """Divided by the 99th percentile of each item, but at least by FAINTEST."""
    flat = values.flatten(1)[:, :: 1 + values[0].numel() // 10_000_000]
    return (values / torch.quantile(flat, 0.99, dim=1).clamp_min(FAINTEST).view(-1, 1, 1, 1)).clamp(0, 1)


def canny(image: torch.Tensor, sigma: float = 1.4, threshold: float = 0.06, steepness: float = 60.0) -> torch.Tensor:
    """Thin edges (N, 1, H, W) in [0, 1], after Canny 1986, with soft decisions that let gradients through.

    After a blur by `sigma`, a pixel is kept if its gradient is a maximum along its own direction and exceeds `threshold`. Both
    decisions are sigmoids of the given `steepness`. Hysteresis, which traces weak edges from strong ones, is left out.
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
