"""The thirteen photos and twelve paintings that ship with nstlab, each with author, licence and origin."""

import csv
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nstlab.errors import ImageError, nearest

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """One picture: `kind` is "photo" or "painting", `path` the JPEG file, `credit` the line to print under it."""

    name: str
    kind: str
    path: Path
    width: int
    height: int
    credit: str
    licence: str
    origin: str


@functools.cache
def catalogue() -> dict[str, Sample]:
    """All samples by short name, paintings first."""
    with open(FOLDER / "CREDITS.csv", newline="", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        return {
            row["name"]: Sample(
                row["name"], row["kind"], FOLDER / row["file"], int(row["width"]), int(row["height"]),
                row["credit"], row["licence"], row["origin"],
            )
            for row in rows
        }  # fmt: skip


def names(kind: str | None = None) -> list[str]:
    """Names of all samples, or of those of a `kind`, "photo" or "painting"."""
    return [s.name for s in catalogue().values() if kind in (None, s.kind)]


def sample(name: str) -> Sample:
    """The sample of that name; raises an ImageError that names the most similar ones."""
    if name not in catalogue():
        raise ImageError(f"no sample picture '{name}': {nearest(name, catalogue())}")
    return catalogue()[name]


@functools.cache
def _outlines() -> dict[str, list]:
    return json.loads((FOLDER / "outlines.json").read_text(encoding="utf-8"))


def outlined() -> list[str]:
    """Names of the photos whose main thing was outlined by hand."""
    return list(_outlines())


def outline(name: str, size: tuple[int, int]) -> np.ndarray:
    """Mask of `size` (H, W), float32: 1 inside the outline that was drawn by hand around the main thing of a sample photo.

    Raises ImageError for a photo without one.
    """
    if name not in _outlines():
        raise ImageError(f"'{name}' has no outline drawn by hand: {nearest(name, _outlines())}")
    mask = Image.new("L", size[::-1])
    for polygon in _outlines()[name]:
        ImageDraw.Draw(mask).polygon([(x * size[1], y * size[0]) for x, y in polygon], fill=1)
    return np.array(mask, np.float32)
