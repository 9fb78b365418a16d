"""Scales: from large forms to brush strokes, and the Laplacian pyramid that takes a picture apart into them."""

import torch
import torch.nn.functional as F

from nstlab.errors import SettingError, check_count

SMALLEST = 80  # long side in pixels of the coarsest scale
SHARES = {1: (1.0,), 2: (0.6, 0.4), 3: (0.46, 0.36, 0.18), 4: (0.42, 0.32, 0.16, 0.1)}  # of the steps, coarse to fine


def schedule(size: int, steps: int, levels: int | None = None) -> list[tuple[int, int]]:
    """[(long side, steps), ...] from coarse to fine, each scale twice the one before; the last is `size`.

    `levels` None takes as many scales as keep the coarsest at 80 px or more, at most 4. A coarse step costs a quarter of
    the next finer one, so most steps are spent where they are cheap. The steps add up to `steps`.
    """
    check_count("size", size)
    check_count("steps", steps)
    if levels is None:
        levels = 1
        while levels < 4 and size / 2**levels >= SMALLEST and steps > levels:
            levels += 1
    levels = min(check_count("levels", levels), 4, steps)
    sizes = [max(1, round(size / 2 ** (levels - 1 - i))) for i in range(levels)]
    counts = [max(1, int(steps * share)) for share in SHARES[levels]]
    counts[0] = max(1, counts[0] + steps - sum(counts))
    return list(zip(sizes, counts, strict=True))


def make(image: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """The Laplacian pyramid of an image (N, C, H, W) (Burt & Adelson 1983), finest first: details, and what is left over.

    Every level but the last is what `expand` cannot foretell from the next one, at the size of its own; the last is the
    picture itself, halved `levels` - 1 times. Any size will do, odd ones too; a side of 1 pixel stays.
    """
    details = []
    for _ in range(check_count("levels", levels) - 1):
        coarse = shrink(image)
        details.append(image - expand(coarse, tuple(image.shape[-2:])))
        image = coarse
    return [*details, image]


def fold(levels: list[torch.Tensor]) -> torch.Tensor:
    """The picture whose pyramid this is: `fold(make(x, n))` is x but for rounding."""
    if not levels:
        raise SettingError("a pyramid of no levels holds no picture: give what make() returned")
    image = levels[-1]
    for detail in reversed(levels[:-1]):
        image = detail + expand(image, tuple(detail.shape[-2:]))
    return image


def shrink(image: torch.Tensor) -> torch.Tensor:
    """Blurred by (1 4 6 4 1) / 16 along both sides, then every second pixel, the first included: half the size, rounded up."""
    kernel = image.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = image.shape[1]
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    across = F.conv2d(padded, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), stride=(1, 2), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), stride=(2, 1), groups=channels)


def expand(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The image (N, C, h, w) at `size` (H, W), about twice as large: pixels spread out, and the gaps filled linearly."""
    return F.interpolate(image, size, mode="bilinear", align_corners=True)
