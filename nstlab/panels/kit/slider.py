"""A slider with a name and a readout, for numbers and for one of several things."""

import traitlets

from nstlab.panels.kit.base import Control, script, style


class SliderBase(Control):
    """What both sliders have: a `label`, its width in pixels, a `color`; `continuous` ones tell their value while they move."""

    _esm, _css = script("slider"), style("slider")
    label = traitlets.Unicode("").tag(sync=True)
    label_width = traitlets.Int(90, min=0).tag(sync=True)
    color = traitlets.Unicode("").tag(sync=True)
    continuous = traitlets.Bool(True).tag(sync=True)
    hint = traitlets.Unicode("").tag(sync=True)


class Slider(SliderBase):
    """Choose a number from `min` to `max`; what lies outside becomes the nearest of the two.

    With `log` these are powers of ten, and so is `step`. `readout` is how the number is shown: "number", "percent" or "none".
    """

    value = traitlets.Float(0.0).tag(sync=True)
    min = traitlets.Float(0.0).tag(sync=True)
    max = traitlets.Float(1.0).tag(sync=True)
    step = traitlets.Float(0.01).tag(sync=True)
    log = traitlets.Bool(False).tag(sync=True)
    readout = traitlets.Enum(["number", "percent", "none"], "number").tag(sync=True)

    def __init__(self, value: float = 0.0, min: float = 0.0, max: float = 1.0, step: float = 0.01, label: str = "", **options):
        super().__init__(min=min, max=max, step=step, label=label, **options)
        self.value = value

    @traitlets.validate("value")
    def _within(self, proposal):
        low, high = (10**self.min, 10**self.max) if self.log else (self.min, self.max)
        return low if proposal.value < low else high if proposal.value > high else proposal.value

    @traitlets.observe("min", "max")
    def _bound(self, _):
        self.value = self._within(traitlets.Bunch(value=self.value))


class ChoiceSlider(SliderBase):
    """Choose one of `options`, things or (label, thing) pairs, by a slider; `value` is the thing that is chosen."""

    index = traitlets.Int(0, min=0).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.Any()

    def __init__(self, options, label: str = "", **more):
        pairs = [option if isinstance(option, tuple) else (str(option), option) for option in options]
        self.things = [thing for _, thing in pairs]
        super().__init__(labels=[text for text, _ in pairs], label=label, value=self.things[0], **more)

    @traitlets.validate("value")
    def _known(self, proposal):
        if proposal.value not in self.things:
            raise traitlets.TraitError(f"{proposal.value!r} is none of {self.things}")
        return proposal.value

    @traitlets.observe("index")
    def _point(self, change):
        self.value = self.things[min(change.new, len(self.things) - 1)]

    @traitlets.observe("value")
    def _follow(self, change):
        self.index = self.things.index(change.new)
