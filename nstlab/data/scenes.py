"""Drawn scenes whose depth, things and outlines are known: the truth to test guides and losses against."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from nstlab.data.pictures import Pictures
from nstlab.errors import check_count, check_seed

SHAPES = ("ball", "box", "cone")


@dataclass(frozen=True)
class Scene:
    """A picture (1, 3, H, W), its nearness (1, 1, H, W; 1 nearest, 0 the sky), and labels (1, H, W): sky, ground, things."""

    image: torch.Tensor
    nearness: torch.Tensor
    labels: torch.Tensor


def scene(seed: int = 0, size: int | tuple[int, int] = 96, things: int | None = None) -> Scene:
    """A ground with things standing on it under a sky, drawn from `seed`.

    What stands lower in the picture is nearer, larger and less hazy; nearness is 1 at the lower border and 0 at the horizon.
    """
    height, width = (check_count("size", side) for side in (size if isinstance(size, (tuple, list)) else (size, size)))
    draw = torch.Generator().manual_seed(check_seed(seed))
    uniform = lambda low, high: low + (high - low) * torch.rand((), generator=draw).item()
    rows = torch.linspace(0, 1, height).view(-1, 1).expand(height, width)
    columns = torch.linspace(0, width / height, width).expand(height, width)
    horizon = uniform(0.2, 0.5)
    sky = _color(draw, 0.5, 1.0) * (1 - 0.4 * rows) + 0.25 * rows
    nearness = ((rows - horizon) / (1 - horizon)).clamp(0, 1)
    image = torch.where(rows < horizon, sky, _ground(draw, rows, columns, horizon, nearness))
    labels = (rows >= horizon).long()
    count = things if things is not None else int(uniform(2, 7))
    near = sorted(uniform(0.12, 0.95) for _ in range(count))  # the nearest last: it covers the others
    for number, depth in enumerate(near):
        foot, middle = horizon + depth * (1 - horizon), uniform(0, width / height)
        tall, wide = depth * uniform(0.35, 0.9), depth * uniform(0.2, 0.5)
        kind = SHAPES[int(uniform(0, len(SHAPES) - 1e-6))]
        inside, light = _shape(kind, (rows - foot) / tall + 1, (columns - middle) / wide)
        image = torch.where(inside, _color(draw, 0.05, 1.0) * light, image)
        nearness = torch.where(inside, torch.tensor(depth), nearness)
        labels = torch.where(inside, torch.tensor(number + 2), labels)
    haze = torch.exp(-2.5 * uniform(0, 1) * nearness / 0.4)
    haze = torch.where(labels == 0, torch.zeros(()), haze * uniform(0, 0.8))
    image = image * (1 - haze) + sky * haze
    image = image + 0.02 * torch.randn(image.shape, generator=draw)
    return Scene(image.clamp(0, 1)[None], nearness[None, None], labels[None])


class Scenes(Pictures):
    """Scenes of `size` x `size` pixels as a set to train on, drawn when they are asked for; `guide` is the nearness."""

    guided = True

    def __init__(self, seeds: Iterable[int], size: int = 96):
        self.seeds, self.size = list(seeds), check_count("size", size)
        self.names = [f"scene {seed}, {size} px" for seed in self.seeds]

    def load(self, index: int) -> torch.Tensor:
        """The picture of the scene, an image (1, 3, size, size)."""
        return _drawn(self.seeds[index], self.size).image

    def guide(self, index: int) -> torch.Tensor:
        """Its nearness, a map (1, 1, size, size)."""
        return _drawn(self.seeds[index], self.size).nearness


@functools.lru_cache(maxsize=64)
def _drawn(seed: int, size: int) -> Scene:
    """`scene`, kept for a moment: the pictures of a batch are asked for first, then their guides."""
    return scene(seed, size)


def _color(draw, low, high) -> torch.Tensor:
    return (low + (high - low) * torch.rand(3, generator=draw)).view(3, 1, 1)


def _ground(draw, rows, columns, horizon, nearness):
    """A plain or chequered ground, seen in perspective."""
    one, other = _color(draw, 0.1, 0.9), _color(draw, 0.1, 0.9)
    if torch.rand((), generator=draw) < 0.5:
        other = one * 0.9
    away = 1 / nearness.clamp_min(0.02)
    chequer = ((3 * away).floor() + ((columns - columns.mean()) * away * 3).floor()) % 2
    return one + (other - one) * chequer


def _shape(kind, down, across):
    """Where a thing is, (H, W), and how light falls on it. `down`: 0 at its top, 1 at its foot; `across`: -1 to 1."""
    if kind == "ball":
        radius = (across**2 + (2 * down - 1) ** 2).sqrt()
        light = 0.35 + 0.65 * (1 - (across + 0.4) ** 2 / 3 - (2 * down - 0.5) ** 2 / 3).clamp(0, 1)
        return radius < 1, light
    inside = (down > 0) & (down < 1)
    if kind == "box":
        return inside & (across.abs() < 1), torch.where(across < -0.2, 1.0, 0.55)
    return inside & (across.abs() < down), 0.6 - 0.4 * torch.sin(across * math.pi / 2)
