"""How a picture was made, kept in the picture: the notebook and its values, or the settings of `nstlab stylize`."""

import json
import shlex
import struct
import zlib
from pathlib import Path

from nstlab.errors import SettingError

KEY, HEADER = "nstlab-recipe", 33  # bytes of a PNG's signature and of its first chunk, behind which ours goes
NAMED = {"style_scale": "stroke", "weights": "weight", "masks": "mask"}  # settings called otherwise on the command line
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def stamped(picture: bytes, notebook: str, parameters: dict) -> bytes:
    """The bytes of a PNG file with its recipe in a text chunk, its pixels untouched; other formats stay as they are."""
    if not picture.startswith(SIGNATURE):
        return picture
    recipe = json.dumps({"notebook": notebook, "parameters": parameters})
    chunk = b"tEXt" + KEY.encode() + b"\0" + recipe.encode("ascii")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return picture[:HEADER] + chunk + picture[HEADER:]


def recipe(path) -> dict:
    """{"notebook", "parameters"} of a picture made by a notebook, else {"settings", ...} of one that nstlab painted, else {}.

    Raises ImageError for what is no picture.
    """
    from nstlab import images

    return images.metadata(path, KEY) or images.metadata(path)


def command(path) -> str:
    """The command that makes the picture at `path` again. Raises ImageError, or SettingError if no command does."""
    found = recipe(path)
    if "notebook" in found:
        return _papermill(found["notebook"], found["parameters"], str(path))
    if found.get("settings"):
        return _stylize(dict(found["settings"]), path)
    raise SettingError(f"{path} carries no recipe: only pictures that nstlab saved say how they were made")


def notes(path) -> list[str]:
    """What the picture says besides, such as that its run was stopped. Raises ImageError."""
    return recipe(path).get("notes", [])


def _papermill(notebook: str, parameters: dict, out: str) -> str:
    words = ["papermill", notebook, f"{Path(out).stem}.ipynb"]
    for name, value in [*parameters.items(), ("out", out)]:
        if isinstance(value, (list, dict)):
            words += ["-y", json.dumps({name: value})]
        elif value is not None:  # -r takes text as it is, -p makes numbers of what looks like one
            words += ["-r" if isinstance(value, str) and _looks_like_more(value) else "-p", name, str(value)]
    return shlex.join(words)


def _looks_like_more(text: str) -> bool:
    try:
        return text in ("True", "False", "None") or float(text) is not None
    except ValueError:
        return False


def _stylize(settings: dict, path) -> str:
    """`nstlab stylize ...`; where a setting has no option there, the same call in Python."""
    lost = [name for name, value in settings.items() if value == "image" or (isinstance(value, list) and "image" in value)]
    if lost:
        raise SettingError(f"{path}: its {lost[0]} was given in Python, not by name, so no command makes the picture again")
    content, styles, system = (settings.pop(key) for key in ("content", "styles", "system"))
    options, others = _options(settings, system)
    if others:
        settings = {"system": system} | {name: value for name, value in settings.items() if value is not None}
        call = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return shlex.join(
            ["python", "-c", f"import nstlab; nstlab.stylize({content!r}, {styles!r}, {call}).save({str(path)!r})"]
        )
    system = [] if system == "gatys" else ["--system", system]
    return shlex.join(["nstlab", "stylize", content, *styles, "-o", str(path), *system, *options])


def _options(settings: dict, system: str) -> tuple[list[str], dict]:
    """The options of `nstlab stylize` that say the settings, and the settings that differ from the default and have none."""
    import inspect

    from nstlab.cli import app as cli
    from nstlab.systems import SYSTEMS, pixel

    known = inspect.signature(cli.stylize).parameters
    defaults = {**inspect.signature(pixel.scene).parameters, **inspect.signature(SYSTEMS[system].plan).parameters}
    words, others = [], {}
    for name, value in settings.items():
        option = NAMED.get(name, name)
        if option not in known:
            default = defaults[name].default if name in defaults else None
            if value != (list(default) if isinstance(default, tuple) else default):
                others[name] = value
        elif value not in (None, [], {}) and (option in ("size", "steps") or value != known[option].default):
            words += _spelled(option, value)
    return words, others


def _spelled(option: str, value) -> list[str]:
    if option == "weight":
        return [word for name, factor in value.items() for word in ("--weight", f"{name}={factor:g}")]
    if option == "blend":
        return ["--blend", ",".join(str(share) for share in value)]
    values = value if isinstance(value, list) else [value]
    return [word for one in values for word in (f"--{option}", str(one))]
