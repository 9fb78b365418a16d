"""Scales: the schedule of a run from coarse to fine, and the Laplacian pyramid of an image."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError, check_count

SMALLEST = 80  # long side in pixels of the coarsest scale
SHARES = {1: (1.0,), 2: (0.6, 0.4), 3: (0.46, 0.36, 0.18), 4: (0.42, 0.32, 0.16, 0.1)}  # of the steps, coarse to fine


def schedule(size: int, steps: int, levels: int | None = None) -> list[tuple[int, int]]:
    """[(long side, steps), ...] from coarse to fine, each scale twice the one before; the last is `size`.

    With `levels` None there are as many scales, up to 4, as keep the coarsest at 80 px or more. A step costs a quarter of one
    at the next finer scale, so most steps are spent on the coarse ones. The steps add up to `steps`. Raises SettingError.
    """
    size, steps = check_count("size", size), check_count("steps", steps)
    if levels is None:
        levels = 1
        while levels < 4 and size / 2**levels >= SMALLEST and steps > levels:
            levels += 1
    levels = min(check_count("levels", levels), 4, steps)
    sizes = [max(1, round(size / 2 ** (levels - 1 - i))) for i in range(levels)]
    counts = [max(1, int(steps * share)) for share in SHARES[levels]]
    counts[0] = max(1, counts[0] + steps - sum(counts))
    return list(zip(sizes, counts, strict=True))


def laplacian_pyramid(image: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """The Laplacian pyramid of an image (N, C, H, W) (Burt & Adelson 1983), finest level first.

    Each level but the last is the difference between the image at that size and the upsampled next coarser image; the last
    is the image downsampled `levels` - 1 times. Works for any size; a side of 1 pixel stays 1.
    """
    details = []
    for _ in range(check_count("levels", levels) - 1):
        coarse = downsample(image)
        details.append(image - upsample(coarse, tuple(image.shape[-2:])))
        image = coarse
    return [*details, image]


def reconstruct(pyramid: list[torch.Tensor]) -> torch.Tensor:
    """The image of a Laplacian pyramid: `reconstruct(laplacian_pyramid(x, n))` is x up to rounding."""
    if not pyramid:
        raise SettingError("a pyramid without levels holds no picture: give what laplacian_pyramid() returned")
    image = pyramid[-1]
    for detail in reversed(pyramid[:-1]):
        image = detail + upsample(image, tuple(detail.shape[-2:]))
    return image


def downsample(image: torch.Tensor) -> torch.Tensor:
    """The image blurred by (1 4 6 4 1) / 16 along both axes and every second pixel of it: half the size, rounded up."""
    kernel = image.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = image.shape[1]
    padded = images.pad(image, (2, 2, 2, 2), mirrored=False)
    across = F.conv2d(padded, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), stride=(1, 2), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), stride=(2, 1), groups=channels)


def upsample(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The image (N, C, h, w) interpolated linearly to `size` (H, W), its corner pixels kept in the corners.

    Unlike that of `F.interpolate`, the gradient is deterministic on CUDA.
    """
    if image.is_cuda and image.requires_grad and torch.is_grad_enabled():
        return _Upsample.apply(image, size)
    return _upsample(image, size)


def _upsample(image, size):
    return F.interpolate(image, size, mode="bilinear", align_corners=True)


class _Upsample(torch.autograd.Function):
    """`_upsample` with `upsample_gradient` as its gradient: the order of additions in CUDA's own varies between runs."""

    @staticmethod
    def forward(ctx, image, size):
        ctx.size = tuple(image.shape[-2:])
        return _upsample(image, size)

    @staticmethod
    def backward(ctx, gradient):
        return upsample_gradient(gradient, ctx.size), None


def upsample_gradient(gradient: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The gradient (N, C, h, w) of an image of `size` (h, w) from that (N, C, H, W) of the upsampled one.

    Interpolation is linear along each axis, a product with a matrix; its gradient is the product with the transposed one.
    """
    rows, columns = (_weights(*pair, gradient) for pair in zip(size, gradient.shape[-2:]))
    return rows @ gradient @ columns.T


def _weights(short: int, long: int, like: torch.Tensor) -> torch.Tensor:
    """The share (short, long) that each of `short` pixels has in each of the `long` interpolated between them."""
    ones = torch.eye(short, dtype=like.dtype, device=like.device)
    return F.interpolate(ones[None], long, mode="linear", align_corners=True)[0]
