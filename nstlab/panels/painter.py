"""The map painter: mark with the mouse what matters in a photo, or correct a map of it, and use it at once."""

import io
import itertools
import math
import threading
from pathlib import Path
from urllib.parse import quote

import ipywidgets as widgets
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from PIL import Image

from nstlab import images, plots
from nstlab.errors import ImageError, NstlabError, check_count
from nstlab.files import atomic_write, reason
from nstlab.guidance import Guide, load_map, saliency
from nstlab.panels import parts
from nstlab.panels.brush import PaintedMap
from nstlab.panels.chooser import PictureChooser

COLOR = [int(plots.COLORS[0][i : i + 2], 16) for i in (1, 3, 5)]
OPACITY = 0.55  # of that colour where the map is 1
KEPT = 16  # shades of it that a notebook keeps: it should stay small
HELP = "Drag to mark or erase; the wheel changes the brush, Ctrl+Z undoes."
_NUMBERS = itertools.count(1)


class MapPainter(parts.Panel):
    """Paint a map on a photo with the mouse or a finger, or correct one; `painter.guide` is a Guide, ready for use.

    Another photo can be chosen on the panel; `painter.photo` is the one painted on, and its map begins empty.
    `photo` is whatever `images.load` takes, `guide` the map to begin with: a Guide, whatever `guidance.load_map` takes, or
    None for an empty one. The photo is shown and painted with `size` pixels on its long side; what the brush leaves alone
    stays as sharp as it came. Raises NstlabError.
    """

    def __init__(self, photo, guide=None, *, size: int = 360):
        self._size = check_count("size", size, least=32)
        self._open(photo, guide)
        self._lock = threading.RLock()  # the mouse may be heard on another thread than the cells

        self.tool = widgets.ToggleButtons(options=["mark", "erase"])
        self.tool.add_class("nst-painter-tool").style.button_width = "auto"
        self.brush = self._slider("brush", 0.05, 0.01, 0.16, 0.01)
        self.softness = self._slider("softness", 0.5, 0.0, 1.0, 0.1)
        self.undo_button = parts.button("Undo", "undo", "nst-painter-undo", self.undo)
        self.clear_button = parts.button("Clear", "trash", "nst-painter-clear", self.clear)
        self.invert_button = parts.button("Mark the rest", "adjust", "nst-painter-invert", self.invert)
        self.invert_button.tooltip = "Mark what is not marked, and the other way round"
        self.saliency_button = parts.button("From saliency", "magic", "nst-painter-saliency", self._try_saliency)
        self.saliency_button.tooltip = "Begin anew with what stands out in the photo"
        self.label = parts.label("nst-painter-label")
        self.picture = parts.view("nst-painter-photo")
        self.picture.format = "jpeg"
        self.canvas = Canvas(tabbable=False)  # it keeps the Tab key to itself
        self._name = f"nst-painter-{next(_NUMBERS)}"
        self.canvas.add_class("nst-painter-canvas").add_class(self._name)

        self.chooser = PictureChooser("nst-painter", self.look)
        self.chooser.show(photo)
        wrap = parts.wrapping()
        tools = widgets.Box([self.tool, self.brush, self.softness], layout=wrap)
        buttons = [self.undo_button, self.clear_button, self.invert_button, self.saliency_button]
        for like, others in ((self.undo_button, buttons), (self.brush, [self.softness])):
            for other in others:  # one look for all, which the notebook keeps once
                other.layout, other.style = like.layout, like.style
        self.tool.layout = self.label.layout
        self.picture.layout = self.canvas.layout = widgets.Layout(grid_area="1 / 1", width="100%", margin="0")
        self._stack = widgets.GridBox([self.picture, self.canvas])  # one upon the other
        self._stack.layout = widgets.Layout(max_width="100%", overflow="hidden")
        super().__init__([self.chooser, tools, widgets.Box(buttons, layout=wrap), self.label, self._stack])
        self._listen()
        self._lay_out()

    def look(self, photo, guide=None) -> "MapPainter":
        """Paint on another photo, with a map to begin with or an empty one. Raises NstlabError, and then nothing changes."""
        with self._lock:
            self._open(photo, guide)
            self.chooser.show(photo)
            self._lay_out()
        return self

    def _open(self, photo, guide) -> None:
        seen = parts.single(photo, images.load, "the photo")
        full = tuple(seen.shape[-2:])
        if guide is not None:
            guide = parts.single(guide, lambda source: load_map(source, full, "the guide"), "the guide")
        self._photo, self._shape = seen, images.fit(full, self._size)
        self._painted = PaintedMap(self._shape, full, guide)
        self._found: Guide | None = None  # the saliency of the photo, once it was asked for

    def _lay_out(self) -> None:
        """Picture and canvas as large as the photo is shown."""
        self.canvas.height, self.canvas.width = self._shape
        self._stack.layout.width = f"{self._shape[1]}px"
        self.picture.value = _jpeg(images.resize(self._photo, self._shape))
        self._show()

    @property
    def photo(self) -> torch.Tensor:
        """The photo painted on, (1, 3, H, W)."""
        return self._photo

    @property
    def guide(self) -> Guide:
        """The map as it is now, as large as the photo."""
        with self._lock:
            return self._painted.guide()

    @property
    def labels(self) -> torch.Tensor:
        """The map as labels (1, H, W): 1 where it marks more than half, else 0."""
        return (self.guide.map[:, 0] > 0.5).long()

    def stroke(self, points, value: float = 1.0, radius: float = 0.05, softness: float = 0.5) -> "MapPainter":
        """Draw a line through `points`, (x, y) in shares of width and height; `radius` is a share of the long side.

        `value` is what the map becomes under the brush: 1 marks, 0 erases. `softness` is the share of the radius over which
        the brush fades. Raises SettingError.
        """
        self._change(lambda: self._painted.draw(points, value, radius, softness))
        return self

    def undo(self) -> None:
        """Take back the last stroke or other change, if there is one."""
        self._change(self._painted.undo)

    def clear(self) -> None:
        """Mark nothing."""
        self._change(lambda: self._painted.replace(None))

    def invert(self) -> None:
        """Mark what is not marked, and the other way round."""
        self._change(self._painted.invert)

    def from_saliency(self) -> None:
        """Replace the map by the default saliency of the photo."""
        self._found = self._found or saliency(self._photo)
        self._change(lambda: self._painted.replace(self._found))

    def save(self, path) -> Path:
        """Write the map as a grey PNG as large as the photo, whole or not at all; `load_map` reads it. Raises ImageError."""
        path = images.writable(path)
        if path.suffix.lower() != ".png":
            raise ImageError(f"{path}: a map is kept without loss, so name it .png")
        try:
            with atomic_write(path) as temporary:
                images.to_pil(self.guide.map).convert("L").save(temporary, "PNG")
        except OSError as error:
            raise ImageError(f"{path} cannot be written: {reason(error)}") from None
        return path

    def _slider(self, name: str, value: float, low: float, high: float, step: float) -> widgets.FloatSlider:
        slider = widgets.FloatSlider(value, min=low, max=high, step=step, description=name, readout_format=".0%")
        slider.layout = widgets.Layout(width="230px", max_width="98%")
        slider.style.description_width = "60px"
        slider.observe(lambda _: self._say(), names="value")
        return slider.add_class(f"nst-painter-{name}")

    def _listen(self) -> None:
        canvas = self.canvas
        canvas.on_client_ready(self._show)
        canvas.on_mouse_down(self._press)
        canvas.on_mouse_move(self._drag)
        canvas.on_mouse_up(self._release)
        canvas.on_mouse_out(self._release)
        canvas.on_mouse_wheel(lambda _, down: self._resize_brush(-down / 100))
        canvas.on_touch_start(lambda touches: self._press(*touches[0]) if len(touches) == 1 else self._release())
        canvas.on_touch_move(lambda touches: self._drag(*touches[0]) if touches else None)
        canvas.on_touch_end(lambda _: self._release())
        canvas.on_touch_cancel(lambda _: self._release())
        canvas.on_key_down(self._key)

    def _press(self, x: float, y: float) -> None:
        with self._lock:
            radius = self.brush.value * max(self._shape)
            self._painted.begin(float(self.tool.value == "mark"), radius, self.softness.value)
            self._drag(x, y)

    def _drag(self, x: float, y: float) -> None:
        with self._lock:
            if self._painted.stroke:
                self._draw(*self._painted.line_to(x, y))
                self._say()

    def _release(self, x: float | None = None, y: float | None = None) -> None:
        with self._lock:
            if x is not None:
                self._drag(x, y)
            if self._painted.stroke:
                self._painted.end()
                self._keep()

    def _key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        if key in ("Tab", "Escape"):
            self.canvas.blur()  # else the keyboard would be caught in here
        elif key.lower() == "z" and (ctrl or meta):
            self.undo()
        elif key in ("[", "]"):
            self._resize_brush(1 if key == "]" else -1)

    def _resize_brush(self, steps: float) -> None:
        self.brush.value = min(max(self.brush.value + steps * self.brush.step, self.brush.min), self.brush.max)

    def _try_saliency(self) -> None:
        self._say("looking for what stands out, a few seconds ...")
        try:
            self.from_saliency()
        except NstlabError as error:  # said on the panel, as no cell is there to show it
            self._say(parts.red(error))

    def _change(self, action) -> None:
        with self._lock:
            action()
            self._show()

    def _show(self) -> None:
        """Draw everything; also called when a browser has opened or reloaded the page."""
        with self._lock, parts.DRAWING:
            self.canvas._canvas_manager._current_canvas = None  # a new page must be told which canvas is meant
            self._draw(*(slice(0, side) for side in self._shape))
            self._keep()
            self._say()

    def _draw(self, rows: slice, columns: slice) -> None:
        """Draw a part of the map, so that painting is fluent."""
        part = self._painted.values[rows, columns]
        if part.size:
            with parts.DRAWING, hold_canvas():
                self.canvas.clear_rect(columns.start, rows.start, part.shape[1], part.shape[0])
                self.canvas.put_image_data(_overlay(part), columns.start, rows.start)

    def _keep(self) -> None:
        """Put the drawing into the widget's state, which shows it where no kernel runs."""
        levels = np.arange(KEPT) / (KEPT - 1)
        drawn = Image.fromarray(np.round(self._painted.values * (KEPT - 1)).astype(np.uint8))
        drawn.putpalette(COLOR * KEPT)
        buffer = io.BytesIO()
        drawn.save(buffer, "PNG", transparency=bytes(_overlay(levels[None])[0, :, 3]))
        self.canvas.set_trait("image_data", buffer.getvalue())
        self.undo_button.disabled = not self._painted.history

    def _say(self, text: str = "") -> None:
        share = f"<b>{100 * self._painted.values.mean():.1f} %</b> of the picture is marked. {HELP}"
        ring = _ring(self.brush.value * max(self._shape))
        self.label.value = f"<style>.{self._name} {{ cursor: {ring}; outline: none }}</style>{text or share}"


