"""Whether what was in a photo is still recognised once it is painted: by a classifier, and by the face detector.

No loss reads either of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.filters import at_size
from nstlab.guidance.faces import Box, faces

SEEN = 224  # long side in pixels at which pictures are classified; smaller ones are enlarged
KEPT = 5  # a class is recognised among so many first ones
OVERLAP = 0.4  # least intersection over union of a face with the one it was


@dataclass(frozen=True)
class Recognised:
    """What a classifier still sees of a content in a picture.

    `still` says whether the content's likeliest class is among the picture's first five. `kept` is the part of the content's
    class probabilities that the picture's keep: the sum over classes of the smaller of the two, from 0 to 1. `sure` is the
    probability of the content's likeliest class in the content itself.
    """

    still: bool
    kept: float
    sure: float


@torch.no_grad()
def recognised(image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None) -> Recognised:
    """What EfficientNet-Lite0 recognises of the content (1, 3, H, W) in an image of the same size.

    A photo need not show one of the thousand classes of ImageNet (a person is none). So `kept` asks for no class to be right:
    it compares the two answers whole, and a photo that the classifier is unsure of asks for the same doubt. A guide (1, 1,
    H, W) restricts both to the place where it is; both answers are means over the picture and its mirror image.
    """
    ours, theirs = (_answer(each, guide) for each in (image, content))
    first = int(theirs.argmax())
    return Recognised(
        still=first in ours.topk(KEPT).indices.tolist(),
        kept=torch.minimum(ours, theirs).sum().item(),
        sure=theirs[first].item(),
    )


def _answer(image: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
    """Probabilities (1000,) of the classes of an image, read where the guide is."""
    network = load_lite0(fine=False)
    image = images.resize(image.detach().float().cpu().clamp(0, 1), max(SEEN, max(image.shape[-2:])))
    found = []
    for mirrored in (False, True):
        features = network(image.flip(3) if mirrored else image)["head"]
        features = features.flip(3) if mirrored else features
        weights = torch.ones_like(features[:, :1])
        if guide is not None and float(guide.sum()) > 0:
            weights = at_size(guide.cpu(), tuple(features.shape[-2:]))
        pooled = (features * weights).sum((2, 3)) / weights.sum()
        found.append(F.softmax(network.classifier(pooled), 1)[0])
    return sum(found) / len(found)


def faces_found(image: torch.Tensor, wanted: list[Box]) -> list[bool]:
    """For each of the content's faces, whether a face is found in the image where it was, overlapping by 0.4 or more.

    `wanted` are the boxes that `guidance.faces.faces` found in the content, in pixels of the image's size.
    """
    found = faces(image) if wanted else []
    return [any(overlap(face, other) >= OVERLAP for other in found) for face in wanted]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    tall = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    shared = max(tall, 0) * max(wide, 0)
    return shared / max(one.height * one.width + other.height * other.width - shared, 1e-9)
