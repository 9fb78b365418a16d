"""WikiArt: paintings by style, artist, title and year, as the file names have it; from a folder or streamed."""

import re
import warnings
from dataclasses import dataclass

from nstlab import images
from nstlab.data.pictures import Files, Folder
from nstlab.errors import ImageError, SettingError, choose

# A title may end in a year, and the year in a number that tells two files apart: -1889, -1889-1, -1889(1). WikiArt itself
# serves a picture in several sizes, named after the whole file: x-1894.jpg!Large.jpg.
SERVED = re.compile(r"\.(jpe?g|png|webp|gif|tiff?|bmp)![a-z]+", re.IGNORECASE)
NAME = re.compile(r"(?P<artist>[^_]+)_(?P<title>.+?)(-(?P<year>1\d{3}|20\d{2})(-\d{1,2}|\(\d+\))?)?")


@dataclass(frozen=True)
class Work:
    """What a file name says about a painting: "Realism", "mary-cassatt", "summertime", 1894; the year may be None."""

    style: str
    artist: str
    title: str
    year: int | None


class WikiArt(Files):
    """The paintings under `root`, in files `style/artist_title-year.jpg`; `works` says of each what its name does.

    `artists` and `styles` choose among them, each a list of names as the files have them. Files of other names are left
    out, with a warning. Raises ImageError if no painting is found, SettingError for an unknown artist or style.
    """

    def __init__(self, root, artists: list[str] | None = None, styles: list[str] | None = None):
        found = Folder(root)
        works = [work_of(name) for name in found.names]
        others = [name for name, work in zip(found.names, works) if work is None]
        if len(others) == len(works):
            raise ImageError(f"{root} is no WikiArt folder: its pictures are named style/artist_title-year.jpg")
        if others:
            warnings.warn(
                f"{len(others)} of the {len(works)} pictures in {root} are not named style/artist_title-year.jpg and are"
                f" left out: {', '.join(others[:3])}",
                stacklevel=2,
            )
        artists = _chosen("artist", artists, {work.artist for work in works if work})
        styles = _chosen("style", styles, {work.style for work in works if work})
        kept = [i for i, work in enumerate(works) if work and work.artist in artists and work.style in styles]
        if not kept:
            raise ImageError(f"{root} holds nothing by {', '.join(artists)} in {', '.join(styles)}: choose fewer")
        super().__init__([found.names[i] for i in kept], [found.paths[i] for i in kept])
        self.works = [works[i] for i in kept]


def work_of(name: str) -> Work | None:
    """What the path style/artist_title-year.jpg says, or None if it is not of that form."""
    *folders, file = name.split("/")
    match = NAME.fullmatch(SERVED.sub("", file.rpartition(".")[0]))
    if not folders or not match:
        return None
    year = match["year"]
    return Work(folders[-1], match["artist"], match["title"], int(year) if year else None)


def _chosen(kind: str, names, there: set[str]) -> list[str]:
    if names is None:
        return sorted(there)
    return [choose(kind, name, sorted(there)) for name in ([names] if isinstance(names, str) else names)]


def stream_wikiart(dataset: str = "huggan/wikiart", split: str = "train", size: int | None = None):
    """Yield paintings (1, 3, H, W) of a Hugging Face data set one after the other, keeping none.

    `size` is the long side in pixels. Needs the package `datasets` and the network. Raises SettingError without the
    package, ImageError where the data set cannot be reached or has no column "image".
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise SettingError("streaming needs the package datasets, which is not there: pip install datasets") from None
    return _stream(load_dataset, dataset, split, size)


def _stream(load_dataset, dataset: str, split: str, size: int | None):
    try:
        for number, row in enumerate(load_dataset(dataset, split=split, streaming=True)):
            picture = row["image"]
            try:
                image = images.load(picture, size)
            except (ImageError, OSError) as error:
                warnings.warn(f"picture {number} of {dataset} is skipped: {error}", stacklevel=2)
                continue
            yield image
    except KeyError:
        raise ImageError(f"the data set {dataset} has no column 'image': name one of pictures") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise ImageError(
            f"the data set {dataset} cannot be streamed ({type(error).__name__}): check name and network"
        ) from None
