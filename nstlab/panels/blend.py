"""The triangle in which a blend of three paintings is chosen: by mouse, by touch, or by a slider for each."""

import html
import threading
from pathlib import Path

import ipywidgets as widgets
import torch
from ipycanvas import Canvas, hold_canvas

from nstlab import images, plots
from nstlab.errors import SettingError, check_weight
from nstlab.panels import parts
from nstlab.panels.simplex import CORNERS, HEIGHT, SIDE, WIDTH, blend_at, board, drawn, point_at

STYLE = "<style>.nst-triangle-canvas { cursor: crosshair; outline: none }</style>"
SHOWN = 420  # the width or height of the picture on the screen, at most


class BlendTriangle(parts.Panel):
    """Base class of the panels with a triangle: what a point in it means, and the widgets `triangle`, `label`, `view`.

    A subclass puts them where it likes, says in `_tell` what is shown for the blend, and calls `_set_out`.
    """

    def __init__(self, paintings):
        if isinstance(paintings, (str, Path)) or not hasattr(paintings, "__len__") or len(paintings) != 3:
            raise SettingError("a triangle has three corners: give a list of three paintings")
        self._paintings = [self._read(source, number) for number, source in enumerate(paintings, 1)]
        self.names = [Path(p).stem if isinstance(p, (str, Path)) else f"painting {n}" for n, p in enumerate(paintings, 1)]
        self._blend = (1 / 3, 1 / 3, 1 / 3)
        self._lock = threading.RLock()  # the mouse, the cells and what paints are on threads of their own
        self._held = self._quiet = False  # the mouse button is down; the panel itself moves the sliders

        self.label = parts.label("nst-triangle-label")
        self.sliders = [self._slider(number, name) for number, name in enumerate(self.names)]
        self.view = parts.view("nst-triangle-picture")
        self.corners = parts.view("nst-triangle-corners")
        self.canvas = Canvas(width=WIDTH, height=HEIGHT, tabbable=False)  # the keyboard has the sliders
        self.canvas.add_class("nst-triangle-canvas")
        self.corners.layout = self.canvas.layout = widgets.Layout(grid_area="1 / 1", width="100%", margin="0")
        stack = widgets.GridBox([self.corners, self.canvas])  # one upon the other
        stack.layout = widgets.Layout(width=f"{WIDTH}px", max_width="100%", overflow="hidden")
        self.triangle = widgets.VBox([stack, *self.sliders], layout=widgets.Layout(max_width="100%"))
        super().__init__()
        self._listen()

    @property
    def blend(self) -> tuple[float, float, float]:
        """The share of each painting; they add up to 1."""
        return self._blend

    def place(self, a: float, b: float, c: float) -> "BlendTriangle":
        """Go to the blend in proportion to three numbers, of which only the ratio counts. Raises SettingError."""
        numbers = [check_weight(name, value) for name, value in zip(self.names, (a, b, c), strict=True)]
        if not any(numbers):
            raise SettingError("a blend of three zeros names no painting: make one of them larger")
        whole = [number / max(numbers) for number in numbers]
        with self._lock:
            self._blend = tuple(number / sum(whole) for number in whole)
            self._show()
        return self

    def _tell(self) -> None:
        """Show the picture for the blend, and say what it is."""
        raise NotImplementedError

    def _dots(self) -> list[tuple]:
        """What is drawn in the triangle beside the point: ((x, y), radius, colour) each."""
        return []

    def _read(self, source, number: int) -> torch.Tensor:
        return parts.single(source, images.load, f"painting {number}")

    def _listen(self) -> None:
        """Let the mouse and the fingers move the point."""
        self.canvas.on_client_ready(self._show)
        self.canvas.on_mouse_down(lambda x, y: self._point(x, y, press=True))
        self.canvas.on_mouse_move(self._point)
        for ending in (self.canvas.on_mouse_up, self.canvas.on_mouse_out):
            ending(lambda x, y: self._release())
        for touching in (self.canvas.on_touch_start, self.canvas.on_touch_move):
            touching(lambda touches: touches and self._point(*touches[0], press=True))
        for ending in (self.canvas.on_touch_end, self.canvas.on_touch_cancel):
            ending(lambda touches: self._release())

    def _set_out(self, shape: tuple[int, int]) -> None:
        """Show the paintings that are there now, and a picture of `shape` (H, W)."""
        self.view.layout.width = f"{round(SHOWN * shape[1] / max(shape))}px"
        parts.put(self.corners, board([images.resize(p, SIDE) for p in self._paintings]))
        self._show()

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

    def _words(self) -> str:
        """The blend for the label, as HTML."""
        percent = [round(100 * share) for share in self._blend[:2]]
        percent.append(max(0, 100 - sum(percent)))
        blend = ", ".join(f"{part} % {html.escape(name)}" for part, name in zip(percent, self.names, strict=True))
        return f"{STYLE}<b>{blend}</b>"

    def _show(self) -> None:
        """Let everything stand for the blend; also called when a browser has opened the page."""
        with self._lock, parts.DRAWING:
            self._tell()
            self._quiet = True
            for slider, share in zip(self.sliders, self._blend, strict=True):
                slider.value = share
            self._quiet = False
            self._draw()

    def _draw(self) -> None:
        """The dots and the point; also kept as a picture for where no kernel runs."""
        dots = [*self._dots(), (point_at(self._blend, CORNERS), 9, plots.COLORS[4])]
        self.canvas._canvas_manager._current_canvas = None  # a new page must be told which canvas is meant
        with hold_canvas():
            self.canvas.clear()
            for (x, y), radius, color in dots:
                self.canvas.fill_style, self.canvas.stroke_style, self.canvas.line_width = color, "black", 1.5
                self.canvas.fill_circle(x, y, radius)
                self.canvas.stroke_circle(x, y, radius)
        if not self._held:
            self.canvas.set_trait("image_data", drawn(dots))
