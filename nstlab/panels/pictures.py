"""The pictures that a visitor can choose from: the samples, and what was uploaded, kept in memory alone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nstlab import images, samples
from nstlab.errors import ImageError
from nstlab.filters import shrink
from nstlab.formats import decode
from nstlab.panels.takeaway import small_jpeg

MOST_BYTES = 20_000_000  # of an upload
MOST_PIXELS = 50_000_000  # of an upload, from its header: a visitor should not fill the server's memory
LONG_SIDE = 2048  # pixels that are kept of an upload
MOST_UPLOADS = 8  # kept on a shelf: the oldest makes room
SMALL_WORDS = ("a", "at", "in", "of", "the")
THUMB, QUALITY = 160, 78  # pixels of a thumbnail's long side, and how well it is kept


@dataclass(frozen=True)
class Source:
    """A picture to choose: `key` is its own, `name` what settings and commands call it, `values` the pixels of an upload.

    `values` is uint8 (H, W, 3); None is a sample, or a file that `name` names.
    """

    key: str
    name: str
    title: str
    values: np.ndarray | None = None

    @property
    def picture(self):
        """What `images.load` takes."""
        return self.name if self.values is None else self.values

    def thumb(self) -> bytes:
        """A small JPEG of it."""
        return small_jpeg(images.load(self.picture), THUMB, QUALITY)


class Shelf:
    """The samples of a kind, "photo" or "painting", and what was added, newest first."""

    def __init__(self, kind: str):
        self.kind = kind
        self._samples = {name: Source(name, name, titled(name)) for name in samples.names(kind)}
        self._added: dict[str, Source] = {}

    def __getitem__(self, key: str) -> Source:
        return self._added.get(key) or self._samples[key]

    def __contains__(self, key: str) -> bool:
        return key in self._added or key in self._samples

    def get(self, key: str, other: "Source | None" = None) -> "Source | None":
        """The one with that key, or `other`."""
        return self._added.get(key) or self._samples.get(key, other)

    def sources(self) -> list[Source]:
        """All of them, in the order to be shown in."""
        return [*reversed(self._added.values()), *self._samples.values()]

    def put(self, source: Source, keep: str = "") -> Source:
        """Add one, unless it is there, and return the one that is there; `keep` is the key of one that must not make room."""
        if source.key not in self:
            self._added[source.key] = source
            old = [key for key in self._added if key not in (source.key, keep)]
            for key in old[: max(0, len(self._added) - MOST_UPLOADS)]:
                del self._added[key]
        return self[source.key]

    def find(self, given) -> Source:
        """The source of a sample's name, of a path, or of whatever else `images.load` takes. Raises ImageError."""
        if isinstance(given, str) and given in self:
            return self[given]
        image = images.load(given)
        if isinstance(given, (str, Path)):
            return self.put(Source(f"file-{_digest(str(given).encode())}", str(given), Path(given).name))
        values = np.array(images.to_pil(shrink(image[:1], LONG_SIDE)))
        return self.put(Source(f"given-{_digest(values.tobytes())}", "picture.png", "picture", values))


def uploaded(name: str, data: bytes) -> Source:
    """The source of an uploaded file; the same bytes have the same key. Raises ImageError, which names the file."""
    name = plain_name(name)
    if len(data) > MOST_BYTES:
        most = f"{MOST_BYTES // 10**6} MB"
        raise ImageError(f"{name} has {len(data) / 1e6:.0f} MB, and at most {most} can be uploaded: make a smaller copy of it")
    decode.read(data, name, lambda picture: _check_pixels(picture, name))
    try:
        image = shrink(images.load(data), LONG_SIDE)
    except ImageError as error:
        raise ImageError(str(error).replace("the uploaded file", name)) from None
    return Source(f"upload-{_digest(data)}", name, Path(name).stem, np.array(images.to_pil(image)))


def plain_name(name: str) -> str:
    """The name of a file without folders, line breaks and what else cannot be printed, and not too long."""
    name = "".join(character if character.isprintable() else "_" for character in name.replace("\\", "/").rsplit("/", 1)[-1])
    stem, dot, suffix = name.rpartition(".")
    return (f"{stem[:60]}{dot}{suffix[:8]}" if stem else name[:60]) or "picture"


def titled(name: str) -> str:
    """What a sample is called on the page: a painting by its title, a photo by its name in words."""
    known = samples.sample(name)
    parts = known.credit.split(", ")
    if known.kind == "painting" and len(parts) > 1:
        return parts[1]
    return " ".join(word if word in SMALL_WORDS else word.capitalize() for word in name.split("-"))


def described(source: Source) -> str:
    """The alternative text of a picture: a sample's credit, or the name of the file."""
    known = samples.catalogue().get(source.key)
    return known.credit if known and known.kind == "painting" else source.title


def opened(source: Source) -> torch.Tensor:
    """The image (1, 3, H, W) of a source. Raises ImageError."""
    return images.load(source.picture)


def _check_pixels(picture, name: str) -> None:
    """Raise ImageError for more than MOST_PIXELS, which the header says."""
    if picture.width * picture.height > MOST_PIXELS:
        raise ImageError(f"{name} has more than {MOST_PIXELS // 10**6} million pixels: make a smaller copy of it")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
