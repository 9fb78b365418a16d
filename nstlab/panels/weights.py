"""A slider for each loss weight, with the same look and words on every panel that steers a run."""

from collections.abc import Callable

import ipywidgets as widgets

from nstlab import plots
from nstlab.panels import parts
from nstlab.panels.kit import Slider

OFF = -2.0  # the left end of a slider, as a power of ten: there the weight is 0
LAYOUT = {"grid_template_columns": "repeat(auto-fill, minmax(min(400px, 100%), 1fr))", "grid_gap": "0 12px", "width": "100%"}


class WeightSliders(widgets.GridBox):
    """Sliders that multiply weights by 0.01 to 100; the left end is off. Beside each stands the weight that it amounts to.

    `base` has the weights at 1 times. `now` are the weights to begin with, if they are others; where they lie too far from
    the base, they are the base. A weight of 0 starts switched off, and can be turned up. `css` begins the names of the CSS
    classes (-slider-NAME and -weight-NAME); `on_change()` is called when a slider has moved.
    """

    def __init__(self, base: dict[str, float], css: str, on_change: Callable[[], None], now: dict[str, float] | None = None):
        now = base if now is None else now
        self._base: dict[str, float] = {}
        self._first: dict[str, tuple[float, float]] = {}  # where each slider began, and the weight there, to the last digit
        self.sliders, self.readouts, rows = {}, {}, []
        for number, name in enumerate(base):
            unit = base[name] or now[name] or 1.0
            factor = now[name] / unit
            if factor and not 10**OFF * 1.01 < factor <= 10**-OFF:
                unit, factor = now[name], 1.0
            self._base[name], self._first[name] = unit, (factor or 10**OFF, now[name])
            self.sliders[name] = self._slider(name, number, factor or 10**OFF).add_class(f"{css}-slider-{name}")
            self.sliders[name].observe(lambda _: (self._say(), on_change()), names="value")
            self.readouts[name] = parts.label(f"{css}-weight-{name}")
            self.readouts[name].layout = widgets.Layout(flex="0 0 156px", margin="0 0 0 auto")  # in a narrow row: below it
            wrap = widgets.Layout(flex_flow="row wrap", align_items="center")
            rows.append(widgets.Box([self.sliders[name], self.readouts[name]], layout=wrap))
        super().__init__(rows, layout=widgets.Layout(**LAYOUT))
        self._say()

    def weights(self) -> dict[str, float]:
        """The weights that the sliders stand for."""
        return {name: self._weight(name) for name in self._base}

    def _weight(self, name: str) -> float:
        value = self.sliders[name].value
        first, weight = self._first[name]
        if value == first:
            return weight
        return 0.0 if value <= 10**OFF * 1.001 else self._base[name] * value

    def _slider(self, name: str, number: int, factor: float) -> Slider:
        slider = Slider(factor, OFF, -OFF, 0.1, name, log=True, readout="none", color=plots.COLORS[number % len(plots.COLORS)])
        slider.layout = widgets.Layout(flex="4 1 220px", min_width="0", width="auto")
        return slider

    def _say(self) -> None:
        for name, weight in self.weights().items():
            factor = weight / self._base[name]
            self.readouts[name].value = f"{factor:.2g} times, weight {weight:.3g}" if weight else "off"
