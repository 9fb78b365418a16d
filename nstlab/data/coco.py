"""MS-COCO (Lin et al. 2014): photos of everyday scenes, with the outlines of the things in them."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps

from nstlab.data.pictures import Files, folder
from nstlab.encoders.weights import import_torchvision
from nstlab.errors import ImageError, SettingError

ORIENTATION = ExifTags.Base.Orientation


class Coco(Files):
    """The photos of a folder that a file of COCO instances names, read by torchvision's CocoDetection.

    `missing` lists the photos that are named but not there; they are left out, with a warning. Raises ImageError for a
    file of another kind or if no photo is there, SettingError without pycocotools.
    """

    def __init__(self, pictures, annotations):
        root, file = folder(pictures), Path(annotations).expanduser()
        self.coco, ids = _read(root, file)
        named = [(number, self.coco.imgs[number]["file_name"]) for number in ids]
        there = [(number, name) for number, name in named if (root / name).is_file()]
        self.ids = [number for number, _ in there]
        super().__init__([name for _, name in there], [root / name for _, name in there])
        self.missing = sorted({name for _, name in named} - set(self.names))
        if not there:
            raise ImageError(f"none of the {len(named)} pictures that {file} names is in {root}: {_first(self.missing)}")
        if self.missing:
            warnings.warn(
                f"{len(self.missing)} of the {len(named)} pictures that {file} names are not in {root} and are left out:"
                f" {_first(self.missing)}",
                stacklevel=2,
            )

    def guide(self, index: int) -> torch.Tensor | None:
        """Everything outlined in the photo, as one map (1, 1, H, W) of zeros and ones; None where nothing is.

        H and W are the photo's as `load` gives it. Raises ImageError for an outline that cannot be read.
        """
        things = self.coco.loadAnns(self.coco.getAnnIds(self.ids[index]))
        things = [thing for thing in things if thing.get("segmentation")]
        if not things:
            return None
        try:
            union = np.maximum.reduce([self.coco.annToMask(thing) for thing in things])
        except Exception as error:  # pycocotools' compiled part raises what it pleases
            raise ImageError(f"an outline in {self.names[index]} cannot be read ({error}): mend the annotations") from None
        return torch.from_numpy(_turned(union, self.paths[index])).float()[None, None]

    def plain(self) -> Files:
        """The photos without the annotations, which take gigabytes for the whole of COCO."""
        return Files(self.names, self.paths)


def _turned(mask: np.ndarray, path: Path) -> np.ndarray:
    """A mask of the pixels as they are stored, turned as the photo's EXIF says that the photo is to be turned."""
    try:
        with Image.open(path) as photo:
            stored, exif = photo.size, photo.getexif()
    except (OSError, SyntaxError, ValueError):
        return mask  # a damaged photo is skipped when it is loaded
    if stored != mask.shape[::-1]:
        return mask  # outlined as it is seen
    picture = Image.fromarray(mask)
    picture.getexif()[ORIENTATION] = exif.get(ORIENTATION, 1)
    return np.array(ImageOps.exif_transpose(picture))


def _read(root: Path, file: Path):
    """pycocotools' index of the annotations, and the numbers of the photos in order."""
    detection = import_torchvision().datasets.CocoDetection
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
            found = detection(str(root), str(file))
    except ImportError:
        raise SettingError("MS-COCO is read with pycocotools, which is not there: pip install pycocotools") from None
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror or error}") from None
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImageError(f"{file} is no COCO file: name a JSON such as instances_train2017.json") from None
    photos, things = found.coco.imgs.values(), found.coco.anns.values()
    complete = all({"file_name", "height", "width"} <= set(photo) for photo in photos)
    if not photos or not complete or (things and not any("segmentation" in thing for thing in things)):
        raise ImageError(f"{file} holds no outlines of things in photos: name a JSON such as instances_train2017.json")
    return found.coco, found.ids


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
