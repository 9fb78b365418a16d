"""What every loop yields: one step of a run or of a training."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Step:
    """One step of a run. `losses` and `total` belong to `image`, the picture as it stands at this step.

    `index` counts from 0, the start picture; `scale` is the long side in pixels; `image` is (1, 3, H, W).
    """

    index: int
    scale: int
    image: torch.Tensor
    losses: dict[str, float]
    total: float
