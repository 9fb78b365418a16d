"""The triangle in which a blend of three paintings is chosen: by mouse, by touch, or by a slider for each."""

import html
import threading
from pathlib import Path

import ipywidgets as widgets
import torch

from nstlab import images, plots
from nstlab.errors import SettingError, check_weight
from nstlab.panels import parts
from nstlab.panels.kit import Slider, Triangle

WIDTH = 340  # of the triangle on the screen, in pixels
THUMB = 128  # long side in pixels of a painting beside its corner, for screens of twice the usual density
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
        self._quiet = False  # set while the panel itself moves its controls

        self.label = parts.label("nst-triangle-label")
        self.sliders = [self._slider(number, name) for number, name in enumerate(self.names)]
        self.view = parts.view("nst-triangle-picture", alt="The picture for the blend that is chosen")
        self.board = Triangle().add_class("nst-triangle-board")
        self.board.observe(lambda change: self._point(change.new), names="blend")
        self.triangle = widgets.VBox([self.board, *self.sliders], layout=widgets.Layout(max_width="100%"))
        super().__init__()

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

    def _dots(self) -> list[list]:
        """What is marked in the triangle beside the point: [a, b, c, filled] each."""
        return []

    def _read(self, source, number: int) -> torch.Tensor:
        return parts.single(source, images.load, f"painting {number}")

    def _set_out(self, shape: tuple[int, int]) -> None:
        """Show the paintings that are there now, and a picture of `shape` (H, W)."""
        self.view.width = round(SHOWN * shape[1] / max(shape))
        self.board.pictures = [parts.jpeg(images.resize(painting, THUMB)) for painting in self._paintings]
        self._show()

    def _point(self, blend) -> None:
        """Somebody has chosen a place in the triangle."""
        with self._lock:
            if not self._quiet and sum(blend) > 0:
                self.place(*blend)

    def _slider(self, number: int, name: str) -> Slider:
        slider = Slider(label=name, readout="percent", color=plots.COLORS[number], label_width=110)
        slider.layout = widgets.Layout(width=f"{WIDTH}px", max_width="98%")
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
        return f"<b>{blend}</b>"

    def _show(self) -> None:
        """Let everything stand for the blend."""
        with self._lock:
            self._tell()
            self._quiet = True
            for slider, share in zip(self.sliders, self._blend, strict=True):
                slider.value = share if _apart([share], [slider.value]) else slider.value
            if _apart(self._blend, self.board.blend):
                self.board.blend = list(self._blend)
            self.board.dots = self._dots()
            self._quiet = False


def _apart(shares, others) -> bool:
    """Whether shares differ by more than rounding, which a browser need not hear of: it would move back a hand that goes on."""
    return any(abs(a - b) > 1e-6 for a, b in zip(shares, others, strict=True))
