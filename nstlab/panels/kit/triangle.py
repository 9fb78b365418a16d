"""A triangle with a painting at each corner, in which a point is a blend of the three."""

import traitlets

from nstlab.panels import words
from nstlab.panels.kit.base import Control, script, style
from nstlab.plots import COLORS


class Triangle(Control):
    """Choose a blend of three by pressing or dragging in a triangle; outside it, the nearest place inside counts.

    `pictures` are the bytes of three PNG or JPEG files, shown at the corners in frames of the three `colors`. `blend` are
    the shares of the three, which add up to 1. `dots` are marked places, [a, b, c, filled] each. `alt` says what it is.
    It is for a pointer: give those who use the keyboard a slider for each share.
    """

    _esm, _css = script("triangle"), style("triangle")
    pictures = traitlets.List(traitlets.CBytes()).tag(sync=True, echo_update=False)
    colors = traitlets.List(traitlets.Unicode(), list(COLORS[:3])).tag(sync=True)
    blend = traitlets.List(traitlets.Float(), [1 / 3, 1 / 3, 1 / 3], minlen=3, maxlen=3).tag(sync=True)
    dots = traitlets.List().tag(sync=True)
    alt = traitlets.Unicode(words.TRIANGLE["label"]).tag(sync=True)

    def __init__(self, pictures=(), **options):
        super().__init__(pictures=list(pictures), **options)
