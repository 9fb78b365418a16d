"""Blends of three as places in a triangle, and back, and how the triangle is drawn. It knows no widget."""

import io
import itertools

import numpy as np
import torch
from PIL import Image, ImageDraw

from nstlab import images, plots
from nstlab.errors import check_count

WIDTH, HEIGHT = 340, 310  # of the triangle's canvas, in pixels
CORNERS = ((170, 89), (78, 248), (262, 248))  # where one painting has it all
THUMBNAILS = ((170, 38), (38, 272), (302, 272))  # the middles of the paintings beside their corners
SIDE = 64  # of the largest thumbnail


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


def point_at(blend, corners) -> tuple[float, float]:
    """The place (x, y) of a blend: the mean of the three corners, weighted."""
    return tuple(float(sum(share * corner[i] for share, corner in zip(blend, corners, strict=True))) for i in (0, 1))


def blend_at(point, corners) -> tuple[float, float, float]:
    """The barycentric coordinates of a place: its shares of the corners; outside, those of the nearest place inside."""
    a, b, c = corners = [np.array(corner, float) for corner in corners]
    point = np.array(point, float)
    second, third = np.linalg.solve(np.stack([b - a, c - a], 1), point - a)
    found = np.array([1 - second - third, second, third])
    if found.min() < 0:
        edges = [_on_edge(point, corners, i) for i in range(3)]
        found = min(edges, key=lambda each: np.hypot(*(each @ np.stack(corners) - point)))
    return tuple(float(share) for share in found)


def _on_edge(point: np.ndarray, corners: list, i: int) -> np.ndarray:
    """The coordinates of the place on the edge opposite of corner i that is nearest to a point."""
    start, end = (i + 1) % 3, (i + 2) % 3
    along = corners[end] - corners[start]
    share = np.clip((point - corners[start]) @ along / (along @ along), 0, 1)
    return np.eye(3)[start] * (1 - share) + np.eye(3)[end] * share


def board(thumbnails: list[torch.Tensor]) -> torch.Tensor:
    """The triangle with its paintings, each in a frame of its slider's colour, as an image."""
    whole = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(whole)
    pen.polygon([xy for corner in CORNERS for xy in corner], fill="#f2f2f2", outline="#555555")
    for image, color, (x, y) in zip(thumbnails, plots.COLORS, THUMBNAILS):
        picture = images.to_pil(image)
        left, top = x - picture.width // 2, y - picture.height // 2
        pen.rectangle((left - 3, top - 3, left + picture.width + 2, top + picture.height + 2), fill=color)
        whole.paste(picture, (left, top))
    return images.from_pil(whole)


def drawn(dots) -> bytes:
    """PNG bytes of the same dots on nothing."""
    whole = Image.new("RGBA", (4 * WIDTH, 4 * HEIGHT))
    pen = ImageDraw.Draw(whole)
    for (x, y), radius, color in dots:
        pen.circle((4 * x, 4 * y), 4 * radius, fill=color, outline="black", width=6)
    buffer = io.BytesIO()
    whole.resize((WIDTH, HEIGHT), Image.Resampling.BOX).quantize(32).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
