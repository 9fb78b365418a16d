"""MS-COCO (Lin et al. 2014): photos of everyday scenes, with the outlines of the things in them."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nstlab.data.pictures import Files, folder
from nstlab.errors import ImageError, SettingError
from nstlab.files import expanded
from nstlab.formats import containers, decode


class Coco(Files):
    """The photos of a folder that a file of COCO instances names, with the outlines that it holds, read by pycocotools.

    `missing` lists the photos that are named but not there, `unreadable` the photos with an outline that cannot be read, such
    as a polygon of two points. Missing photos and unreadable outlines are left out, which `notes` and a warning say. Raises
    ImageError for a file of another kind or if no photo is there, SettingError without pycocotools.
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
        """Everything outlined in the photo, as one map (1, 1, H, W) of zeros and ones; None where nothing is.

        H and W are the photo's as `load` gives it. Raises ImageError for an outline that cannot be read.
        """
        masks = [mask for _, mask in self.things(index)]
        return torch.from_numpy(np.maximum.reduce(masks)).float()[None, None] if masks else None

    def things(self, index: int) -> list[tuple[dict, np.ndarray]]:
        """(annotation, mask (H, W) of booleans) of every thing outlined in the photo, the pixels as `load` gives them.

        Raises ImageError for an outline that cannot be read.
        """
        found = self.coco.loadAnns(self.coco.getAnnIds(self.ids[index]))
        found = [thing for thing in found if thing.get("segmentation") and thing["id"] not in self._bad]
        try:
            masks = [self.coco.annToMask(thing) for thing in found]
        except Exception as error:  # pycocotools' compiled part raises what it pleases
            raise ImageError(f"an outline in {self.names[index]} cannot be read ({error}): mend the annotations") from None
        return [(thing, _turned(mask, self.paths[index]).astype(bool)) for thing, mask in zip(found, masks, strict=True)]

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
    numbers = lambda polygon: all(isinstance(value, (int, float)) for value in polygon)
    return isinstance(outline, list) and all(whole(polygon) and numbers(polygon) for polygon in outline)


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
        raise ImageError(f"{file} cannot be read: {error.strerror or error}") from None
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImageError(f"{file} is no COCO file: name a JSON such as instances_train2017.json") from None
    photos, things = found.imgs.values(), found.anns.values()
    complete = all({"file_name", "height", "width"} <= set(photo) for photo in photos)
    if not photos or not complete or (things and not any("segmentation" in thing for thing in things)):
        raise ImageError(f"{file} holds no outlines of things in photos: name a JSON such as instances_train2017.json")
    return found, ids


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
