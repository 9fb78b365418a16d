"""MS-COCO (Lin et al. 2014): photos of everyday scenes, with the outlines of the things in them."""

import contextlib
import copy
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nstlab.data.pictures import Files, folder
from nstlab.errors import ImageError, SettingError
from nstlab.files import expanded, reason
from nstlab.formats import containers, decode

FARTHEST = 1e6  # pixels from the corner of the photo: what lies beyond, or is not a number, is no outline


class Coco(Files):
    """The photos of a folder that a file of COCO instances names, with the outlines that it holds, read by pycocotools.

    `missing` lists the photos that are named but not there, `unreadable` the photos with an outline that cannot be read, such
    as a polygon of two points. Missing photos and unreadable outlines are left out, which `notes` and a warning say; where only
    decoding tells that an outline cannot be read, they say it then, and `left_out` counts it too. Raises ImageError for a file
    of another kind or if no photo is there, SettingError without pycocotools.
    """

    def __init__(self, pictures, annotations):
        root, file = folder(pictures), expanded(annotations)
        self.coco, ids = _read(file)
        named = [(number, self.coco.imgs[number]["file_name"]) for number in ids]
        there = [(number, name) for number, name in named if (root / name).is_file()]
        self.ids = [number for number, _ in there]
        super().__init__([name for _, name in there], [root / name for _, name in there])
        self.missing = sorted({name for _, name in named} - set(self.names))
        if not there:
            raise ImageError(f"none of the {len(named)} pictures that {file} names is in {root}: {_first(self.missing)}")
        numbers = set(self.ids)
        bad = [thing for thing in self.coco.anns.values() if thing["image_id"] in numbers and not _readable(thing)]
        self._bad = {thing["id"] for thing in bad}
        self.unreadable = sorted({self.coco.imgs[thing["image_id"]]["file_name"] for thing in bad})
        self.notes = []
        if self.missing:
            self.notes.append(
                f"{len(self.missing)} of the {len(named)} pictures that {file} names are not in {root} and are left out:"
                f" {_first(self.missing)}"
            )
        if bad:
            self.notes.append(
                f"{len(bad)} outlines in {file} cannot be read and are left out, in the pictures {_first(self.unreadable)}"
            )
        for note in self.notes:
            warnings.warn(note, stacklevel=2)

    def guide(self, index: int) -> torch.Tensor | None:
        """Everything outlined in the photo that can be read, as one map (1, 1, H, W) of zeros and ones; None where nothing is.

        H and W are the photo's as `load` gives it.
        """
        masks = [mask for _, mask in self.things(index)]
        return torch.from_numpy(np.maximum.reduce(masks)).float()[None, None] if masks else None

    def shows_people(self, index: int) -> bool:
        """Whether one of the outlines is a person's."""
        people = set(self.coco.getCatIds(catNms=["person"]))
        return any(thing["category_id"] in people for thing in self.coco.imgToAnns[self.ids[index]])

    def take(self, numbers) -> "Coco":
        """The photos with these numbers and their outlines."""
        taken = copy.copy(self)
        taken.names, taken.paths, taken.ids = ([each[n] for n in numbers] for each in (self.names, self.paths, self.ids))
        return taken

    def things(self, index: int) -> list[tuple[dict, np.ndarray]]:
        """(annotation, mask (H, W) of booleans) of every readable outline in the photo, the pixels as `load` gives them."""
        found = self.coco.loadAnns(self.coco.getAnnIds(self.ids[index]))
        found = [thing for thing in found if thing.get("segmentation") and thing["id"] not in self._bad]
        masks = [(thing, self._mask(thing, index)) for thing in found]
        return [(thing, _turned(mask, self.paths[index]).astype(bool)) for thing, mask in masks if mask is not None]

    @property
    def left_out(self) -> int:
        """How many outlines are left out so far."""
        return len(self._bad)

    def _mask(self, thing: dict, index: int) -> np.ndarray | None:
        """The outline as zeros and ones (H, W); None, with a note, where it cannot be decoded."""
        photo = self.coco.imgs[thing["image_id"]]
        shape = photo["height"], photo["width"]
        try:
            _check_runs(thing["segmentation"], shape)
            mask = self.coco.annToMask(thing)
            if mask.shape != shape:
                raise ValueError(f"it is {mask.shape[0]} x {mask.shape[1]} pixels, the photo {shape[0]} x {shape[1]}")
            return mask
        except Exception as error:  # pycocotools' compiled part raises what it pleases
            self._bad.add(thing["id"])
            self.unreadable = sorted({*self.unreadable, self.names[index]})
            self.notes.append(f"outline {thing['id']} in {self.names[index]} cannot be read ({error}) and is left out")
            warnings.warn(self.notes[-1], stacklevel=4)
            return None

    def plain(self) -> Files:
        """The photos without the annotations, which take gigabytes for the whole of COCO."""
        return Files(self.names, self.paths)


