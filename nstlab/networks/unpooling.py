"""The inverses of an encoder's poolings (encoders/base.py): repeated pixels, maxima put back, Haar bands."""

import torch

from nstlab import images
from nstlab.errors import check_count


def pooled_sizes(size: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """(H, W) at the first `count` levels of an encoder: each pooling halves a side, rounded down, but leaves one pixel."""
    sizes = [tuple(side if isinstance(side, torch.SymInt) else check_count("size", side) for side in size)]  # a traced one
    for _ in range(count - 1):
        sizes.append(tuple(max(1, side // 2) for side in sizes[-1]))
    return sizes


def spread(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Features (N, C, h, w) at the `size` (H, W) before the pooling: every pixel twice along each side, the last one of an odd
    side three times."""
    rows, columns = (
        (torch.arange(side, device=x.device) // 2).clamp_max(old - 1) for side, old in zip(size, x.shape[-2:], strict=True)
    )
    return x[..., rows, :][..., columns]


def unpool_indices(x: torch.Tensor, indices: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Features (N, C, h, w) put where the maxima were, by the `indices` of max pooling; zero elsewhere."""
    flat = x.new_zeros(*x.shape[:2], size[0] * size[1]).scatter_(2, indices.flatten(2), x.flatten(2))
    return flat.unflatten(2, size).contiguous(memory_format=torch.channels_last)


def unpool_wavelet(x: torch.Tensor, bands: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The inverse of the Haar pooling in encoders/base.py: mean (N, C, h, w) and bands (N, 3 C, h, w) -> (N, C, H, W).

    The last row or column of an odd side, which the pooling dropped, repeats its neighbour.
    """
    across, down, both = bands.chunk(3, 1)
    upper, lower = (x + across + down + both, x - across + down - both), (x + across - down - both, x - across - down + both)
    rows, columns = (min(2, side) for side in size)
    halves = [torch.stack(corners[:columns], -1).flatten(-2) for corners in (upper, lower)]
    whole = torch.stack(halves[:rows], -2).flatten(-3, -2)
    whole = images.pad(whole, (0, size[1] - whole.shape[-1], 0, size[0] - whole.shape[-2]), mirrored=False)
    return whole.contiguous(memory_format=torch.channels_last)
