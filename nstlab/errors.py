"""The few exceptions a user can meet. Each message names what is wrong and what to do about it, in one sentence."""

import difflib
import math


class NstlabError(Exception):
    """Base class: catch this one to catch everything nstlab raises on purpose."""


class ImageError(NstlabError):
    """A picture that cannot be found, read, or written."""


class WeightsError(NstlabError):
    """Pretrained weights that are missing, changed, or of another shape."""


class SettingError(NstlabError, ValueError):
    """An unknown name or a value out of range."""


class DivergedError(NstlabError):
    """The loss is no longer a number. `image` is the last good picture, `step` the step that failed."""

    def __init__(self, step: int, image, advice: str):
        super().__init__(f"the loss is not a number at step {step}: {advice}")
        self.step, self.image = step, image


def nearest(name: str, choices) -> str:
    """'did you mean ...' for a name that is not among the choices; lists them all if nothing is near."""
    choices = [str(c) for c in choices]
    close = difflib.get_close_matches(str(name), choices, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(close) + "?" if close else "there are " + ", ".join(choices)


def choose(kind: str, name, choices):
    """Return `name` if it is one of `choices`, else raise a SettingError that names the nearest ones."""
    if name not in choices:
        raise SettingError(f"unknown {kind} '{name}': {nearest(name, choices)}")
    return name


def check_weight(name: str, value) -> float:
    """A loss weight as a float; raises SettingError if it is negative, infinite, or not a number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"weight {name}={value}: give a number of 0 or more") from None
    if not math.isfinite(number) or number < 0:
        raise SettingError(f"weight {name}={value}: give a finite number of 0 or more")
    return number


def check_count(name: str, value, least: int = 1) -> int:
    """A whole number of at least `least`, such as a size in pixels or a number of steps."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(f"{name} {value}: give a whole number of {least} or more")
    return value
