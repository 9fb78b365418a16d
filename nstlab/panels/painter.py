"""The map painter: mark in a photo what matters, or correct a map of it, and use it at once."""

import io
import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image

from nstlab import images
from nstlab.errors import ImageError, NstlabError, check_count
from nstlab.files import atomic_write, reason
from nstlab.guidance import Guide, load_map, saliency
from nstlab.panels import kit, parts, words
from nstlab.panels.brush import PaintedMap, as_bytes
from nstlab.panels.chooser import PictureChooser

BRUSH, LARGEST = 0.1, 0.32  # diameters of the brush, in shares of the long side


class Surface(kit.Brush):
    """The brush of the kit on a map whose history is kept elsewhere, and not only that of the brush."""

    def __init__(self, undo, **options):
        self._undo = undo
        super().__init__(**options)

    def undo(self) -> None:
        """Take back the last change of the map."""
        self._undo()

    def _remember(self, change) -> None:
        """The map does."""


class MapPainter(parts.Panel):
    """Paint a map on a photo with mouse, finger or keyboard, or correct one; `painter.guide` is a Guide, ready for use.

    Another photo can be chosen on the panel; `painter.photo` is the one painted on, and its map begins empty.
    `photo` is whatever `images.load` takes, `guide` the map to begin with: a Guide, whatever `guidance.load_map` takes, or
    None for an empty one. The photo is shown and painted with `size` pixels on its long side; what the brush leaves alone
    stays as sharp as it came. Raises NstlabError.
    """

    def __init__(self, photo, guide=None, *, size: int = 360):
        self._size = check_count("size", size, least=32)
        self._open(photo, guide)
        self._lock = threading.RLock()  # the mouse may be heard on another thread than the cells
        self._sending = False  # while the panel itself changes the map that is shown
        self.surface = Surface(self.undo, alt=words.PAINTER["alt"], long_side=self._size).add_class("nst-painter-surface")
        self.surface.observe(self._painted_on, names="mask")
        self.softness = kit.Slider(0.5, 0, 1, 0.1, words.PAINTER["softness"], readout="percent", label_width=70)
        self.softness.add_class("nst-painter-softness").layout = widgets.Layout(width="260px", max_width="98%")
        self.softness.observe(lambda change: self.surface.set_trait("softness", change.new), names="value")
        self.clear_button = parts.button(words.PAINTER["clear"], "trash", "nst-painter-clear", self.clear)
        self.invert_button = parts.button(words.PAINTER["invert"], "adjust", "nst-painter-invert", self.invert)
        self.invert_button.tooltip = words.PAINTER["invert_hint"]
        self.saliency_button = parts.button(words.PAINTER["saliency"], "magic", "nst-painter-saliency", self._try_saliency)
        self.saliency_button.tooltip = words.PAINTER["saliency_hint"]
        self.label = parts.label("nst-painter-label")
        self.chooser = PictureChooser("nst-painter", self.look)
        self.chooser.show(photo)
        buttons = [self.clear_button, self.invert_button, self.saliency_button]
        for button in buttons[1:]:  # one look for all, which the notebook keeps once
            button.layout, button.style = buttons[0].layout, buttons[0].style
        self.label.layout = self.surface.layout
        tools = [*buttons, self.softness]
        super().__init__([self.chooser, widgets.Box(tools, layout=parts.wrapping()), self.label, self.surface])
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
        """Another photo on the surface."""
        long = max(self._shape)
        with self.surface.hold_sync():
            self.surface.picture = _jpeg(images.resize(self._photo, self._shape))
            self.surface.largest, self.surface.size = round(LARGEST * long), round(BRUSH * long)
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

    def _painted_on(self, change) -> None:
        """Somebody has painted in the browser."""
        with self._lock:
            if not self._sending:
                self._painted.take(_values(change.new, self._shape))
                self._said()

    def _try_saliency(self) -> None:
        self.label.value = words.PAINTER["looking"]
        try:
            self.from_saliency()
        except NstlabError as error:  # said on the panel, as no cell is there to show it
            self.label.value = parts.red(error)

    def _change(self, action) -> None:
        with self._lock:
            action()
            self._show()

    def _show(self) -> None:
        """Let the surface show the map."""
        with self._lock:
            self._sending = True
            try:
                self.surface.mask = _grey(as_bytes(self._painted.values))
            finally:
                self._sending = False
            self._said()

    def _said(self) -> None:
        self.surface.can_undo = bool(self._painted.history)
        self.label.value = ""


def _grey(values: np.ndarray) -> bytes:
    """PNG bytes of a map in bytes."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _values(mask: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The map in bytes, (H, W), of a PNG file."""
    with Image.open(io.BytesIO(mask)) as picture:
        return np.asarray(picture.convert("L").resize(shape[::-1]))


def _jpeg(image: torch.Tensor) -> bytes:
    """The photo as it is shown, at most a byte for seven pixels where that leaves it good enough to paint on."""
    for quality in (80, 70, 60, 50):
        found = parts.jpeg(image, quality)
        if len(found) <= image[0, 0].numel() / 7:
            break
    return found
