"""Pictures that show the same as others, under other names, in other sizes, or cut a little differently."""

import itertools

import torch
import torch.nn.functional as F

from nstlab.data.pictures import Files, Pictures
from nstlab.errors import ImageError

LIKE = 0.9  # correlation from which on two pictures show the same; others reach 0.83
SIDE, CELLS = 64, 24  # pixels a side of thumbnails, and of what is compared of them
MARGINS = (0, 3, 6)  # thumbnail pixels that may be missing along each side


def leave_out(pictures: Files, others: Pictures) -> tuple[Files, str | None]:
    """The pictures that are like none of the others, and a sentence that names those left out. What cannot be read stays.

    Raises ImageError if none is left.
    """
    known = torch.cat([_cuts(others.load(number), MARGINS) for number in range(len(others))])
    kept, left = [], []
    for number, name in enumerate(pictures.names):
        try:
            likeness = known @ _cuts(pictures.load(number), MARGINS[:2], even=True).T
        except ImageError:  # the training says so when it meets it
            kept.append(number)
            continue
        if likeness.max() < LIKE:
            kept.append(number)
        else:
            like = int(likeness.amax(1).argmax()) // len(MARGINS) ** 4
            left.append(f"{name} (like {others.names[like]})")
    if not kept:
        raise ImageError(f"all {len(left)} pictures are like those to be left out: name others")
    note = f"left out {len(left)} pictures: {', '.join(left)}" if left else None
    return pictures.take(kept), note


def _cuts(image: torch.Tensor, margins, even: bool = False) -> torch.Tensor:
    """Rows of unit length of the thumbnail with these margins cut off, every combination of four or the same on all sides.

    What a plane fits in each colour is taken away: half of all skies are brighter above than below.
    """
    small = F.interpolate(image, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    four = [(margin,) * 4 for margin in margins] if even else itertools.product(margins, repeat=4)
    cuts = [small[..., top : SIDE - bottom, left : SIDE - right] for top, bottom, left, right in four]
    cells = torch.cat([F.adaptive_avg_pool2d(cut, CELLS) for cut in cuts]).flatten(2)
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, CELLS)] * 2, indexing="ij")
    planes, _ = torch.linalg.qr(torch.stack([torch.ones_like(rows), rows, columns], -1).flatten(0, 1))
    return F.normalize((cells - cells @ planes @ planes.T).flatten(1), dim=1, eps=1e-4)
