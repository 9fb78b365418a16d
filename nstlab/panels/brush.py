"""A map under a soft round brush, with a way back. It knows no widget."""

import math
from collections import deque
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.guidance import Guide, load_map

STEPS_BACK = 40  # that can be undone


class State(NamedTuple):
    """A map as it stands, and what it grew from."""

    values: np.ndarray  # (H, W), as painted
    base: Guide | None = None  # the map that it began with, as large as the photo
    began: np.ndarray | None = None  # the same, as large as `values`


class PaintedMap:
    """A map of `shape` (H, W) to paint on, of a photo of another size, `full`.

    Every change leaves the arrays before it as they were, so undoing restores them exactly.
    """

    def __init__(self, shape: tuple[int, int], full: tuple[int, int], base: Guide | None = None):
        self.shape, self.full = shape, full
        self.history: deque[State] = deque(maxlen=STEPS_BACK)
        self.state = self._from(base)

    @property
    def values(self) -> np.ndarray:
        return self.state.values

    def guide(self) -> Guide:
        """The map as large as the photo. What the brush left alone is as sharp as it came."""
        values, base, began = self.state
        full = self._enlarged(values)
        if base is None:
            return load_map(Guide(full, "painted by hand"))
        touched = values != began
        if not touched.any():
            return base
        share = self._enlarged(touched)
        return load_map(Guide(share * full + (1 - share) * base.map, f"painted over: {base.method}", base.note))

    def draw(self, points, value: float, radius: float, softness: float) -> None:
        """Draw a line through `points`, (x, y) in shares of width and height; `radius` is a share of the long side."""
        points = _checked(points)
        for name, number in {"value": value, "radius": radius, "softness": softness}.items():
            if not isinstance(number, Real) or not 0 <= number <= 1:
                raise SettingError(f"{name} {number}: give a number from 0 to 1")
        places = points * self.shape[::-1] - 0.5  # a pixel's centre lies half a pixel from its corner
        cover = covered(self.shape, places, max(radius * max(self.shape), 1.5), softness)
        self._change(self.state._replace(values=self.values + (value - self.values) * cover))

    def take(self, values: np.ndarray) -> None:
        """Let the map become `values` (H, W) in bytes, as somebody has painted it; what is the same stays as exact as it is."""
        changed = values != as_bytes(self.values)
        if changed.any():
            self._change(self.state._replace(values=np.where(changed, values.astype(np.float32) / 255, self.values)))

    def undo(self) -> None:
        """Back to what was before the last change, if there is one."""
        if self.history:
            self.state = self.history.pop()

    def replace(self, base: Guide | None) -> None:
        """Begin anew with a map, or with an empty one."""
        self._change(self._from(base))

    def invert(self) -> None:
        """Mark what is not marked, and the other way round."""
        values, base, began = self.state
        self._change(State(1 - values) if base is None else State(1 - values, base.inverted(), 1 - began))

    def _change(self, state: State) -> None:
        self.history.append(self.state)
        self.state = state

    def _from(self, base: Guide | None) -> State:
        if base is None:
            return State(np.zeros(self.shape, np.float32))
        values = images.resize(base.map, self.shape)[0, 0].numpy().copy()
        return State(values, base, values)

    def _enlarged(self, values: np.ndarray) -> torch.Tensor:
        return images.resize(torch.from_numpy(values.astype(np.float32))[None, None], self.full)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """A map as it is sent to a browser."""
    return np.round(values * 255).astype(np.uint8)


def covered(shape: tuple[int, int], places, radius: float, softness: float) -> np.ndarray:
    """How far a stroke through `places`, (x, y) in pixels, covers a map of `shape`: each place once, however often."""
    cover = np.zeros(shape, np.float32)
    for start, end in zip([places[0], *places], places):
        rows, columns, part = dab(shape, start, end, radius, softness)
        cover[rows, columns] = np.maximum(cover[rows, columns], part)
    return cover


def dab(shape: tuple[int, int], start, end, radius: float, softness: float) -> tuple[slice, slice, np.ndarray]:
    """How far a round brush drawn from `start` to `end`, (x, y) in pixels, covers a map of `shape`.

    Returns the rows and columns that it can reach, and how much of them it covers: all within the radius, fading to nothing
    over the outer `softness` of it.
    """
    (x0, y0), (x1, y1) = start, end
    rows, columns = (_reach(y0, y1, radius, shape[0]), _reach(x0, x1, radius, shape[1]))
    y, x = np.ogrid[rows, columns]
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1) if length else 0.0
    distance = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
    return rows, columns, np.clip((radius - distance) / max(softness * radius, 1), 0, 1).astype(np.float32)


def _reach(a: float, b: float, radius: float, side: int) -> slice:
    low, high = math.floor(min(a, b) - radius), math.ceil(max(a, b) + radius) + 1
    return slice(min(max(low, 0), side), min(max(high, 0), side))


def _checked(points) -> np.ndarray:
    """Points as an array (n, 2); raises SettingError."""
    try:
        array = np.asarray(points, dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or not ((array >= 0) & (array <= 1)).all():
        raise SettingError(f"points {points}: give a list of (x, y) in shares of width and height, from 0 to 1")
    return array
