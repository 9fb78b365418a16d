"""The exceptions that nstlab raises, and checks of single values. A message is one sentence: what is wrong, and what to do."""

import difflib
import math
import numbers
import operator
import re


class NstlabError(Exception):
    """Base class: catch this one to catch everything nstlab raises on purpose.

    As text it is one line that any terminal or page can show: line breaks, control characters, and bytes of file names that
    are no UTF-8 are escaped.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in super().__str__())


class ImageError(NstlabError):
    """A picture that cannot be found, read, or written."""


class WeightsError(NstlabError):
    """Pretrained weights that are missing, changed, or of another shape."""


class SettingError(NstlabError, ValueError):
    """An unknown name or a value out of range."""


class DivergedError(NstlabError):
    """The loss became NaN or infinite. `image` is the last good picture, `step` the step that failed."""

    def __init__(self, step: int, image, advice: str):
        super().__init__(f"the loss is not a number at step {step}: {advice}")
        self.step, self.image = step, image


def nearest(name: str, choices) -> str:
    """'did you mean ...?' for a name that is not among the choices; lists all choices if none is similar."""
    choices = [str(c) for c in choices]
    close = difflib.get_close_matches(str(name), choices, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(close) + "?" if close else "there are " + ", ".join(choices)


def choose(kind: str, name, choices):
    """`name` if it is one of `choices`; raises a SettingError that names the most similar ones otherwise."""
    if name not in choices:
        raise SettingError(f"unknown {kind} '{name}': {nearest(name, choices)}")
    return name


def check_weight(name: str, value) -> float:
    """A loss weight as a float; raises SettingError if it is negative, infinite, or not a single number."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise SettingError(f"weight {name}={value}: give a number of 0 or more") from None
    if not math.isfinite(number) or number < 0:
        raise SettingError(f"weight {name}={value}: give a finite number of 0 or more")
    return number


def check_count(name: str, value, least: int = 1) -> int:
    """A whole number of at least `least`, such as a size in pixels or a number of steps, as an int.

    NumPy's whole numbers count, and so do 48.0 and "48", which papermill may pass; booleans do not. Raises SettingError.
    """
    number = whole(value)
    if number is None or number < least:
        raise SettingError(f"{name} {value}: give a whole number of {least} or more")
    return number


def check_seed(value) -> int:
    """The seed of a random generator as an int; raises SettingError unless it is a whole number from 0 to 2^63 - 1."""
    number = whole(value)
    if number is None or not 0 <= number < 2**63:
        raise SettingError(f"seed {value}: give a whole number from 0 to 9223372036854775807")
    return number


def whole(value) -> int | None:
    """The whole number that a value is or writes, as an int: 48, 48.0, "48" or "48.0"; None for anything else."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([+-]?\d+)(?:\.0*)?\s*", value, re.ASCII)
        return int(match[1]) if match and len(match[1]) < 100 else None
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) == "torch.bool":
        return None
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return int(value) if math.isfinite(value) and value == int(value) else None
    try:
        return operator.index(value)
    except TypeError:
        return None
