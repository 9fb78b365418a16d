"""What the saliency head learns from: MS-COCO's outlines as names, marked heads, and frozen features kept in memory."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.data.coco import Coco
from nstlab.data.pictures import Pictures
from nstlab.encoders.efficientnet import load_lite0
from nstlab.guidance.things import grid_size
from nstlab.networks.saliency_head import CHANNELS, NAMES, STUFF

SMALLEST = 0.008  # share of the picture below which a thing does not count
SIZES = (320, 448)  # long sides in pixels at which the features are computed
CROPS = 4  # random views of each picture besides: squeezed, tinted, mirrored
CLOSEST = 0.35  # share of the sides that the closest of them shows: things that fill the picture
TRAINED = Path(__file__).parent.parent / "trained"
HEADS = TRAINED / "heads_coco.csv"  # heads marked by hand, as shares of the sides
PLACES = TRAINED / "stuff_coco.csv"  # places of sky, water, ... marked by hand, likewise
THUMBNAIL = 64  # long side in pixels of the pictures that a step shows
PLACE = 0.025  # radius of such a place, as a share of the long side


@dataclass(frozen=True)
class Truth:
    """Names (H, W) as numbers of `NAMES`; `counts` (H, W) is False where nothing is known: in crowds and small things.

    `heads` are (row, column, height) in pixels of the heads that were marked, `stuff` are (row, column, number in `STUFF`) of
    the places marked in the background.
    """

    names: torch.Tensor
    counts: torch.Tensor
    heads: list[tuple[float, float, float]]
    stuff: list[tuple[float, float, int]]

    @property
    def salient(self) -> torch.Tensor:
        """What matters (H, W): things without furniture, which carries them, unless there is nothing else."""
        things = self.names > 0
        rest = things & (self.names != NAMES.index("furniture"))
        return rest if rest.any() else things


def truth(coco: Coco, index: int) -> Truth:
    """What a picture of COCO holds. Larger things lie behind smaller ones."""
    number, found = coco.ids[index], coco.things(index)
    info = coco.coco.imgs[number]
    height, width = found[0][1].shape if found else (info["height"], info["width"])
    names, unknown = np.zeros((height, width), np.int64), np.zeros((height, width), bool)
    for thing, mask in sorted(found, key=lambda pair: -pair[1].sum()):
        if thing.get("iscrowd") or mask.mean() < SMALLEST:
            unknown |= mask
        else:
            names[mask] = name_number(coco.coco.cats[thing["category_id"]])
    heads = [(float(m["y"]) * height, float(m["x"]) * width, float(m["height"]) * height) for m in _marks(HEADS, number)]
    stuff = [(float(m["y"]) * height, float(m["x"]) * width, STUFF.index(m["name"])) for m in _marks(PLACES, number)]
    return Truth(torch.from_numpy(names), torch.from_numpy(~unknown | (names > 0)), heads, stuff)


def name_number(category: dict) -> int:
    """The number in `NAMES` of a category of COCO: its supercategory, or "other thing"; a potted plant is no furniture."""
    kind = category.get("supercategory")
    return NAMES.index(kind if kind in NAMES and category["name"] != "potted plant" else "other thing")


def _marks(file: Path, picture: int) -> list[dict[str, str]]:
    return [row for row in _rows(file) if int(row["picture"]) == picture]


@functools.cache
def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@dataclass(frozen=True)
class View:
    """Features by name (1, C, h, w) in half precision, and what is there at stride 8: shares of the names (1, 7, h, w),
    whether it counts (1, 1, h, w), heads (1, 1, h, w), and shares of marked `STUFF` (1, 6, h, w)."""

    features: dict[str, torch.Tensor]
    names: torch.Tensor
    counts: torch.Tensor
    heads: torch.Tensor
    stuff: torch.Tensor


class Views:
    """`views[index]`: the views of a picture of COCO: each size as it is and mirrored, then `crops` random ones.

    Made when first asked for and kept: about 14 MB a picture. A pure function of the picture and `seed`.
    """

    def __init__(self, coco: Coco, seed: int = 0, crops: int = CROPS):
        self.coco, self.seed, self.crops, self._kept = coco, seed, crops, {}

    def __getitem__(self, index: int) -> list[View]:
        if index not in self._kept:
            self._kept[index] = self._made(index)
        return self._kept[index]

    def _made(self, index: int) -> list[View]:
        image, known = self.coco.load(index), truth(self.coco, index)
        planes = _planes(known)
        image = images.resize(image, tuple(planes.shape[-2:]))
        rng = np.random.default_rng((self.seed, index))
        found = [_view(image, planes, size, mirrored) for size in SIZES for mirrored in (False, True)]
        for _ in range(self.crops):
            share, (height, width) = rng.uniform(CLOSEST, 0.95), image.shape[-2:]
            tall, wide = int(height * share), int(width * share)
            top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
            window = (..., slice(top, top + tall), slice(left, left + wide))
            tint = torch.tensor(rng.uniform(0.85, 1.15, 3), dtype=torch.float32).view(3, 1, 1)
            seen = (image[window] ** float(rng.uniform(0.7, 1.4)) * tint).clamp(0, 1)
            seen = seen.mean(1, keepdim=True).expand_as(seen) if rng.random() < 0.15 else seen
            found.append(_view(seen, planes[window], int(rng.integers(SIZES[0], SIZES[1] + 1)), rng.random() < 0.5))
        return found


class Thumbnails(Pictures):
    """Some pictures of a set, small, each decoded once: a step shows them, but learns from their `Views`."""

    def __init__(self, pictures: Pictures, indices):
        self.pictures, self.indices, self._kept = pictures, list(indices), {}
        self.names = [pictures.names[index] for index in self.indices]

    def load(self, index: int) -> torch.Tensor:
        """The picture as an image (1, 3, H, W), its long side `THUMBNAIL`. Raises ImageError."""
        if index not in self._kept:
            self._kept[index] = images.resize(self.pictures.load(self.indices[index]), THUMBNAIL)
        return self._kept[index]


def _planes(known: Truth) -> torch.Tensor:
    """The truth as one stack (1, 15, H, W): the shares of the names, what counts, heads, marked places."""
    heads, stuff = torch.zeros(known.names.shape), torch.zeros(len(STUFF), *known.names.shape)
    rows, columns = (torch.arange(side) + 0.5 for side in known.names.shape)
    disc = lambda row, column, radius: ((rows - row)[:, None] ** 2 + (columns - column) ** 2) < radius**2
    for row, column, tall in known.heads:
        heads[disc(row, column, 0.5 * tall)] = 1
    for row, column, number in known.stuff:
        stuff[number][disc(row, column, PLACE * max(known.names.shape)) & (known.names == 0)] = 1
    names = F.one_hot(known.names, len(NAMES)).movedim(-1, 0)
    return torch.cat([names.float(), known.counts.float()[None], heads[None], stuff])[None]


@torch.no_grad()
def _view(image: torch.Tensor, planes: torch.Tensor, long_side: int, mirrored: bool) -> View:
    size = grid_size(tuple(image.shape[-2:]), long_side)
    image, planes = (image.flip(3), planes.flip(3)) if mirrored else (image, planes)
    features = load_lite0()(images.resize(image, size))
    planes = F.interpolate(planes, tuple(side // 8 for side in size), mode="area")
    count = len(NAMES)
    features = {name: features[name].half() for name in CHANNELS}
    parts = planes.split([count, 1, 1, len(STUFF)], 1)
    return View(features, *parts)
