"""What the controls of the kit share: how their files are found, and traits for pictures."""

import re
from pathlib import Path

import anywidget
import traitlets

FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The JavaScript module of a control: what all of them use, and its own."""
    return "\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in ("common", name))


def style(name: str) -> str:
    """The parts of `kit.css` for all controls and for this one."""
    pieces = re.split(r"/\* == (\w+) == \*/", (FOLDER / "kit.css").read_text(encoding="utf-8"))
    return "".join(text for part, text in zip(pieces[1::2], pieces[2::2], strict=True) if part in ("all", name))


class Control(anywidget.AnyWidget):
    """Base class of the kit: a control with the look of the kit, which can be `disabled`."""

    disabled = traitlets.Bool(False).tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def picture_bytes() -> traitlets.CBytes:
    """A trait that holds the bytes of a PNG or JPEG file, or nothing; a browser sends it as a memoryview."""
    return traitlets.CBytes(b"").tag(sync=True, echo_update=False)
