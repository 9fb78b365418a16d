"""Sets of pictures: what every set can do, folders, single files, and the samples."""

import copy
import hashlib
import os
import stat
from pathlib import Path

import torch

from nstlab import images, samples
from nstlab.errors import ImageError, choose
from nstlab.files import expanded, mode, reason


class Pictures:
    """A set of pictures, numbered from 0. A set of one's own gives `names` and `load`; the rest follows from them."""

    names: list[str]
    notes: tuple[str, ...] | list[str] = ()  # what was left out, in sentences
    guided = False  # whether every picture has a guide of its own

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> torch.Tensor:
        """The picture as an image (1, 3, H, W). Raises ImageError where it cannot be read."""
        raise NotImplementedError

    def guide(self, index: int) -> torch.Tensor | None:
        """The map (1, 1, H, W) that this set itself has for the picture, or None."""
        return None

    def digest(self, index: int) -> str:
        """Changes when the picture does. Raises ImageError where it cannot be read."""
        return hashlib.sha256(self.load(index).numpy().tobytes()).hexdigest()

    def fingerprint(self) -> str:
        """Tells sets apart by the names of their pictures, wherever they lie."""
        return hashlib.sha256("\n".join(self.names).encode(errors="surrogateescape")).hexdigest()[:16]

    def plain(self) -> "Pictures":
        """The same pictures without what only `guide` needs: what a worker process gets sent."""
        return self


class Files(Pictures):
    """Picture files (`paths`) under the given names."""

    def __init__(self, names: list[str], paths: list[Path]):
        self.names, self.paths = list(names), list(paths)

    def load(self, index: int) -> torch.Tensor:
        """The picture as an image (1, 3, H, W), read as `images.load` reads. Raises ImageError."""
        return images.load(self.paths[index])

    def digest(self, index: int) -> str:
        """The SHA-256 of the file, which is quicker than decoding it. Raises ImageError."""
        try:
            return hashlib.sha256(self.paths[index].read_bytes()).hexdigest()
        except OSError as error:
            raise ImageError(f"{self.paths[index]} cannot be read: {reason(error)}") from None

    def take(self, numbers) -> "Files":
        """The set of the pictures with these numbers, with all that this set knows of them."""
        return Files([self.names[number] for number in numbers], [self.paths[number] for number in numbers])

    def shows_people(self, index: int) -> bool:
        """Whether people are outlined in the picture; False where nothing is known."""
        return False


class Joined(Files):
    """Several sets one after the other; each keeps what it knows of its pictures, such as guides."""

    def __init__(self, parts: list[Files]):
        self.sets, self.parts = parts, [(part, number) for part in parts for number in range(len(part))]
        super().__init__([n for part in parts for n in part.names], [path for part in parts for path in part.paths])
        self.guided = all(part.guided for part in parts)

    @property
    def notes(self):
        """Those of its sets; some are only known once a guide is asked for."""
        return [note for part in self.sets for note in part.notes]

    def guide(self, index: int) -> torch.Tensor | None:
        part, number = self.parts[index]
        return part.guide(number)

    def shows_people(self, index: int) -> bool:
        part, number = self.parts[index]
        return part.shows_people(number)

    def take(self, numbers) -> "Joined":
        numbers = list(numbers)
        taken = copy.copy(self)
        taken.names, taken.paths = [self.names[n] for n in numbers], [self.paths[n] for n in numbers]
        taken.parts = [self.parts[n] for n in numbers]
        return taken

    def plain(self) -> Files:
        return Files(self.names, self.paths)


class Folder(Files):
    """Every picture file in a folder and its subfolders, sorted; each is named by its path within the folder.

    Links to folders are followed. Hidden files and folders are left out.
    Raises ImageError where there is no such folder, or no picture in it.
    """

    def __init__(self, path):
        self.path = folder(path)
        found = (file for file in _files(self.path) if file.suffix.lower() in images.FORMATS and file.is_file())
        seen = {file.relative_to(self.path).as_posix(): file for file in found}
        names = sorted(seen)
        if not names:
            raise ImageError(f"{self.path} holds no pictures: name a folder with files of {', '.join(images.FORMATS)} in it")
        super().__init__(names, [seen[name] for name in names])


class Repeated(Pictures):
    """A set too small for a batch, each picture as often as it takes for `least` of them: every time another crop is cut."""

    def __init__(self, pictures: Pictures, least: int):
        self.pictures, self.names = pictures, list(pictures.names) * -(-least // len(pictures))
        self.guided = pictures.guided

    @property
    def notes(self):
        """Those of the set itself."""
        return self.pictures.notes

    def load(self, index: int) -> torch.Tensor:
        return self.pictures.load(index % len(self.pictures))

    def guide(self, index: int) -> torch.Tensor | None:
        return self.pictures.guide(index % len(self.pictures))

    def digest(self, index: int) -> str:
        return self.pictures.digest(index % len(self.pictures))

    def plain(self) -> "Repeated":
        return Repeated(self.pictures.plain(), len(self.names))


class Samples(Files):
    """The pictures that ship: `kind` is "photo" or "painting"; `names` takes some of them, in that order."""

    def __init__(self, kind: str, names: list[str] | None = None):
        there = samples.names(choose("kind of sample", kind, ("photo", "painting")))
        wanted = there if names is None else [choose(f"sample {kind}", name, there) for name in names]
        super().__init__(wanted, [samples.sample(name).path for name in wanted])


def open_pictures(source, kind: str) -> Files:
    """The set that `source` names: "samples" for those of `kind`, a folder, a picture file, a sample, or a list of these.

    "samples" always means the pictures that ship; a folder of that name is "./samples". Raises ImageError.
    """
    if isinstance(source, (list, tuple)):
        if not source:
            raise ImageError("no pictures are named: give a folder, a picture file, or 'samples'")
        return Joined([open_pictures(part, kind) for part in source])
    if str(source) == "samples":
        return Samples(kind)
    if not str(source).strip():
        raise ImageError("the name of the pictures is empty: give a folder, a picture file, or 'samples'")
    if _is(stat.S_ISDIR, expanded(source)):
        return Folder(source)
    path = images.locate(source)
    return Files([path.name if path.name == Path(source).name else str(source)], [path])


def every_tenth(pictures: Files) -> tuple[Files, Files]:
    """(the others, every tenth picture) of a set: what a network is judged on, it must not have seen."""
    numbers = range(len(pictures))
    return tuple(pictures.take([n for n in numbers if (n % 10 == 9) == held]) for held in (False, True))


def _files(root: Path, above: tuple[str, ...] = ()):
    """The files below a folder that are not hidden; links to folders are followed, except back to a folder they lie in."""
    real = os.path.realpath(root)
    if real in above:
        return
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{root} cannot be read: {reason(error)}") from None
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry, (*above, real))
        else:
            yield entry


def _is(kind, path: Path) -> bool:
    """Whether there is something of this kind (a test of modes) at the path. Raises ImageError where that cannot be known."""
    try:
        return bool(kind(mode(path)))
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {reason(error)}") from None


def folder(path) -> Path:
    """The path, if it is a folder. Raises ImageError."""
    path = expanded(path)
    if _is(stat.S_ISREG, path):
        raise ImageError(f"{path} is a file, not a folder: name the folder the pictures are in")
    if not _is(stat.S_ISDIR, path):
        raise ImageError(f"{path}: there is no such folder; check the path")
    return path
