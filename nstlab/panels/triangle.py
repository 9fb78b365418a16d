"""The triangle of three paintings: a point in it is a blend, and the photo is painted with it by optimisation."""

from pathlib import Path

import ipywidgets as widgets
import torch

from nstlab import images
from nstlab.encoders import Encoder, load_encoder
from nstlab.errors import check_count, choose
from nstlab.experiments.results import headless
from nstlab.panels import parts
from nstlab.panels.blend import BlendTriangle
from nstlab.panels.chooser import PictureChooser
from nstlab.panels.runner import Runner
from nstlab.panels.simplex import grid_points, nearest
from nstlab.systems import plan


class StyleTriangle(BlendTriangle):
    """Three paintings at the corners of a triangle: click or drag in it, and the point's share of each corner is the blend.

    `photo` and the three `paintings` are whatever `images.load` takes. "Paint the grid" paints the blends at the grid points
    (`grid` 2: corners and middles of the edges, six pictures); between them the picture is cross-faded at once from the
    nearest ones, and "Paint this blend" runs the real optimisation. The label says which of the two is shown. `options` are
    those of nstlab.plan. Another photo and other paintings can be chosen below the triangle. Raises NstlabError.
    """

    def __init__(
        self,
        photo,
        paintings,
        *,
        size: int = 128,
        steps: int = 40,
        encoder: Encoder | str | None = None,
        grid: int = 2,
        **options,
    ):
        super().__init__(paintings)
        self._size = check_count("size", size)
        self._photo = self._read(photo, 0)
        self.grid, self._fineness = grid_points(grid), grid
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder or "vgg19")
        self._options = {**options, "size": size, "steps": steps, "encoder": self.encoder}
        self._plan(self.grid[0])  # what cannot be painted is said here, not in a thread
        self._pictures: dict[tuple, torch.Tensor] = {}  # painted, by their blend
        self._job = ""
        self.runner = Runner(list)

        self.grid_button = parts.button("Paint the grid", "th", "nst-triangle-grid", self.paint_grid)
        self.blend_button = parts.button("Paint this blend", "paint-brush", "nst-triangle-blend", self.paint_blend)
        self.pause_button = parts.button("Pause", "pause", "nst-triangle-pause", self.pause)
        self.stop_button = parts.button("Stop", "stop", "nst-triangle-stop", lambda: self.runner.stop())
        self.choosers = [self._chooser(number, source) for number, source in enumerate((photo, *paintings))]
        wrap = parts.wrapping()
        buttons = widgets.Box([self.grid_button, self.blend_button, self.pause_button, self.stop_button], layout=wrap)
        self.children = [buttons, self.label, widgets.Box([self.triangle, self.view], layout=wrap), *self.choosers]
        self._set_out(self._photo.shape[-2:])

    @property
    def picture(self) -> torch.Tensor:
        """The image shown, (1, 3, H, W): painted with this blend, or cross-faded, or the photo if nothing is painted."""
        return self._look()[0]

    def take(self, number: int, source, name: str = "") -> "StyleTriangle":
        """Take another photo (`number` 0) or painting (1 to 3), called `name`, and forget what was painted of those before.

        Ends a painting under way. Raises NstlabError, and then nothing has changed.
        """
        choose("picture", number, range(4))
        picture = self._read(source, number)
        self.stop()
        with self._lock:
            self._pictures = {}
            if number:
                called = Path(source).stem if isinstance(source, (str, Path)) else f"painting {number}"
                self._paintings[number - 1] = picture
                self.names[number - 1] = self.sliders[number - 1].label = name or called
            else:
                self._photo = picture
            self.choosers[number].show(source)
            self._set_out(self._photo.shape[-2:])
        return self

    def paint_grid(self) -> None:
        """Paint all grid points that are not painted yet, in a thread."""
        self._start(self._missing())

    def paint_blend(self) -> None:
        """Paint the blend where the point is now, in a thread."""
        self._start([self.blend])

    def pause(self) -> None:
        """Hold after the step it is in, or go on."""
        self.runner.resume() if self.runner.state == "paused" else self.runner.pause()

    def stop(self) -> None:
        """End the painting, if there is one, and return once its thread has ended; finished pictures stay."""
        self.runner.end()

    def autorun(self) -> "StyleTriangle":
        """Paint the grid here and now if headless; else return at once, for the buttons are there."""
        if headless():
            self.paint_grid()
            self.runner.wait()
        return self

    def _read(self, source, number: int) -> torch.Tensor:
        if number:
            return super()._read(source, number)
        return parts.single(source, lambda s: images.load(s, self._size), "the photo")

    def _chooser(self, number: int, source) -> PictureChooser:
        css, title = f"nst-triangle-{number or 'photo'}", f"painting {number}" if number else "photo"
        chooser = PictureChooser(css, lambda s: self.take(number, s, Path(chooser.name).stem), title)
        chooser.show(source)
        return chooser

    def _missing(self) -> list:
        return [blend for blend in self.grid if _key(blend) not in self._pictures]

    def _plan(self, blend):
        return plan(self._photo, self._paintings, **{**self._options, "blend": blend})

    def _start(self, blends: list) -> None:
        if not self.runner.alive:
            self.runner = Runner(lambda: self._steps(blends), lambda runner: runner is self.runner and self._show())
            self.runner.start()

    def _steps(self, blends: list):
        """The steps of all these pictures, one after the other; each is kept once it is finished."""
        for number, blend in enumerate(blends, 1):
            run = self._plan(blend)
            for step in run:
                self._job = f"picture {number} of {len(blends)}, step {step.index} of {run.steps}"
                yield step
            self._pictures[_key(blend)] = run.result().image

    def _look(self) -> tuple[torch.Tensor, str]:
        """The picture for the blend, and what it is, in words."""
        painted = dict(self._pictures)
        if _key(self._blend) in painted:
            return painted[_key(self._blend)], "painted with this blend"
        near = [(weight, painted[_key(at)]) for at, weight in nearest(self._blend, self._fineness) if _key(at) in painted]
        if not near:
            return self._photo, "the photo, for nothing is painted here yet"
        total = sum(weight for weight, _ in near)
        words = f"cross-faded from {len(near)} painted ones" if len(near) > 1 else "the painted one that is nearest"
        return sum(weight / total * image for weight, image in near), words

    def _tell(self) -> None:
        picture, words = self._look()
        parts.put(self.view, picture)
        runner, state = self.runner, self.runner.state
        text = f"{self._words()}. The picture is <b>{words}</b>. "
        if state == "failed":
            text += f"Failed: {parts.red(runner.error)}"
        elif state != "idle":
            text += f"{state.capitalize()}: {self._job}" if state != "done" else "Done."
        busy = state in ("running", "paused")
        self.grid_button.disabled = busy or not self._missing()
        self.blend_button.disabled = busy or _key(self._blend) in self._pictures
        self.pause_button.disabled = self.stop_button.disabled = not busy
        self.pause_button.description = "Go on" if state == "paused" else "Pause"
        self.pause_button.icon = "play" if state == "paused" else "pause"
        self.label.value = text  # last: when it can be read, the buttons are as it says

    def _dots(self) -> list[list]:
        """The grid, its painted points filled."""
        return [[*at, _key(at) in self._pictures] for at in self.grid]


def _key(blend) -> tuple:
    return tuple(round(share, 3) for share in blend)
