"""What every system gives back: a run that is stepped through, and the result it ends in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.objective import Objective
from nstlab.optimize import optimize
from nstlab.step import Step


@dataclass
class Result:
    """A finished picture (1, 3, H, W), the history of its run, the settings that make it again, and notes on how it was made.

    `history` has one dict a step: index, scale, total, and the losses by name.
    """

    image: torch.Tensor
    history: list[dict]
    settings: dict
    notes: list[str] = field(default_factory=list)

    def save(self, path) -> Path:
        """Write the picture, whole or not at all, with settings and notes in its metadata. Raises ImageError."""
        return images.save(self.image, path, {"settings": self.settings, "notes": self.notes})


@dataclass
class Run:
    """An optimisation made ready. Iterate it for its Steps; `result()` at any moment is the picture so far.

    `schedule` is [((H, W), steps), ...]; `finish_image` turns the last iterate into the picture to save, such as giving
    back the photo's colours. `late` are weights of losses that only count in the second stage, which is the last scale, or the
    second half of a run of one scale.
    """

    objective: Objective
    start: torch.Tensor
    schedule: list[tuple[tuple[int, int], int]]
    optimizer: str
    settings: dict
    finish_image: Callable[[torch.Tensor], torch.Tensor] = lambda image: image
    notes: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    last: Step | None = None
    ended: bool = False

    @property
    def steps(self) -> int:
        """How many steps the run has at most."""
        return sum(count for _, count in self.schedule)

    def __iter__(self) -> Iterator[Step]:
        self.history, self.last, self.ended = [], None, False
        self.objective.weights.update(dict.fromkeys(self.late, 0.0))
        waiting = bool(self.late)
        for step in optimize(self.objective, self.start, optimizer=self.optimizer, schedule=self.schedule):
            self.last = step
            self.history.append({"index": step.index, "scale": step.scale, "total": step.total, **step.losses})
            if waiting and self._second_stage(step):
                self.objective.weights.update(self.late)
                waiting = False
            yield step
        self.ended = True

    def _second_stage(self, step: Step) -> bool:
        """Whether what comes after this step is the second stage."""
        if len(self.schedule) == 1:
            return step.index >= self.steps // 2
        return step.image.shape[-2:] == self.schedule[-1][0]

    def result(self) -> Result:
        """The picture as it stands, at its full size even if the run was stopped at a coarse scale."""
        if self.last is None:
            raise SettingError("the run has no picture yet: iterate it first")
        return self.made(self.last.image)

    def made(self, image: torch.Tensor) -> Result:
        """The result that an iterate (1, 3, H, W) of this run amounts to."""
        image = images.resize(image, self.schedule[-1][0]).cpu()
        reached = self.last.index if self.last else 0
        stopped = [] if self.ended else [f"stopped at step {reached} of {self.steps}: the settings are those of the whole run"]
        return Result(self.finish_image(image).clamp(0, 1), list(self.history), dict(self.settings), self.notes + stopped)

    def finish(self) -> Result:
        """Run to the end and return the result."""
        for _ in self:
            pass
        return self.result()
