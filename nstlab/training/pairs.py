"""Pairs of content and style for networks that learn no style: every step draws both, photos serve as styles too."""

import math
import random

import torch

from nstlab.data import Files


def style_pictures(paintings: Files, photos: Files, share: float = 0.5) -> Files:
    """Pictures to draw styles from: all photos, and the paintings so often that they are about a `share` of them."""
    often = max(1, round(share / (1 - share) * len(photos) / len(paintings))) if share < 1 else 1
    others = photos if share < 1 else Files([], [])
    names = [f"{number}/{name}" for number in range(often) for name in paintings.names]
    return Files([*names, *others.names], [*paintings.paths * often, *others.paths])


def recoloured(crops: torch.Tensor, seeds: list[int], share: float = 0.5) -> torch.Tensor:
    """Crops (N, 3, H, W), a `share` of them with other hues, saturation and brightness; `seeds` has a number for each."""
    found = []
    for crop, seed in zip(crops, seeds, strict=True):
        draw = random.Random(seed)
        if draw.random() < share:
            turn = hue_turn(draw.uniform(-math.pi, math.pi), draw.uniform(0.4, 1.6)).to(crop)
            crop = torch.einsum("ij,jhw->ihw", turn, crop).clamp(0, 1) ** math.exp(draw.uniform(-0.5, 0.5))
        found.append(crop)
    return torch.stack(found)


def hue_turn(angle: float, saturation: float = 1.0) -> torch.Tensor:
    """The matrix (3, 3) that turns colours about the grey axis by `angle` (radians) and scales their distance from it."""
    cosine, sine = saturation * math.cos(angle), saturation * math.sin(angle) / math.sqrt(3)
    grey, cross = torch.full((3, 3), 1 / 3), torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return grey + cosine * (torch.eye(3) - grey) + sine * cross