def _overlay(values: np.ndarray) -> np.ndarray:
    """The map as colour that lets the photo shine through, (H, W, 4) in bytes."""
    drawn = np.empty((*values.shape, 4), np.uint8)
    drawn[..., :3], drawn[..., 3] = COLOR, np.round(values * (255 * OPACITY))
    return drawn


def _jpeg(image: torch.Tensor) -> bytes:
    """The photo as it is shown, at most a byte for seven pixels where that leaves it good enough to paint on."""
    for quality in (80, 70, 60, 50):
        found = parts.jpeg(image, quality)
        if len(found) <= image[0, 0].numel() / 7:
            break
    return found


def _ring(radius: float) -> str:
    """A CSS cursor as large as the brush; browsers draw none beyond 128 pixels."""
    side = 2 * math.ceil(radius) + 3
    if side > 128:
        return "crosshair"
    circles = "".join(
        f"<circle cx='{side / 2}' cy='{side / 2}' r='{radius + more}' fill='none' stroke='{color}'/>"
        for more, color in ((0, "white"), (1, "black"))
    )
    drawing = quote(f"<svg xmlns='http://www.w3.org/2000/svg' width='{side}' height='{side}'>{circles}</svg>")
    return f'url("data:image/svg+xml,{drawing}") {side // 2} {side // 2}, crosshair'
