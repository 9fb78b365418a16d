"""Soft attention as a map: which places of a photo are like few others, so that looking there tells something.

Attentional transfer (Park & Lee 2019, SANet) lets every place of the photo look at all places of the painting. A place that
finds its likes everywhere spreads its look thin; one that finds few holds it together. The entropy of the look says which.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoder import Encoder, load_encoder
from nstlab.filters import guided_filter, stretch
from nstlab.guidance.guide import Guide
from nstlab.stats import single

LAYER, SIZE = "relu4_1", 320


def attention_weights(features: torch.Tensor, others: torch.Tensor, sharpness: float = 10.0) -> torch.Tensor:
    """How each place of features (1, C, h, w) looks at the places of others (1, C, h', w'): (h w, h' w'), rows adding up to 1.

    softmax of `sharpness` times the cosine likeness, after each picture's own mean and deviation are taken out.
    """
    ours, theirs = (F.normalize(F.instance_norm(single(x))[0].flatten(1), dim=0) for x in (features, others))
    return torch.softmax(sharpness * ours.T @ theirs, 1)


@torch.no_grad()
def attention(image, other=None, *, sharpness: float = 10.0, encoder: Encoder | str = "vgg19") -> Guide:
    """Map of distinctive places of `image` (1, 3, H, W), as a Guide: 1 - entropy of each place's look at `other`.

    `other` is the painting, or None for the photo itself. Scaled from its least to its most, its borders laid on the picture's.
    """
    image = images.check(image).detach().clamp(0, 1)
    encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder)
    pictures = [image, image if other is None else images.check(other)]
    pictures = [images.resize(picture, min(SIZE, max(picture.shape[-2:]))) for picture in pictures]
    features = [encoder(picture.to(encoder.device), [LAYER])[LAYER] for picture in pictures]
    look = attention_weights(*features, sharpness)
    entropy = -(look * look.clamp_min(1e-12).log()).sum(1).view(1, 1, *features[0].shape[-2:]).cpu()
    size = tuple(pictures[0].shape[-2:])
    values = F.interpolate(stretch(-entropy, 0.02, 0.98), size, mode="bilinear", align_corners=False)
    values = guided_filter(values, pictures[0].cpu(), max(2, max(size) // 40), 1e-3).clamp(0, 1)
    at = "the photo itself" if other is None else "the painting"
    return Guide(images.resize(values, tuple(image.shape[-2:])), f"soft attention of {LAYER} at {at}")
