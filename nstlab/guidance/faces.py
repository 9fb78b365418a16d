"""Faces: where people look first, and what no one forgives. A cascade of local binary patterns, found by scikit-image."""

import functools
from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.filters import gaussian, shrink
from nstlab.guidance.guide import Guide, each

SIZE = 320  # long side in pixels at which faces are sought
SMALLEST = 24  # side in pixels of the smallest face found there


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


def faces(image: torch.Tensor) -> list[Box]:
    """Boxes of the faces that look at the camera in one picture (1, 3, H, W), the largest first.

    A face counts if it is found in the mirrored picture too, which rids us of nearly all false ones. Profiles, and faces
    below about 8 % of the long side, are missed. No download: the cascade ships with scikit-image.
    """
    small = shrink(images.check(image)[:1].detach().clamp(0, 1).cpu(), SIZE)
    scale = image.shape[-1] / small.shape[-1]
    if min(small.shape[-2:]) <= SMALLEST:
        return []
    found = _detect(small)
    width = small.shape[-1]
    mirrored = [Box(b.top, width - b.left - b.width, b.height, b.width) for b in (_detect(small.flip(3)) if found else [])]
    found = [box for box in found if any(_overlap(box, other) > 0.4 for other in mirrored)]
    boxes = [Box(box.top * scale, box.left * scale, box.height * scale, box.width * scale) for box in found]
    return sorted(boxes, key=lambda box: -box.height)


def _detect(picture: torch.Tensor) -> list[Box]:
    side = min(picture.shape[-2:])
    found = _cascade().detect_multi_scale(
        img=picture[0].permute(1, 2, 0).contiguous().numpy(), scale_factor=1.15, step_ratio=1.5,
        min_size=(SMALLEST, SMALLEST), max_size=(side, side), min_neighbor_number=4,
    )  # fmt: skip
    return [Box(*(float(box[key]) for key in ("r", "c", "height", "width"))) for box in found]


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    tall = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    shared = max(tall, 0) * max(wide, 0)
    return shared / (one.height * one.width + other.height * other.width - shared)


def _ellipse(size, row, column, tall, wide) -> torch.Tensor:
    """1 inside an ellipse of those half axes, falling to 0 over a sixth of them."""
    rows = (torch.arange(size[0]).view(-1, 1) + 0.5 - row) / max(tall, 1e-6)
    columns = (torch.arange(size[1]).view(1, -1) + 0.5 - column) / max(wide, 1e-6)
    return ((7 / 6 - (rows.square() + columns.square()).sqrt()) * 6).clamp(0, 1)[None, None]


def head_map(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Map (1, 1, H, W) of the head that a face box belongs to: hair and chin reach beyond the box."""
    row, column = box.top + 0.45 * box.height, box.left + 0.5 * box.width
    return _ellipse(size, row, column, 0.72 * box.height, 0.58 * box.width)


def person_map(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Map of head and, fainter, shoulders and chest below it: where the rest of a person most likely is."""
    row, column = box.top + 3.3 * box.height, box.left + 0.5 * box.width
    body = gaussian(_ellipse(size, row, column, 2.3 * box.height, 1.5 * box.width), 0.15 * box.height)
    return torch.maximum(head_map(box, size), 0.75 * body)


def face_map(image: torch.Tensor) -> Guide:
    """The faces of a picture as a protected region: 1 on the heads, 0 elsewhere. Says so if it finds none."""

    def one(picture):
        boxes = faces(picture)
        values = torch.zeros(1, 1, *picture.shape[-2:])
        for box in boxes:
            values = torch.maximum(values, head_map(box, picture.shape[-2:]))
        return values, "" if boxes else "no face was found"

    values, notes = each(image, one)
    return Guide(values, "faces: cascade of local binary patterns", next((note for note in notes if note), ""))
