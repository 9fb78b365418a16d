"""Things by name: where a picture shows people, their heads, animals, vehicles, food, furniture and other things."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.networks.saliency_head import NAMES, SaliencyHead, load_saliency_head, object_logit

SIZES = ((384, False), (576, True))  # (long side in pixels, whether mirrored) of the pictures given to the head
FURNITURE = slice(NAMES.index("furniture"), NAMES.index("furniture") + 1)
CARRIER = 0.35  # weight of furniture next to other things, by cross-validation; contrast decides what belongs to them
CARRIED = 0.5  # other things are present if their highest probabilities exceed this
FLAT = 0.02  # a picture with a smaller range of values shows nothing


@dataclass(frozen=True)
class Things:
    """The output of the trained head for one picture: maps of probabilities, at a quarter of the size it was computed at.

    `names` (1, 7, h, w): of each of `NAMES`, adding up to 1. `objects` (1, 1, h, w): of not being background. `heads`
    (1, 1, h, w): of a person's head. `stuff` (1, 6, h, w): of each of `STUFF` given background, adding up to 1.
    """

    names: torch.Tensor
    objects: torch.Tensor
    heads: torch.Tensor
    stuff: torch.Tensor

    @property
    def presence(self) -> float:
        """Probability of an object at the likeliest places."""
        return _surest(self.objects)

    @property
    def salient(self) -> torch.Tensor:
        """Probability (1, 1, h, w) of objects, with less weight for furniture unless there is nothing else."""
        furniture = self.names[:, FURNITURE]
        rest = (self.objects - furniture).clamp(0, 1)
        return rest + CARRIER * furniture if _surest(rest) > CARRIED else self.objects


def _surest(values: torch.Tensor) -> float:
    """The value exceeded in half a percent of the picture; relevant things are larger than that."""
    return torch.quantile(values.flatten(), 0.995).item()


@torch.no_grad()
def things(image: torch.Tensor, head: SaliencyHead | None = None) -> Things:
    """The things in one picture (1, 3, H, W), by the saliency head on EfficientNet-Lite0.

    `head` replaces the head that ships. Raises WeightsError if weights are missing.
    """
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
    """(H, W) close to `shape` scaled to that long side, in multiples of 32, so that the grids of all strides align."""
    scale = long_side / max(shape)
    return tuple(max(32, round(side * scale / 32) * 32) for side in shape)
