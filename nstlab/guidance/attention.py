"""Soft attention as a map: which places of a photo are similar to few others, and so are distinctive.

In attentional style transfer (Park & Lee 2019, SANet), every place of the photo attends to all places of the painting. The
attention of a place with many similar places is spread out, that of a distinctive one is concentrated; its entropy shows which.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders import Encoder, load_encoder
from nstlab.filters import guided_filter, stretch
from nstlab.guidance.guide import Guide
from nstlab.stats import single

LAYER, SIZE = "relu4_1", 320


def attention_weights(features: torch.Tensor, others: torch.Tensor, sharpness: float = 10.0) -> torch.Tensor:
    """Attention (h w, h' w') of each place of features (1, C, h, w) to the places of others (1, C, h', w'); rows sum to 1.

    softmax of `sharpness` times the cosine similarity, after instance normalisation of both.
    """
    ours, theirs = (F.normalize(F.instance_norm(single(x))[0].flatten(1), dim=0) for x in (features, others))
    return torch.softmax(sharpness * ours.T @ theirs, 1)


@torch.no_grad()
def attention(image, other=None, *, sharpness: float = 10.0, encoder: Encoder | str = "vgg19") -> Guide:
    """Map of the distinctive places of `image` (1, 3, H, W), as a Guide: the negative entropy of each place's attention.

    It attends to `other`, the painting, or to the photo itself if that is None. The map is stretched to [0, 1] and its borders
    are aligned with the edges of the picture by a guided filter.
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
