"""Whether the content of a photo is still recognised after painting, by a classifier and by the face detector.

Neither of them is used in a loss.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.filters import at_size
from nstlab.guidance.faces import Box, faces

SEEN = 224  # long side in pixels at which pictures are classified; smaller ones are enlarged
KEPT = 5  # a class counts as recognised among this many likeliest ones
OVERLAP = 0.4  # least intersection over union of a face in the image with that in the content


@dataclass(frozen=True)
class Recognised:
    """How a classifier's answer for a picture compares with its answer for the content.

    `still`: whether the content's likeliest class is among the picture's five likeliest. `kept`: how much of the content's
    class probabilities the picture's share, the sum over classes of the smaller of the two, from 0 to 1. `sure`: the
    probability of the content's likeliest class in the content itself.
    """

    still: bool
    kept: float
    sure: float


@torch.no_grad()
def recognised(image: torch.Tensor, content: torch.Tensor, guide: torch.Tensor | None = None) -> Recognised:
    """How much of the content (1, 3, H, W) EfficientNet-Lite0 recognises in an image of the same size.

    A photo need not show any of the thousand classes of ImageNet, which include no person. Therefore `kept` compares the two
    distributions as a whole, without a correct class: if the classifier is unsure of the photo, it should be equally unsure of
    the image. A guide (1, 1, H, W) restricts both to the marked region. Answers are means over a picture and its mirror image.
    """
    ours, theirs = (_answer(each, guide) for each in (image, content))
    first = int(theirs.argmax())
    return Recognised(
        still=first in ours.topk(KEPT).indices.tolist(),
        kept=torch.minimum(ours, theirs).sum().item(),
        sure=theirs[first].item(),
    )


def _answer(image: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
    """Class probabilities (1000,) of an image, pooled over the guide."""
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
    """For each face of the content, whether the image has a face with an intersection over union of 0.4 or more.

    `wanted` are the boxes found in the content by `guidance.faces.faces`, in pixels at the size of the image.
    """
    found = faces(image) if wanted else []
    return [any(overlap(face, other) >= OVERLAP for other in found) for face in wanted]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    tall = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    shared = max(tall, 0) * max(wide, 0)
    return shared / max(one.height * one.width + other.height * other.width - shared, 1e-9)
