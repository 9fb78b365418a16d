"""Blends of three: the points of a grid of them, and which of these are near. It knows no widget."""

import itertools

from nstlab.errors import check_count


def grid_points(grid: int) -> list[tuple[float, float, float]]:
    """The blends whose shares are whole multiples of 1 / grid: for 2 the three corners and the middles of the edges."""
    counts = itertools.product(range(check_count("grid", grid), -1, -1), repeat=3)
    return [tuple(count / grid for count in each) for each in counts if sum(each) == grid]


def nearest(blend, grid: int) -> list[tuple[tuple[float, float, float], float]]:
    """[(grid point, weight), ...]: the corners of the small triangle around a blend, with weights that add up to 1.

    A grid point's weight falls evenly from 1 there to 0 at its neighbours.
    """
    weights = [(at, 1 - grid * max(abs(a - b) for a, b in zip(blend, at, strict=True))) for at in grid_points(grid)]
    return [(at, weight) for at, weight in weights if weight > 1e-9]
