"""What the studio can be asked for, and what it hands over: it knows no widget."""

import base64
import html
import json
import re
import tempfile
from dataclasses import fields
from pathlib import Path

from nstlab import images
from nstlab.errors import WeightsError
from nstlab.guidance import Guide
from nstlab.systems import Result, registry
from nstlab.systems.trained import load_generator


def offered() -> dict[str, list[str] | None]:
    """The systems that can paint here; with each the paintings that it has learned, or None if it takes any."""
    found: dict[str, list[str] | None] = {}
    for system in registry.names():
        method = registry.load(system)
        try:
            if method.ready:
                method.ready()
            found[system] = None if method.styles == "any" else load_generator(system).styles
        except WeightsError:  # no checkpoint of it ships
            continue
    return found


def strength(system: str, factor: float) -> dict:
    """The option by which a system is painted so many times as strongly as usual; {} for one that has no such option."""
    method = registry.load(system)
    if method.takes("weights"):
        return {"weights": {"style": round(factor, 3)}}
    usual = {field.name: field.default for field in fields(method.options)}.get("alpha")
    return {} if usual is None else {"alpha": round(min(1.0, usual * factor), 3)}


def finds_what_matters(system: str) -> bool:
    """Whether a system that takes a guide finds one in the photo where none is given."""
    return any(field.name == "guide" and field.default is None for field in fields(registry.load(system).options))


def file_name(photo: str, paintings: list[str]) -> str:
    """What the picture is to be called on the visitor's machine: plain letters, whatever the pictures are called."""
    stems = [re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:40] or "picture" for name in (photo, *paintings)]
    return "-".join(stems) + ".png"


def picture_bytes(result: Result) -> bytes:
    """The picture as a PNG file with settings and notes in its metadata."""
    with tempfile.TemporaryDirectory(prefix="nstlab-") as folder:  # nobody else can look into it, and it is gone at once
        return result.save(Path(folder) / "picture.png").read_bytes()


def guide_bytes(guide: Guide) -> bytes:
    """A map as a grey PNG file, which `load_map` reads."""
    with tempfile.TemporaryDirectory(prefix="nstlab-") as folder:
        return images.save(guide.map, Path(folder) / "guide.png").read_bytes()


def link(data: bytes, name: str, text: str, css: str) -> str:
    """HTML of a link that carries a PNG file in itself, so that it lies nowhere on the server."""
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<a class="{css}" download="{html.escape(name)}" href="{address}">{html.escape(text)}</a>'


def details(result: Result) -> str:
    """HTML of the settings that the picture carries, folded away."""
    text = json.dumps({"settings": result.settings, "notes": result.notes}, indent=1)
    return f"<details><summary>the settings in it</summary><pre>{html.escape(text)}</pre></details>"
