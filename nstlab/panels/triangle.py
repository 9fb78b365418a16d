"""The triangle of three paintings: a point in it is a blend, and the photo is painted with it."""

import html
import threading
from pathlib import Path

import ipywidgets as widgets
import torch
from ipycanvas import Canvas, hold_canvas

from nstlab import images, plots
from nstlab.encoders import Encoder, load_encoder
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.experiments.results import headless
from nstlab.panels import parts
from nstlab.panels.chooser import PictureChooser
from nstlab.panels.runner import Runner
from nstlab.panels.simplex import CORNERS, HEIGHT, SIDE, WIDTH, blend_at, board, drawn, grid_points, nearest, point_at
from nstlab.systems import plan

STYLE = "<style>.nst-triangle-canvas { cursor: crosshair; outline: none }</style>"
SHOWN = 420  # the width or height of the picture on the screen, at most


class StyleTriangle(parts.Panel):
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
        if isinstance(paintings, (str, Path)) or not hasattr(paintings, "__len__") or len(paintings) != 3:
            raise SettingError("a triangle has three corners: give a list of three paintings")
        self._size = check_count("size", size)
        self._photo, *self._paintings = (self._read(source, number) for number, source in enumerate((photo, *paintings)))
        self.names = [Path(p).stem if isinstance(p, (str, Path)) else f"painting {n}" for n, p in enumerate(paintings, 1)]
        self.grid, self._fineness = grid_points(grid), grid
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder or "vgg19")
        self._options = {**options, "size": size, "steps": steps, "encoder": self.encoder}
        self._plan(self.grid[0])  # what cannot be painted is said here, not in a thread
        self._pictures: dict[tuple, torch.Tensor] = {}  # painted, by their blend
        self._blend = (1 / 3, 1 / 3, 1 / 3)
        self._lock = threading.RLock()  # the mouse, the cells and the run are on threads of their own
        self._held = self._quiet = False  # the mouse button is down; the panel itself moves the sliders
        self._job = ""
        self.runner = Runner(list)

        self.grid_button = parts.button("Paint the grid", "th", "nst-triangle-grid", self.paint_grid)
        self.blend_button = parts.button("Paint this blend", "paint-brush", "nst-triangle-blend", self.paint_blend)
        self.pause_button = parts.button("Pause", "pause", "nst-triangle-pause", self.pause)
        self.stop_button = parts.button("Stop", "stop", "nst-triangle-stop", lambda: self.runner.stop())
        self.label = parts.label("nst-triangle-label")
        self.sliders = [self._slider(number, name) for number, name in enumerate(self.names)]
        self.view = parts.view("nst-triangle-picture")
        self.corners = parts.view("nst-triangle-corners")
        self.choosers = [self._chooser(number, source) for number, source in enumerate((photo, *paintings))]
        self.canvas = Canvas(width=WIDTH, height=HEIGHT, tabbable=False)  # the keyboard has the sliders
        self.canvas.add_class("nst-triangle-canvas")

        wrap = parts.wrapping()
        self.corners.layout = self.canvas.layout = widgets.Layout(grid_area="1 / 1", width="100%", margin="0")
        stack = widgets.GridBox([self.corners, self.canvas])  # one upon the other
        stack.layout = widgets.Layout(width=f"{WIDTH}px", max_width="100%", overflow="hidden")
        left = widgets.VBox([stack, *self.sliders], layout=widgets.Layout(max_width="100%"))
        buttons = widgets.Box([self.grid_button, self.blend_button, self.pause_button, self.stop_button], layout=wrap)
        super().__init__([buttons, self.label, widgets.Box([left, self.view], layout=wrap), *self.choosers])
        self.canvas.on_client_ready(self._show)
        self.canvas.on_mouse_down(lambda x, y: self._point(x, y, press=True))
        self.canvas.on_mouse_move(self._point)
        for ending in (self.canvas.on_mouse_up, self.canvas.on_mouse_out):
            ending(lambda x, y: self._release())
        for touching in (self.canvas.on_touch_start, self.canvas.on_touch_move):
            touching(lambda touches: touches and self._point(*touches[0], press=True))
        for ending in (self.canvas.on_touch_end, self.canvas.on_touch_cancel):
            ending(lambda touches: self._release())
        self._set_out()

    @property
    def blend(self) -> tuple[float, float, float]:
        """The share of each painting; they add up to 1."""
        return self._blend

    @property
    def picture(self) -> torch.Tensor:
        """The image shown, (1, 3, H, W): painted with this blend, or cross-faded, or the photo if nothing is painted."""
        return self._look()[0]

    def place(self, a: float, b: float, c: float) -> "StyleTriangle":
        """Go to the blend in proportion to three numbers, of which only the ratio counts. Raises SettingError."""
        numbers = [check_weight(name, value) for name, value in zip(self.names, (a, b, c), strict=True)]
        if not any(numbers):
            raise SettingError("a blend of three zeros names no painting: make one of them larger")
        whole = [number / max(numbers) for number in numbers]
        with self._lock:
            self._blend = tuple(number / sum(whole) for number in whole)
            self._show()
        return self

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
                self.names[number - 1] = self.sliders[number - 1].description = name or called
            else:
                self._photo = picture
            self.choosers[number].show(source)
            self._set_out()
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
        size = self._size if number == 0 else None
        return parts.single(source, lambda s: images.load(s, size), f"painting {number}" if number else "the photo")

    def _chooser(self, number: int, source) -> PictureChooser:
        css, title = f"nst-triangle-{number or 'photo'}", f"painting {number}" if number else "photo"
        chooser = PictureChooser(css, lambda s: self.take(number, s, Path(chooser.name).stem), title)
        chooser.show(source)
        return chooser

    def _set_out(self) -> None:
        """Show the photo and the paintings that are there now."""
        height, width = self._photo.shape[-2:]
        self.view.layout.width = f"{round(SHOWN * width / max(height, width))}px"
        parts.put(self.corners, board([images.resize(p, SIDE) for p in self._paintings]))
        self._show()

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

    def _point(self, x: float, y: float, press: bool = False) -> None:
        """The mouse is at a place of the canvas."""
        self._held = self._held or press
        if self._held:
            self.place(*blend_at((x, y), CORNERS))

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._show()

    def _slider(self, number: int, name: str) -> widgets.FloatSlider:
        slider = widgets.FloatSlider(0, min=0, max=1, step=0.01, description=name, readout_format=".0%")
        slider.continuous_update = False  # else a browser sends back, rounded, what the panel itself has set
        slider.layout = widgets.Layout(width=f"{WIDTH}px", max_width="98%")
        slider.style.handle_color, slider.style.description_width = plots.COLORS[number], "110px"
        slider.observe(lambda change: self._share(number, change.new), names="value")
        return slider.add_class(f"nst-triangle-share-{number + 1}")

    def _share(self, number: int, share: float) -> None:
        """Give one painting its share; the others divide the rest as they did before."""
        with self._lock:
            if self._quiet:
                return
            rest = [0.0 if n == number else part for n, part in enumerate(self._blend)]
            rest = rest if sum(rest) else [float(n != number) for n in range(3)]
            self.place(*(share if n == number else (1 - share) * part / sum(rest) for n, part in enumerate(rest)))

    def _show(self) -> None:
        """Let everything stand for the blend and for what is painted; also called when a browser has opened the page."""
        with self._lock, parts.DRAWING:
            picture, words = self._look()
            parts.put(self.view, picture)
            self._say(words)
            self._quiet = True
            for slider, share in zip(self.sliders, self._blend, strict=True):
                slider.value = share
            self._quiet = False
            self._draw()

    def _say(self, words: str) -> None:
        runner, state = self.runner, self.runner.state
        percent = [round(100 * share) for share in self._blend[:2]]
        percent.append(max(0, 100 - sum(percent)))
        blend = ", ".join(f"{part} % {html.escape(name)}" for part, name in zip(percent, self.names, strict=True))
        text = f"<b>{blend}</b>. The picture is <b>{words}</b>. "
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
        self.label.value = STYLE + text  # last: when it can be read, the buttons are as it says

    def _draw(self) -> None:
        """The grid, its painted points filled, and the point; also kept as a picture for where no kernel runs."""
        dots = [(point_at(at, CORNERS), 4, "black" if _key(at) in self._pictures else "white") for at in self.grid]
        dots.append((point_at(self._blend, CORNERS), 9, plots.COLORS[4]))
        self.canvas._canvas_manager._current_canvas = None  # a new page must be told which canvas is meant
        with hold_canvas():
            self.canvas.clear()
            for (x, y), radius, color in dots:
                self.canvas.fill_style, self.canvas.stroke_style, self.canvas.line_width = color, "black", 1.5
                self.canvas.fill_circle(x, y, radius)
                self.canvas.stroke_circle(x, y, radius)
        if not self._held:
            self.canvas.set_trait("image_data", drawn(dots))


def _key(blend) -> tuple:
    return tuple(round(share, 3) for share in blend)
