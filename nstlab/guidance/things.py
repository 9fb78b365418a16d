"""Things by name: where a picture shows people, animals, vehicles, food, furniture, other things, and people's heads."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.networks.saliency_head import NAMES, SaliencyHead, load_saliency_head, object_logit

SIZES = ((320, False), (448, True))  # long side in pixels at which the head looks, and whether at the mirrored picture
FLAT = 0.02  # a picture whose values differ by less shows nothing


@dataclass(frozen=True)
class Things:
    """What the trained head sees in one picture, at about half of its working size; all are probabilities.

    `names` (1, 7, h, w): of each of `NAMES`, adding up to 1. `objects` (1, 1, h, w): that it is no background.
    `heads` (1, 1, h, w): that a person's head is there.
    """

    names: torch.Tensor
    objects: torch.Tensor
    heads: torch.Tensor

    @property
    def presence(self) -> float:
        """How sure it is of its surest place: the 98 % quantile of `objects`."""
        return torch.quantile(self.objects.flatten(), 0.98).item()


@torch.no_grad()
def things(image: torch.Tensor, head: SaliencyHead | None = None) -> Things:
    """What one picture (1, 3, H, W) shows, by the saliency head on EfficientNet-Lite0; `head` is another than the one that
    ships. Raises WeightsError where weights are missing."""
    image, network, head = images.check(image)[:1].detach().clamp(0, 1).cpu(), load_lite0(), head or load_saliency_head()
    grid = tuple(side // 4 for side in grid_size(tuple(image.shape[-2:]), SIZES[-1][0]))
    logits = 0.0
    for long_side, mirrored in SIZES:
        seen = images.resize(image, grid_size(tuple(image.shape[-2:]), long_side))
        found = head(network(seen.flip(3) if mirrored else seen))
        found = found.flip(3) if mirrored else found
        logits = logits + F.interpolate(found, grid, mode="bilinear", align_corners=False) / len(SIZES)
    count = len(NAMES)
    if (image.amax((2, 3)) - image.amin((2, 3))).max() < FLAT:
        logits = F.one_hot(torch.zeros(1, *grid, dtype=torch.long), count + 1).movedim(-1, 1) * 20.0 - 10
    return Things(logits[:, :count].softmax(1), object_logit(logits).sigmoid(), logits[:, count:].sigmoid())


def grid_size(shape: tuple[int, int], long_side: int) -> tuple[int, int]:
    """(H, W) near `shape` with that long side, in whole multiples of 32 so that the grids of all strides agree."""
    scale = long_side / max(shape)
    return tuple(max(32, round(side * scale / 32) * 32) for side in shape)
