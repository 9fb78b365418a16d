"""Keeping pictures apart: what a network is judged on, it must not have seen."""

import torch

from nstlab import images
from nstlab.data.pictures import Files, Pictures, Samples
from nstlab.errors import ImageError

SIDE = 16  # pixels of the thumbnails that are compared
ALIKE = 0.9  # correlation from which two thumbnails show one picture; two different photos stay below it by far
EVERY = 10  # one picture in so many is held out


def thumbnail(image: torch.Tensor) -> torch.Tensor:
    """What is compared of an image (1, 3, H, W): 16 x 16 pixels as a vector of mean 0 and length 1."""
    small = images.resize(image, (SIDE, SIDE)).flatten()
    small = small - small.mean()
    return small / small.norm().clamp_min(1e-6)


def lookalikes(pictures: Pictures, others: list[Pictures], least: float = ALIKE) -> dict[int, str]:
    """{number of a picture: name of the one of `others` that it shows}, for pictures that lie there under another name.

    Two pictures are one where their thumbnails correlate by `least`: other sizes, compression and narrow borders do not hide
    it; mirroring and cropping do. Damaged pictures are passed over.
    """
    known = [(name, thumbnail(each.load(number))) for each in others for number, name in enumerate(each.names)]
    found, table = {}, torch.stack([values for _, values in known])
    for number in range(len(pictures)):
        try:
            alike, which = (table @ thumbnail(pictures.load(number))).max(0)
        except ImageError:
            continue
        if alike >= least:
            found[number] = known[int(which)][0]
    return found


def apart(pictures: Files) -> tuple[Files, Files]:
    """(to learn from, held out) of a set: every tenth is held out, and the sample pictures are left out of both.

    Samples are found by content; those that the set was made of by name (`Samples`) stay.
    """
    own = isinstance(pictures, Samples)
    known = {} if own else lookalikes(pictures, [Samples("photo"), Samples("painting")])
    kept = [number for number in range(len(pictures)) if number not in known]
    held = [number for number in kept if number % EVERY == EVERY - 1]
    return _some(pictures, sorted(set(kept) - set(held))), _some(pictures, held)


def _some(pictures: Files, numbers: list[int]) -> Files:
    return Files([pictures.names[number] for number in numbers], [pictures.paths[number] for number in numbers])
