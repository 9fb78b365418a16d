"""Before and after in one place, with a line between them that is dragged across the picture."""

import traitlets

from nstlab.panels import words
from nstlab.panels.kit.base import Control, picture_bytes, script, style


class Swipe(Control):
    """Compare two pictures by dragging a line across them: `before` is seen at its left, `after` at its right.

    `before` and `after` are the bytes of PNG or JPEG files of the same proportions; without `after` there is no line.
    `position` is the place of the line as a share of the width, in [0, 1]. `alt` describes the two pictures to those who
    cannot see them, and `tags` are the words in their corners. They are shown with at most `long_side` pixels on the screen.
    The line follows mouse and finger, and the arrow keys, Page Up and Down, Home and End.
    """

    _esm, _css = script("swipe"), style("swipe")
    before, after = picture_bytes(), picture_bytes()
    position = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    alt = traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode(), default_value=("", "")).tag(sync=True)
    tags = traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode()).tag(sync=True)
    long_side = traitlets.Int(640, min=16).tag(sync=True)

    def __init__(self, before: bytes = b"", after: bytes = b"", position: float = 0.5, alt=("", ""), **options):
        options = {"tags": (words.SWIPE["before"], words.SWIPE["after"]), "words": words.SWIPE} | options
        super().__init__(before=before, after=after, position=position, alt=tuple(alt), **options)
