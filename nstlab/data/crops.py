"""Which pictures make up step n, and which square of each: a pure function of the seed and the step."""

import functools
from typing import NamedTuple

import numpy as np
import torch

from nstlab import images
from nstlab.data.pictures import Pictures
from nstlab.errors import ImageError

LEAST = 0.6  # of the short side is what a crop takes at least
KEPT = 2  # a decoded picture is kept with its short side at most this many times the crop's size, so crops stay sharp


class Crop(NamedTuple):
    """A square of picture `index`, which has `shape` (H, W): its corner and side in pixels, and whether it is mirrored."""

    index: int
    shape: tuple[int, int]
    top: int
    left: int
    side: int
    mirrored: bool


def take(pixels: torch.Tensor, crop: Crop, size: int) -> torch.Tensor:
    """The square `crop` of 8-bit pixels (1, C, H, W), as floats (1, C, size, size) in [0, 1]."""
    square = pixels[..., crop.top : crop.top + crop.side, crop.left : crop.left + crop.side].float().div(255)
    square = images.resize(square, (size, size))
    return square.flip(3) if crop.mirrored else square


def draw(index: int, shape: tuple[int, int], size: int, key: tuple[int, ...], exact: bool = False) -> Crop:
    """A random square of a picture of `shape` (H, W): its side is 60 to 100 % of the short side, but at least `size` where
    the picture has that much, so that nothing is enlarged without need; with `exact` it is `size`. `key` seeds it."""
    rng = np.random.default_rng(key)
    short = min(shape)
    most = min(short, size) if exact else short
    side = int(rng.integers(min(most, max(size, round(LEAST * short))), most, endpoint=True))
    top, left = (int(rng.integers(0, length - side, endpoint=True)) for length in shape)
    return Crop(index, shape, top, left, side, bool(rng.random() < 0.5))


@functools.lru_cache(maxsize=4)
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order in which an epoch goes through `count` pictures."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


class Store:
    """Tensors in memory, up to a number of bytes; what comes later is made anew each time.

    Nothing is thrown out for it: pictures are asked for in random order, so no picture is likelier to be asked for next.
    """

    def __init__(self, limit: int):
        self.limit, self.used, self.kept = limit, 0, {}

    def get(self, key, make) -> torch.Tensor:
        """The tensor of that key, made by `make()` if it is not here."""
        if key in self.kept:
            return self.kept[key]
        made = make()
        if self.used + made.nbytes <= self.limit:
            self.kept[key], self.used = made, self.used + made.nbytes
        return made


class Cropper:
    """`cropper[step]`: the squares of one step's `items` (numbers within the global batch), made here or in a worker."""

    def __init__(self, pictures: Pictures, size: int, batch: int, seed: int, items: range, long_side: int | None, memory: int):
        self.pictures, self.size, self.batch, self.seed, self.items = pictures, size, batch, seed, items
        self.long_side = long_side
        self.store = Store(memory)
        self.damaged: dict[int, str] = {}  # picture -> what is wrong with it

    def __getitem__(self, step: int) -> tuple[torch.Tensor | None, list[Crop], dict[int, str]]:
        """(images (B, 3, size, size), their crops, damaged pictures so far); no images if every picture is damaged."""
        squares, crops = [], []
        for item in self.items:
            index, pixels = self.good(step * self.batch + item)
            if pixels is None:
                return None, [], dict(self.damaged)
            shape, key = tuple(pixels.shape[-2:]), (self.seed, 1, step, item)
            crops.append(draw(index, shape, self.size, key, exact=self.long_side is not None))
            squares.append(take(pixels, crops[-1], self.size))
        return torch.cat(squares), crops, dict(self.damaged)

    def good(self, place: int) -> tuple[int, torch.Tensor | None]:
        """The picture at that place of all epochs in a row; if it is damaged, the next good one of its epoch."""
        count = len(self.pictures)
        epoch, start = divmod(place, count)
        for offset in range(count):
            index = int(order(self.seed, epoch, count)[(start + offset) % count])
            if index not in self.damaged:
                try:
                    return index, self.store.get(index, functools.partial(self.decode, index))
                except ImageError as error:
                    self.damaged[index] = str(error)
        return -1, None

    def decode(self, index: int) -> torch.Tensor:
        """The picture in 8 bits (1, 3, H, W), with the long side asked for, or a short one of at most twice the crop's size."""
        image = self.pictures.load(index)
        if self.long_side is not None:
            return to_bytes(images.resize(image, self.long_side))
        shape = tuple(image.shape[-2:])
        scale = KEPT * self.size / min(shape)
        if scale < 1:
            image = images.resize(image, (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))))
        return to_bytes(image)


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Values in [0, 1] as 8-bit numbers."""
    return values.mul(255).round().byte()
