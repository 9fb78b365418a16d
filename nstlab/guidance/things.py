"""Things by name: where a picture shows people, animals, vehicles, food, furniture, other things, and people's heads."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.networks.saliency_head import NAMES, SaliencyHead, load_saliency_head, object_logit

SIZES = ((384, False), (576, True))  # long side in pixels at which the head looks, and whether at the mirrored picture
FURNITURE = slice(NAMES.index("furniture"), NAMES.index("furniture") + 1)
CARRIER = 0.35  # weight of furniture beside other things, by cross-validation: contrast decides what of it belongs to them
CARRIED = 0.5  # other things are there if the head's surest places of them are surer than this
FLAT = 0.02  # a picture whose values differ by less shows nothing


@dataclass(frozen=True)
class Things:
    """What the trained head sees in one picture, at about half of its working size; all are probabilities.

    `names` (1, 7, h, w): of each of `NAMES`, adding up to 1. `objects` (1, 1, h, w): that it is no background.
    `heads` (1, 1, h, w): that a person's head is there. `stuff` (1, 6, h, w): of each of `STUFF`, if it is background; they
    add up to 1.
    """

    names: torch.Tensor
    objects: torch.Tensor
    heads: torch.Tensor
    stuff: torch.Tensor

    @property
    def presence(self) -> float:
        """How sure it is of its surest place."""
        return _surest(self.objects)

    @property
    def salient(self) -> torch.Tensor:
        """Probability (1, 1, h, w) of what matters: of objects; furniture counts for less unless there is nothing else."""
        furniture = self.names[:, FURNITURE]
        rest = (self.objects - furniture).clamp(0, 1)
        return rest + CARRIER * furniture if _surest(rest) > CARRIED else self.objects


def _surest(values: torch.Tensor) -> float:
    """The value that is surpassed in half a percent of the picture: a thing that counts is larger."""
    return torch.quantile(values.flatten(), 0.995).item()


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
        logits = torch.full_like(logits, -10)
        logits[:, 0] = 10
    heads, stuff = logits[:, count : count + 1].sigmoid(), logits[:, count + 1 :].softmax(1)
    return Things(logits[:, :count].softmax(1), object_logit(logits).sigmoid(), heads, stuff)


def grid_size(shape: tuple[int, int], long_side: int) -> tuple[int, int]:
    """(H, W) near `shape` with that long side, in whole multiples of 32 so that the grids of all strides agree."""
    scale = long_side / max(shape)
    return tuple(max(32, round(side * scale / 32) * 32) for side in shape)
