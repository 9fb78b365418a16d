"""A picture with a mask that is painted and erased in place."""

from collections import deque

import traitlets

from nstlab.panels import words
from nstlab.panels.kit.base import Control, picture_bytes, script, style

STEPS_BACK = 40  # that can be undone


class Brush(Control):
    """Paint a mask on a picture with mouse, finger or pen, or by the keyboard.

    `picture` is the bytes of a PNG or JPEG file, `mask` those of a grey PNG file, white where it marks: b"" is an empty mask
    as large as the picture; the browser sends the mask back after every stroke, in the size that it has here. `size` is the
    diameter of the brush in pixels of the picture, at most `largest`, `softness` the share of its radius over which it fades,
    `tool` "mark" or "erase". `alt` describes the picture. It is shown with at most `long_side` pixels on the screen.

    The arrow keys move the brush, Space lowers and lifts it, E changes the tool, [ and ] its size, and Ctrl+Z undoes.
    """

    _esm, _css = script("brush"), style("brush")
    picture, mask = picture_bytes(), picture_bytes()
    size = traitlets.Int(24, min=2).tag(sync=True)
    largest = traitlets.Int(128, min=2).tag(sync=True)
    softness = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    tool = traitlets.Enum(["mark", "erase"], "mark").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    color = traitlets.Unicode("#0072B2").tag(sync=True)
    long_side = traitlets.Int(640, min=16).tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)

    def __init__(self, picture: bytes = b"", mask: bytes = b"", size: int = 24, alt: str = "", **options):
        self.history: deque[bytes] = deque(maxlen=STEPS_BACK)
        self._undoing = False
        super().__init__(picture=picture, mask=mask, size=size, alt=alt, **{"words": words.BRUSH} | options)
        self.observe(self._remember, names="mask")
        self.on_msg(lambda _, content, buffers: content.get("kind") == "undo" and self.undo())

    def undo(self) -> None:
        """Go back to the mask before the last change, if there is one."""
        if self.history:
            self._undoing = True
            try:
                self.mask = self.history.pop()
            finally:
                self._undoing = False
            self.can_undo = bool(self.history)

    def begin(self, picture: bytes, mask: bytes = b"") -> None:
        """Take another picture and mask, and forget what could be undone."""
        with self.hold_sync():
            self.picture, self.mask = picture, mask
            self.history.clear()
            self.can_undo = False

    def _remember(self, change) -> None:
        if not self._undoing:
            self.history.append(change.old)
            self.can_undo = True
