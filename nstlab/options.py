"""Options of a system: a frozen dataclass from which the command line, panels, sweeps, settings and recipes are made."""

import dataclasses
from pathlib import Path

import numpy as np

from nstlab.errors import SettingError, choose, whole

KINDS = ("int", "float", "text", "texts", "numbers", "layers", "weights", "python")
GIVEN_IN_PYTHON = "image"  # what the settings call a value that no command line can repeat, such as a tensor


def option(default, text: str, *, flag: str | None = None, kind: str | None = None):
    """A field of an options dataclass.

    `text` is its line of help and `flag` its name on the command line (by default the field's own, with hyphens). `kind` says
    how it is written there: "int", "float", "text", "texts" (repeatable), "numbers" (0.3,0.7), "layers" (relu1_1,relu2_1),
    "weights" (NAME=VALUE, repeatable), or "python": only from Python.
    """
    if kind is None:
        kind = "text" if default is None else {int: "int", float: "float"}.get(type(default), "text")
    return dataclasses.field(default=default, metadata={"text": text, "flag": flag, "kind": choose("kind", kind, KINDS)})


def flag(field: dataclasses.Field) -> str:
    """What the field is called on the command line, such as "--style-layers"."""
    return "--" + (field.metadata["flag"] or field.name.replace("_", "-"))


def make(options: type, system: str, given: dict):
    """The options dataclass with the given values. Raises SettingError for a name it does not have."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    return options(**{name: _typed(fields[choose(f"option of {system}", name, fields)], given[name]) for name in given})


def _typed(field: dataclasses.Field, value):
    """The value of an option as the settings keep it: 48.0 and "48" are 48 where a whole number is asked for."""
    number = whole(value) if field.metadata["kind"] == "int" else None
    return value if number is None else number


def settings(options) -> dict:
    """All options as plain values that JSON keeps; what has no name to find it by again is "image"."""
    return {field.name: plain(getattr(options, field.name)) for field in dataclasses.fields(options)}


def plain(value):
    """A value as JSON keeps it: paths as text, NumPy numbers as Python's, tensors and other objects as "image"."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return [plain(each) for each in value]
    return GIVEN_IN_PYTHON


def parsed(field: dataclasses.Field, value):
    """A value from the command line as the option has it. Raises SettingError."""
    kind = field.metadata["kind"]
    if kind == "weights":
        return weights_of(value)
    if kind == "texts":
        return list(value)
    if kind == "layers":
        return tuple(part.strip() for part in value.split(","))
    if kind == "numbers":
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            raise SettingError(f"{field.name} '{value}': write numbers with commas between, such as 0.7,0.3") from None
    return value


def split(text: str) -> list[str]:
    """The values in a text with commas between: "[1,2],'a,b',c" has three. Raises SettingError.

    A comma within brackets or quotes that a value begins with parts nothing; the quotes stay.
    """
    values, place = [], 0
    while place <= len(text):
        place += len(text[place:]) - len(text[place:].lstrip())
        end = _end(text, place)
        comma = text.find(",", end)
        values.append(text[place : len(text) if comma < 0 else comma].strip())
        place = len(text) + 1 if comma < 0 else comma + 1
    return values


def _end(text: str, place: int) -> int:
    """Where the brackets or quotes that open at `place` are closed again; `place` itself if there are none."""
    closing, opened = {"[": "]", "(": ")", "{": "}"}, []
    if text[place : place + 1] not in (*closing, "'", '"'):
        return place
    for number, character in enumerate(text[place:], place):
        if opened and opened[-1] in "'\"":
            if character == opened[-1] and text[number - 1] != "\\":
                opened.pop()
        elif character in closing:
            opened.append(closing[character])
        elif character in "'\"":
            opened.append(character)
        elif opened and character == opened[-1]:
            opened.pop()
        if not opened:
            return number + 1
    raise SettingError(f"'{text[place:]}' does not close what it opens: end it with {opened[-1]}, or put the value in quotes")


def weights_of(texts) -> dict[str, float]:
    """{"style": 2.0} from ["style=2"]. Raises SettingError."""
    return dict(_pair(text) for text in texts)


def _pair(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise SettingError(f"weight '{text}': write it as NAME=VALUE, such as style=2") from None


def words(options: type, given: dict) -> list[str]:
    """The command line's words for settings (see `settings`) that differ from the defaults. Raises SettingError.

    Names that the options do not have are refused: another version of nstlab, or another program, wrote them.
    """
    fields, found = {field.name: field for field in dataclasses.fields(options)}, []
    for name, value in given.items():
        if name not in fields:
            raise SettingError(
                f"unknown setting '{name}': another version of nstlab, or another program, made it, and this one cannot"
            )
        field = fields[name]
        if value == plain(field.default) or value in (None, [], {}):
            continue
        if GIVEN_IN_PYTHON in (value if isinstance(value, list) else [value]) or field.metadata["kind"] == "python":
            raise SettingError(f"{name} was given in Python, not by name, so no command makes the picture again")
        found += [word for text in _spelled(field.metadata["kind"], value) for word in _argument(flag(field), text)]
    return found


def _argument(name: str, text: str) -> list[str]:
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


def _spelled(kind: str, value) -> list[str]:
    if kind == "weights":
        return [f"{name}={float(factor)!r}".removesuffix(".0") for name, factor in value.items()]
    if kind == "texts":
        return [str(each) for each in value]
    return [",".join(str(each) for each in value)] if isinstance(value, list) else [str(value)]
