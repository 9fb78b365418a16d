"""Batches of random squares: batch n is the same whenever it is asked for, so a resumed run sees what it would have seen."""

import itertools
import warnings
from dataclasses import dataclass

import torch

from nstlab.data.crops import Crop, Cropper, Store, take
from nstlab.data.guides import Guides
from nstlab.data.pictures import Pictures
from nstlab.errors import ImageError, SettingError, check_count, check_seed

MEMORY = 1_000_000_000  # bytes of decoded pictures that are kept, by all workers together; of guides a quarter of that


@dataclass(frozen=True)
class Batch:
    """Images (B, 3, size, size), their guides (B, 1, size, size) or None, and the names of the pictures they come from."""

    images: torch.Tensor
    guides: torch.Tensor | None
    names: list[str]


class Batches:
    """`batches[step]`: `batch` random squares, `size` pixels wide, half of them mirrored. A pure function of seed and step.

    Every epoch goes through all pictures in a new order, and a batch may hold the end of one epoch and the start of the
    next. `guides` is a function image (1, 3, H, W) -> map (1, 1, H, W), for pictures whose set has no guide of its own.
    Of `ranks` processes each gets its part of the batch; together they get what one process would. `workers` processes
    prepare the images in `stream`. With `long_side` every picture has that many pixels along its long side, and squares are
    cut from it as it is then: strokes keep the size that they have there. A damaged picture is skipped with a warning, listed
    in `skipped`, and explained in `notes`; the next good one of the epoch takes its place. Raises SettingError for numbers that
    do not fit, ImageError if all pictures are damaged.
    """

    def __init__(self, pictures: Pictures, size: int, batch: int, *, seed=0, guides=None, rank=0, ranks=1, workers=0,
                 long_side: int | None = None):  # fmt: skip
        size, batch, ranks = check_count("size", size), check_count("batch", batch), check_count("ranks", ranks)
        rank, workers, seed = check_count("rank", rank, 0), check_count("workers", workers, 0), check_seed(seed)
        if len(pictures) < batch:
            raise SettingError(
                f"{len(pictures)} pictures are fewer than a batch of {batch}: add pictures or take less at a time"
            )
        if batch % ranks:
            raise SettingError(f"a batch of {batch} cannot be shared by {ranks} processes: take a multiple of {ranks}")
        if rank >= ranks:
            raise SettingError(f"rank {rank} is not one of {ranks} processes: they are numbered from 0 to {ranks - 1}")
        share = batch // ranks
        self.pictures, self.size, self.workers = pictures, size, workers
        self.skipped: list[str] = []  # names of damaged pictures, in the order they were met
        self.notes: list[str] = []  # and what is wrong with each
        self._options = (size, batch, seed, range(rank * share, (rank + 1) * share), long_side)
        self._cropper = Cropper(pictures, *self._options, MEMORY)
        self._guides = Guides(pictures, guides) if guides is not None or pictures.guided else None
        self._maps = Store(MEMORY // 4)
        self._damaged: set[int] = set()

    def __getitem__(self, step: int) -> Batch:
        return self._batch(*self._cropper[check_count("step", step, 0)])

    def stream(self, first_step: int = 0):
        """Yield the batches from `first_step` on, without end. With workers they are prepared ahead; they are the same."""
        first_step = check_count("step", first_step, 0)
        if not self.workers:
            yield from map(self.__getitem__, itertools.count(first_step))  # without end
        cropper = Cropper(self.pictures.plain(), *self._options, MEMORY // max(1, self.workers))
        loader = torch.utils.data.DataLoader(
            cropper, batch_size=None, sampler=itertools.count(first_step), num_workers=self.workers, collate_fn=tuple,
            multiprocessing_context="spawn",
            generator=torch.Generator(),  # its own: the loader would draw from the one that the training is seeded by
        )  # fmt: skip
        for prepared in loader:
            yield self._batch(*prepared)

    def _batch(self, squares: torch.Tensor | None, crops: list[Crop], damaged: dict[int, str]) -> Batch:
        for index in [index for index in damaged if index not in self._damaged]:
            self._damaged.add(index)
            self.skipped.append(self.pictures.names[index])
            self.notes.append(f"skipped: {damaged[index]}")
            warnings.warn(self.notes[-1], stacklevel=3)
        if squares is None:
            raise ImageError(f"none of the {len(self.pictures)} pictures can be read: {next(iter(damaged.values()))}")
        guides = None if self._guides is None else torch.cat([self._guide(crop) for crop in crops])
        return Batch(squares, guides, [self.pictures.names[crop.index] for crop in crops])

    def _guide(self, crop: Crop) -> torch.Tensor:
        whole = self._maps.get(crop.index, lambda: self._guides.get(crop.index, crop.shape))
        return take(whole, crop, self.size)
