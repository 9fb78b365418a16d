"""Photos varied before a network sees them: another look, and things nearer."""

import math
import random

import torch

from nstlab import images
from nstlab.training.pairs import hue_turn

LOOKS, NEAR = 0.3, 0.35  # shares of the photos that get another look, and that are looked at from nearer
NEAREST = 2.5  # the most by which they are enlarged: a face that was a quarter of the picture fills it


def varied(photo: torch.Tensor, guides: torch.Tensor | None, seeds: list[int]):
    """(photo (N, 3, H, W), guides (N, 1, H, W) or None), some of them with other hues, contrast and brightness, some of them
    enlarged parts of themselves, the guide with them; `seeds` has a number for each."""
    looks, maps, size = [], [], tuple(photo.shape[-2:])
    for number, seed in enumerate(seeds):
        draw, image = random.Random(seed), photo[number : number + 1]
        guide = None if guides is None else guides[number : number + 1]
        if draw.random() < LOOKS:
            turn = hue_turn(draw.gauss(0, 0.5), draw.uniform(0.3, 1.5)).to(image)
            image = torch.einsum("ij,njhw->nihw", turn, image).clamp(0, 1) ** math.exp(draw.uniform(-0.5, 0.5))
        if draw.random() < NEAR:
            nearer = draw.uniform(1, NEAREST)
            places = []
            for side in size:
                length = max(1, round(side / nearer))
                start = draw.randrange(side - length + 1)
                places.append(slice(start, start + length))
            part = (..., *places)
            image, guide = images.resize(image[part], size), None if guide is None else images.resize(guide[part], size)
        looks.append(image)
        maps.append(guide)
    return torch.cat(looks), None if guides is None else torch.cat(maps)
