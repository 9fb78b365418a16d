"""Thirteen photos and twelve paintings that ship with nstlab, each with author, licence and origin."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from nstlab.errors import ImageError, nearest

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """One picture: `kind` is "photo" or "painting", `path` the JPEG file, `credit` what to print under it."""

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
    """Names of the samples; `kind` "photo" or "painting" leaves out the others."""
    return [s.name for s in catalogue().values() if kind in (None, s.kind)]


def sample(name: str) -> Sample:
    """The sample of that name; raises ImageError with the nearest names."""
    if name not in catalogue():
        raise ImageError(f"no sample picture '{name}': {nearest(name, catalogue())}")
    return catalogue()[name]
