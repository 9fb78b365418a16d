"""A picture with a description for those who cannot see it."""

import traitlets

from nstlab.panels.kit.base import Control, picture_bytes, script, style


class Picture(Control):
    """Show the bytes of a PNG or JPEG file, `value`, which `alt` describes.

    It is `width` pixels wide on the screen, or as wide as it comes for 0, and never wider than its place.
    """

    _esm, _css = script("picture"), style("picture")
    value = picture_bytes()
    alt = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, value: bytes = b"", alt: str = "", width: int = 0, **options):
        super().__init__(value=value, alt=alt, width=width, **options)
