"""The one-pass protocol: a function from the content to the picture, as a Run of one step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from nstlab import color
from nstlab.devices import available_memory
from nstlab.errors import SettingError
from nstlab.step import Step
from nstlab.systems.run import Result


@dataclass
class Pass:
    """A Run of one step: `paint` takes the content (1, 3, H, W) to the finished picture; `colors` as in color.keep_colors."""

    paint: Callable[[torch.Tensor], torch.Tensor]
    content: torch.Tensor
    settings: dict
    colors: str = "style"
    notes: list[str] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    last: Step | None = None
    steps: int = 1

    @property
    def schedule(self):
        return [(tuple(self.content.shape[-2:]), 1)]

    def __iter__(self) -> Iterator[Step]:
        self.last = Step(1, max(self.content.shape[-2:]), self.paint(self.content), {}, 0.0)
        self.history = [{"index": 1, "scale": self.last.scale, "total": 0.0}]
        yield self.last

    def result(self) -> Result:
        """The finished picture, once it is painted."""
        if self.last is None:
            raise SettingError("the run has no picture yet: iterate it first")
        return self.made(self.last.image)

    def made(self, image: torch.Tensor) -> Result:
        """The result that a painted image amounts to, with the colours asked for."""
        image = color.keep_colors(image, self.content, self.colors)
        return Result(image.clamp(0, 1), list(self.history), dict(self.settings), list(self.notes))

    def finish(self) -> Result:
        """Paint and return the result."""
        for _ in self:
            pass
        return self.result()


def check_memory(shape: tuple[int, int], device: torch.device, base: float, a_pixel: float) -> None:
    """Refuse a picture of (H, W) that would not fit, and say which size would. Raises SettingError.

    A pass takes `base` bytes of memory, and `a_pixel` more for every pixel.
    """
    needed, free = base + a_pixel * shape[0] * shape[1], available_memory(device)
    if needed > free:
        fits = max(1, int(max(shape) * (max(0, free - base) / (needed - base)) ** 0.5))
        raise SettingError(
            f"size {max(shape)}: it would take about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free:"
            f" the largest size that fits is about {fits}"
        )
