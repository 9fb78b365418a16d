"""Faces, where changes are most noticeable: found by a cascade of local binary patterns and by the saliency head."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from nstlab import images
from nstlab.filters import gaussian, shrink
from nstlab.guidance.guide import Guide, each
from nstlab.guidance.things import Things, things

SIZES = (320, 640)  # long sides in pixels at which the cascade searches
SMALLEST = 24  # side in pixels of the smallest face found there
SURE = 0.6  # probability of a head that is sufficient by itself
LEAST, DOUBTED = 0.05, 0.1  # probability needed for a face of the cascade that is found in the mirror image too, or not


@dataclass(frozen=True)
class Box:
    """A square around a face, in pixels of the picture."""

    top: float
    left: float
    height: float
    width: float


@functools.cache
def _cascade():
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def faces(image: torch.Tensor, seen: Things | None = None) -> list[Box]:
    """Boxes of the faces in one picture (1, 3, H, W), the largest first.

    Faces that look at the camera are found by the cascade, at two sizes of the picture; one counts if it is also found in the
    mirror image, or if the saliency head finds a person's head there. Heads that are turned, covered or small are found by the
    saliency head alone: each region where it is sure becomes a box. `seen` is the output of `things` for the picture, if it is
    already known. Raises WeightsError if weights are missing.
    """
    image = images.check(image)[:1].detach().clamp(0, 1).cpu()
    if min(image.shape[-2:]) <= SMALLEST:
        return []
    heads = (seen or things(image)).heads
    found: list[Box] = []
    for size in SIZES:
        if size == SIZES[0] or max(image.shape[-2:]) > size / 2:
            found += [box for box in _frontal(image, size, heads) if all(_overlap(box, other) < 0.2 for other in found)]
    for box in head_boxes(heads, tuple(image.shape[-2:])):
        if all(_overlap(box, other) < 0.1 and not _inside(other, box) for other in found):
            found.append(box)
    return sorted(found, key=lambda box: -box.height)


def frontal_faces(image: torch.Tensor) -> list[Box]:
    """Boxes of the faces that the cascade alone finds in one picture (1, 3, H, W) and in its mirror image, largest first."""
    image = images.check(image)[:1].detach().clamp(0, 1).cpu()
    return sorted(_frontal(image, SIZES[0]), key=lambda box: -box.height)


def _frontal(image: torch.Tensor, size: int, heads: torch.Tensor | None = None) -> list[Box]:
    """The boxes of the cascade at a long side of `size` that are confirmed by the mirror image or by the map `heads`."""
    small = shrink(image, size)
    if min(small.shape[-2:]) <= SMALLEST:
        return []
    found, scale, width = _detect(small), image.shape[-1] / small.shape[-1], small.shape[-1]
    mirrored = [Box(b.top, width - b.left - b.width, b.height, b.width) for b in (_detect(small.flip(3)) if found else [])]
    sure = [box for box in found if any(_overlap(box, other) > 0.4 for other in mirrored)]
    boxes = [Box(box.top * scale, box.left * scale, box.height * scale, box.width * scale) for box in found]
    if heads is None:
        return [box for box, small_box in zip(boxes, found, strict=True) if small_box in sure]
    speaks = [_sureness(heads, box, tuple(image.shape[-2:])) for box in boxes]
    least = [LEAST if small_box in sure else DOUBTED for small_box in found]
    return [box for box, value, needed in zip(boxes, speaks, least, strict=True) if value >= needed]


def _sureness(heads: torch.Tensor, box: Box, size: tuple[int, int]) -> float:
    """The highest probability of a head within a box."""
    rows, columns = heads.shape[-2] / size[0], heads.shape[-1] / size[1]
    top, left = max(0, int(box.top * rows)), max(0, int(box.left * columns))
    inside = heads[..., top : int((box.top + box.height) * rows) + 1, left : int((box.left + box.width) * columns) + 1]
    return inside.max().item() if inside.numel() else 0.0


def head_boxes(heads: torch.Tensor, size: tuple[int, int]) -> list[Box]:
    """A square box in a picture of `size` (H, W) for each connected region where `heads` (1, 1, h, w) reaches `SURE`.

    Its area is that of the region: the head was trained on discs whose diameter is the height of the face.
    """
    values = heads[0, 0].numpy()
    labels, count = ndimage.label(values > SURE / 2)
    boxes = []
    scale = size[0] / values.shape[0], size[1] / values.shape[1]
    for number in range(1, count + 1):
        place = labels == number
        if values[place].max() < SURE:
            continue
        row, column = (float(axis.mean()) + 0.5 for axis in np.nonzero(place))
        side = 2 * math.sqrt(place.sum() * scale[0] * scale[1] / math.pi)
        boxes.append(Box(row * scale[0] - side / 2, column * scale[1] - side / 2, side, side))
    return boxes


def _detect(picture: torch.Tensor) -> list[Box]:
    side = min(picture.shape[-2:])
    found = _cascade().detect_multi_scale(
        img=picture[0].permute(1, 2, 0).contiguous().numpy(), scale_factor=1.15, step_ratio=1.5,
        min_size=(SMALLEST, SMALLEST), max_size=(side, side), min_neighbor_number=4,
    )  # fmt: skip
    return [Box(*(float(box[key]) for key in ("r", "c", "height", "width"))) for box in found]


def _inside(one: Box, other: Box) -> bool:
    """Whether the middle of one box lies in the other."""
    row, column = one.top + one.height / 2, one.left + one.width / 2
    return other.top < row < other.top + other.height and other.left < column < other.left + other.width


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    tall = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    shared = max(tall, 0) * max(wide, 0)
    return shared / (one.height * one.width + other.height * other.width - shared)


def _ellipse(size, row, column, tall, wide) -> torch.Tensor:
    """Map (1, 1, H, W): 1 inside an ellipse with half axes `tall` and `wide`, falling to 0 over a sixth of them."""
    rows = (torch.arange(size[0]).view(-1, 1) + 0.5 - row) / max(tall, 1e-6)
    columns = (torch.arange(size[1]).view(1, -1) + 0.5 - column) / max(wide, 1e-6)
    return ((7 / 6 - (rows.square() + columns.square()).sqrt()) * 6).clamp(0, 1)[None, None]


def face_shape(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Map (1, 1, H, W) of the face itself: an ellipse in its box."""
    row, column = box.top + 0.5 * box.height, box.left + 0.5 * box.width
    return _ellipse(size, row, column, 0.48 * box.height, 0.4 * box.width)


def head_map(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Map (1, 1, H, W) of the head of a face box, with hair and chin, which extend beyond the box."""
    row, column = box.top + 0.45 * box.height, box.left + 0.5 * box.width
    return _ellipse(size, row, column, 0.72 * box.height, 0.58 * box.width)


def person_map(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Map (1, 1, H, W) of the head and, with lower values, of the shoulders and chest likely to be below it."""
    row, column = box.top + 3.3 * box.height, box.left + 0.5 * box.width
    body = gaussian(_ellipse(size, row, column, 2.3 * box.height, 1.5 * box.width), 0.15 * box.height)
    return torch.maximum(head_map(box, size), 0.75 * body)


def face_map(image: torch.Tensor) -> Guide:
    """The heads in `image` (N, 3, H, W) as a Guide: 1 on heads with a face, else 0. If there is none, the note says so."""

    def one(picture):
        boxes = faces(picture)
        values = torch.zeros(1, 1, *picture.shape[-2:])
        for box in boxes:
            values = torch.maximum(values, head_map(box, picture.shape[-2:]))
        return values, "" if boxes else "no face was found"

    values, notes = each(image, one)
    return Guide(
        values, "faces: cascade of local binary patterns and trained saliency head", next((note for note in notes if note), "")
    )