def _turned(mask: np.ndarray, path: Path) -> np.ndarray:
    """A mask of the pixels as they are stored, turned as the photo's EXIF says that the photo is to be turned."""
    try:
        data = path.read_bytes()
        stored, exif = decode.read(data, str(path), lambda photo: (photo.size, dict(photo.getexif())))
    except (OSError, ImageError):
        return mask  # a damaged photo is skipped when it is loaded
    turn = decode.TURNS.get(exif.get(containers.ORIENTATION))
    if stored != mask.shape[::-1] or turn is None:
        return mask  # outlined as it is seen
    return np.array(Image.fromarray(mask).transpose(turn))


def _readable(thing: dict) -> bool:
    """Whether the outline is missing, runs of pixels, or polygons of three points or more."""
    outline = thing.get("segmentation")
    if not outline:
        return True
    if isinstance(outline, dict):
        return {"counts", "size"} <= outline.keys()
    whole = lambda polygon: isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
    numbers = lambda polygon: all(isinstance(value, (int, float)) and abs(value) < FARTHEST for value in polygon)
    return isinstance(outline, list) and all(whole(polygon) and numbers(polygon) for polygon in outline)


def _check_runs(outline, shape: tuple[int, int]) -> None:
    """Raises ValueError where runs of pixels do not fill a photo (H, W): pycocotools would write beyond its memory."""
    if not isinstance(outline, dict):
        return
    if list(outline["size"]) != list(shape):
        raise ValueError(f"its size is {outline['size']}, the photo's {list(shape)}")
    counts = outline["counts"]
    runs = counts if isinstance(counts, list) else _decoded(counts if isinstance(counts, bytes) else counts.encode("ascii"))
    if min(runs, default=-1) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError("its runs of pixels do not fill the photo")


def _decoded(text: bytes) -> list[int]:
    """Runs of pixels of COCO's compressed form: five bits a byte, the lowest first; from the fourth run on, each is the
    difference to the run two before it (rleFrString of pycocotools)."""
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        value |= ((byte - 48) & 31) << shift
        shift += 5
        if (byte - 48) & 32:
            continue
        if (byte - 48) & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its runs of pixels are cut short")
    return runs


def _read(file: Path):
    """pycocotools' index of the annotations, and the numbers of the photos in order."""
    try:
        from pycocotools.coco import COCO
    except ImportError:
        raise SettingError("MS-COCO is read with pycocotools, which is not installed: pip install pycocotools") from None
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
            found = COCO(str(file))
        ids = sorted(found.imgs)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {reason(error)}") from None
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImageError(f"{file} is no COCO file: name a JSON such as instances_train2017.json") from None
    photos, things = found.imgs.values(), found.anns.values()
    complete = all({"file_name", "height", "width"} <= set(photo) for photo in photos)
    if not photos or not complete or (things and not any("segmentation" in thing for thing in things)):
        raise ImageError(f"{file} holds no outlines of things in photos: name a JSON such as instances_train2017.json")
    return found, ids


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
