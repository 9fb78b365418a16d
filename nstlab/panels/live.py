"""Pictures that follow the hand: sliders, or a triangle of three paintings, and a function that paints at once."""

import threading
from collections.abc import Callable

import ipywidgets as widgets
import torch

from nstlab.errors import SettingError, check_weight
from nstlab.panels import parts
from nstlab.panels.blend import SHOWN, BlendTriangle
from nstlab.panels.kit import Slider


class Latest:
    """Does `work(value)` for the newest value asked for, in a thread, and tells `done(result, error)` about it.

    Values that came while it was busy are skipped but for the last one, so a hand that moves on is never waited for. One of
    `result` and `error` is None.
    """

    def __init__(self, work: Callable, done: Callable):
        self._work, self._done = work, done
        self._changed = threading.Condition()
        self._next: list = []
        self._busy = False

    def ask(self, value) -> None:
        """Forget what is still waiting, and do this next."""
        with self._changed:
            self._next = [value]
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._loop, daemon=True, name="nstlab-live").start()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is left to do; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def _loop(self) -> None:
        while True:
            with self._changed:
                if not self._next:
                    self._busy = False
                    self._changed.notify_all()
                    return
                value = self._next.pop()
            try:
                result, error = self._work(value), None
            except Exception as found:  # shown on the panel, as no cell is there to show it
                result, error = None, found
            self._done(result, error)


class LiveSliders(parts.Panel):
    """Sliders from 0 to 1 by name, and the picture that `paint({name: value})` makes of them, an image (1, 3, H, W).

    `start` is where they stand at first. The first picture is painted here, so what cannot be painted is raised here; the
    following ones in a thread, the newest position first.
    """

    def __init__(self, paint: Callable[[dict[str, float]], torch.Tensor], start: dict[str, float]):
        if not start or any(check_weight(name, value) > 1 for name, value in start.items()):
            raise SettingError(f"sliders go from 0 to 1: give a start for at least one, not {start}")
        self.sliders = {name: self._slider(name, value) for name, value in start.items()}
        self.view = parts.view("nst-live-picture", alt="The picture as painted with the sliders where they are")
        self.label = parts.label("nst-live-label")
        wrap = parts.wrapping()
        super().__init__([widgets.Box([widgets.VBox(list(self.sliders.values())), self.view], layout=wrap), self.label])
        self._latest = Latest(paint, self._put)
        self._put(paint(self.values), None)

    @property
    def values(self) -> dict[str, float]:
        """Where the sliders stand."""
        return {name: slider.value for name, slider in self.sliders.items()}

    @property
    def picture(self) -> torch.Tensor:
        """The image (1, 3, H, W) for where the sliders stand; waits until it is painted."""
        self._latest.wait()
        return self._picture

    def _slider(self, name: str, value: float) -> Slider:
        slider = Slider(value, label=name, label_width=150 if len(name) > 12 else 80)
        slider.observe(lambda _: self._latest.ask(self.values), names="value")
        return slider.add_class(f"nst-live-{name}")

    def _put(self, picture: torch.Tensor | None, error: Exception | None) -> None:
        if picture is not None:
            self._picture = picture
            self.view.width = round(SHOWN * picture.shape[-1] / max(picture.shape[-2:]))
            self.view.value = parts.jpeg(picture)
        self.label.value = parts.red(error) if error else ""


class LiveTriangle(BlendTriangle):
    """Three paintings at the corners of a triangle, and the picture that `paint(blend)` makes of the point's shares.

    `blend` are three shares that add up to 1, the picture an image (1, 3, H, W); the three `paintings`, whatever `images.load`
    takes, are shown at the corners. The first picture is painted here, the following ones in a thread, the newest point
    first. Raises NstlabError.
    """

    def __init__(self, paint: Callable[[tuple[float, float, float]], torch.Tensor], paintings):
        super().__init__(paintings)
        self.children = [self.label, widgets.Box([self.triangle, self.view], layout=parts.wrapping())]
        self._latest, self._asked = Latest(paint, self._put), self._blend
        self._put(paint(self._blend), None)
        self._set_out(self._picture.shape[-2:])

    @property
    def picture(self) -> torch.Tensor:
        """The image (1, 3, H, W) of this blend; waits until it is painted."""
        self._latest.wait()
        return self._picture

    def _tell(self) -> None:
        self.label.value = self._words()
        if self._blend != self._asked:
            self._asked = self._blend
            self._latest.ask(self._blend)

    def _put(self, picture: torch.Tensor | None, error: Exception | None) -> None:
        if error:
            self.label.value = f"{self._words()}. {parts.red(error)}"
            return
        self._picture = picture
        self.view.value = parts.jpeg(picture)
