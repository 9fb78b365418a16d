"""How a picture was made, kept in the picture: the notebook and its values, or the settings of `nstlab stylize`."""

import json
import os
import shlex
import struct
import zlib
from pathlib import Path

from nstlab import options
from nstlab.errors import SettingError
from nstlab.systems import registry

KEY, HEADER = "nstlab-recipe", 33  # bytes of a PNG's signature and of its first chunk, behind which ours goes
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


def command(path, encoding: str = "utf-8") -> str:
    """The command that makes the picture at `path` again, for a shell; what `encoding` lacks is written as its bytes.

    Raises ImageError, or SettingError if no command does.
    """
    found = recipe(path)
    notebook, parameters, settings = (found.get(key) for key in ("notebook", "parameters", "settings"))
    if isinstance(notebook, str) and isinstance(parameters, dict):
        return _line(_papermill(notebook, parameters, str(path)), path, encoding)
    if isinstance(settings, dict) and settings:
        return stylize_command(settings, path, encoding)
    raise SettingError(f"{path} carries no recipe: only pictures that nstlab saved say how they were made")


def stylize_command(settings: dict, path, encoding: str = "utf-8") -> str:
    """The command `nstlab stylize ...` for a Result's settings, writing to `path`. Raises SettingError if there is none."""
    return _line(_stylize(dict(settings), path), path, encoding)


def _line(words: list[str], path, encoding: str) -> str:
    made = " ".join(_quoted(word, encoding) for word in words)
    if not made.isprintable():  # line breaks, or codes that a terminal obeys
        raise SettingError(f"{path}: its recipe has characters that cannot be printed, so it is not shown")
    return made


def notes(path) -> list[str]:
    """What the picture says besides, such as that its run was stopped. Raises ImageError."""
    said = recipe(path).get("notes", [])
    return [note for note in said if isinstance(note, str) and note.isprintable()] if isinstance(said, list) else []


def _papermill(notebook: str, parameters: dict, out: str) -> list[str]:
    words = ["papermill", _no_option(notebook), _no_option(f"{Path(out).stem}.ipynb")]
    for name, value in [*parameters.items(), ("out", out)]:
        if isinstance(value, (list, dict)):
            words += ["-y", json.dumps({name: value})]
        elif value is not None:  # -r takes text as it is, -p makes numbers of what looks like one
            words += ["-r" if isinstance(value, str) and _looks_like_more(value) else "-p", name, str(value)]
    return words


def _quoted(word: str, encoding: str) -> str:
    """A word as the shell takes it; with bytes as $'\\xff' where the encoding lacks a character or a name is no text."""
    try:
        word.encode(encoding)
        return shlex.quote(word)
    except UnicodeEncodeError:
        return "$'" + "".join(_escaped(character, encoding) for character in word) + "'"


def _escaped(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        return f"\\{character}" if character in "\\'" else character
    except UnicodeEncodeError:
        try:
            return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
        except UnicodeEncodeError:
            return character  # no byte of a name: it is refused as one that cannot be printed


def _no_option(file: str) -> str:
    """A file's name in a form that no program takes for an option."""
    return f"./{file}" if file.startswith("-") else file


def _looks_like_more(text: str) -> bool:
    try:
        return text in ("True", "False", "None") or float(text) is not None
    except ValueError:
        return False


def _stylize(settings: dict, path) -> list[str]:
    """The words of `nstlab stylize ...` for a picture's settings. Raises SettingError for those of another program."""
    try:
        content, styles, system = (settings.pop(key) for key in ("content", "styles", "system"))
        if not (isinstance(content, str) and isinstance(system, str) and all(isinstance(style, str) for style in styles)):
            raise SettingError("its content or its styles are not names")
        lost = [name for name, value in (("content", [content]), ("style", styles)) if options.GIVEN_IN_PYTHON in value]
        if lost:
            raise SettingError(f"its {lost[0]} was given in Python, not by name, so no command makes the picture again")
        found = options.words(registry.load(system).options, settings)
    except (SettingError, KeyError, TypeError, ValueError) as error:
        reason = error if isinstance(error, SettingError) else "its settings are not those of nstlab"
        raise SettingError(f"{path}: {reason}") from None
    chosen = [] if system == "gatys" else ["--system", system]
    names = [content, *styles]
    guard = ["--"] if any(each.startswith("-") for each in names) else []  # a name with a dash is no option
    return ["nstlab", "stylize", *chosen, *found, "-o", str(path), *guard, *names]
