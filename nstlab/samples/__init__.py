"""The thirteen photos and twelve paintings that ship with nstlab, each with author, licence and origin."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

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
