"""What the controls of the kit share: how their files are found, and traits for pictures."""

import re
from pathlib import Path

import anywidget
import traitlets

FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The JavaScript module of a control: what all of them use, and its own."""
    lines = [line.strip() for part in ("common", name) for line in _read(f"{part}.js").splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//"))  # a notebook keeps a copy: it is short


def style(name: str) -> str:
    """The parts of `kit.css` for all controls and for this one."""
    pieces = re.split(r"/\* == (\w+) == \*/", _read("kit.css"))
    text = "".join(text for part, text in zip(pieces[1::2], pieces[2::2], strict=True) if part in ("all", name))
    return "\n".join(filter(None, (line.strip() for line in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines())))


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


class Control(anywidget.AnyWidget):
    """Base class of the kit: a control with the look of the kit, which can be `disabled`."""

    disabled = traitlets.Bool(False).tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def picture_bytes() -> traitlets.CBytes:
    """A trait that holds the bytes of a PNG or JPEG file, or nothing; a browser sends it as a memoryview."""
    return traitlets.CBytes(b"").tag(sync=True, echo_update=False)
