"""What a visitor of the studio takes home: a PNG file, the command that makes it again, a notebook cell. All in memory."""

import base64
import html
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin

from nstlab import images, options
from nstlab.errors import SettingError
from nstlab.experiments.recipe import stylize_command
from nstlab.guidance import Guide
from nstlab.systems import Result, registry

PROTECTED = "protected.png"  # what a corrected map is called in settings, commands and downloads
THUMB = 160  # pixels of the long side of what the strip shows


@dataclass(frozen=True)
class Made:
    """A picture that was made: its Result, the keys of the photo and the painting, and what was asked for.

    `guide` is the map that the visitor corrected, or None. `before` is the picture that it was painted on from, if any.
    `seconds` is how long it took. `name` is the file's, in plain letters.
    """

    result: Result
    photo: str
    painting: str
    name: str
    system: str
    strength: float = 1.0
    guide: Guide | None = None
    before: "Made | None" = None
    quick: bool = False
    seconds: float = 0.0

    @property
    def size(self) -> int:
        """The long side in pixels."""
        return max(self.result.image.shape[-2:])

    @property
    def stopped(self) -> bool:
        """Whether the visitor ended it early."""
        return any(note.startswith("stopped") for note in self.result.notes)

    @property
    def asked(self) -> tuple:
        """What two pictures have in common if they were made alike."""
        guide = None if self.guide is None else self.guide.map.numpy().tobytes()
        return self.photo, self.painting, self.size, self.system, self.quick, self.strength, guide, self.stopped

    def png(self) -> bytes:
        """The PNG file, with settings and notes in its metadata as `Result.save` writes them."""
        return png(self.result.image, {"settings": self.result.settings, "notes": self.result.notes})

    def thumb(self) -> bytes:
        """A small JPEG of it."""
        return small_jpeg(self.result.image, THUMB)

    def command(self) -> str:
        """The commands that make it again, one a line. Raises SettingError if there are none."""
        lines = [] if self.before is None else [self.before.command()]
        return "\n".join([*lines, stylize_command(self.result.settings, self.name)])

    def cell(self) -> str:
        """The code of a notebook cell that makes it again and shows it."""
        lines = ["import nstlab", "from nstlab.plots import show", ""]
        steps = [self] if self.before is None else [self.before, self]
        for step in steps:
            lines += [f"result = nstlab.stylize({_arguments(step.result.settings)})", f"result.save({step.name!r})"]
        return "\n".join([*lines, "show(result.image, height=5)"])


def _arguments(settings: dict) -> str:
    """The arguments of `nstlab.stylize` for settings, without those that are the defaults."""
    rest = dict(settings)
    content, styles, system = (rest.pop(key) for key in ("content", "styles", "system"))
    usual = options.settings(registry.load(system).options())
    given = {name: value for name, value in rest.items() if value != usual.get(name) and name != "checkpoint_hash"}
    words = [repr(content), repr(styles), f"system={system!r}", *(f"{name}={value!r}" for name, value in given.items())]
    return ", ".join(words)


def png(image: torch.Tensor, metadata: dict | None = None) -> bytes:
    """An image or map as the bytes of a PNG file; `metadata` as `images.save` writes it."""
    info, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    if metadata is not None:
        info.add_text("nstlab", json.dumps(metadata, sort_keys=True))
    picture = images.to_pil(image)
    if image.shape[1] == 1:
        picture = picture.convert("L")
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def small_jpeg(image: torch.Tensor, long: int, quality: int = 85) -> bytes:
    """An image as the bytes of a JPEG file with at most `long` pixels on its long side."""
    picture, buffer = images.to_pil(image), io.BytesIO()
    picture.thumbnail((long, long), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def file_name(photo: str, painting: str, size: int, quick: bool = False) -> str:
    """What the picture is to be called on the visitor's machine: plain letters, whatever the pictures are called."""
    stems = [re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:40] or "picture" for name in (photo, painting)]
    return "-".join([*stems, str(size), *(["quick"] if quick else [])]) + ".png"


def link(data: bytes, name: str, text: str, css: str) -> str:
    """HTML of a link that carries a PNG file in itself, so that it lies nowhere on the server."""
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<a class="{css}" download="{html.escape(name)}" href="{address}">{html.escape(text)}</a>'


def code(text_of, css: str) -> str:
    """HTML of code that one click selects; `text_of()` gives it, or raises the SettingError that is shown instead."""
    try:
        return f'<pre class="{css}" tabindex="0">{html.escape(text_of())}</pre>'
    except SettingError as error:
        return f'<p class="{css}">{html.escape(str(error))}</p>'
