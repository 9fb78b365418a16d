"""Importance: grades what matters inside objects: faces, then heads, then bodies; in other things by class activation."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.filters import gaussian, shrink
from nstlab.guidance.faces import Box, face_shape, faces, head_map
from nstlab.guidance.guide import Guide, each, join_notes
from nstlab.guidance.saliency import SIZE, SMALLEST, class_activation, object_map
from nstlab.guidance.things import Things, things

BODY, HEAD, THING = 0.5, 0.8, 0.4  # importance of bodies, of heads, and the least of other objects; a face has 1


def importance(image: torch.Tensor, outline: Guide | None = None) -> Guide:
    """Graded map of what matters in `image` (N, 3, H, W), as a Guide: 0 is background.

    A person's body has 0.5, the head 0.8, the face 1. An animal or another thing has 0.4 to 1, according to its class
    activation relative to the strongest in the objects. `outline` is the map (N, 1, H, W) of the objects, by default that of
    `saliency`; if nothing stands out, the result is uniform and the note says so. Raises SettingError, WeightsError.
    """
    if outline is not None:
        outlines = iter(outline.resized(tuple(image.shape[-2:])).map.expand(image.shape[0], -1, -1, -1).cpu())

    def one(picture):
        small, size = shrink(picture, SIZE), tuple(picture.shape[-2:])
        if min(small.shape[-2:]) < SMALLEST:
            small = images.resize(small, tuple(max(side, SMALLEST) for side in small.shape[-2:]))
        seen = things(picture)
        objects, note = object_map(small, picture, seen) if outline is None else (next(outlines)[None], "")
        if objects.max() - objects.min() < 1e-6:
            return objects, note or "the outline singles nothing out"
        inside = images.resize(objects, tuple(small.shape[-2:]))
        return (objects * _levels(seen, faces(picture, seen), class_activation(small) * inside, size)).clamp(0, 1), note

    values, notes = each(image, one)
    return Guide(values, "importance: faces, heads, bodies; class activation inside other objects", join_notes(notes))


def _levels(seen: Things, boxes: list[Box], looked: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Importance (1, 1, H, W) of each place, assuming it is in an object; `looked` is class activation inside objects."""
    at = lambda values: F.interpolate(values, size, mode="bilinear", align_corners=False)
    person = at(seen.names[:, 1:2] / seen.names[:, 1:].sum(1, keepdim=True).clamp_min(1e-6))
    thing = THING + (1 - THING) * at(looked / looked.amax((2, 3), keepdim=True).clamp_min(1e-6))
    levels = person * (BODY + (HEAD - BODY) * at(seen.heads)) + (1 - person) * thing
    for box in boxes:
        soft = 0.1 * box.height
        levels = torch.maximum(levels, HEAD * gaussian(head_map(box, size), soft))
        levels = torch.maximum(levels, gaussian(face_shape(box, size), soft))
    return levels
