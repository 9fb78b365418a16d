"""Published systems behind one call: `stylize(content, styles, system="gatys")`."""

import inspect
from pathlib import Path

from nstlab.errors import SettingError, choose
from nstlab.systems import conditional, gatys, johnson, multiscale_gan, pixel, preserve
from nstlab.systems.feed_forward import Pass
from nstlab.systems.run import Result, Run

OPTIMISING = {"gatys": gatys, "preserve": preserve}
TRAINED = {"johnson": johnson, "conditional": conditional, "multiscale_gan": multiscale_gan}
SYSTEMS = {**OPTIMISING, **TRAINED}

__all__ = ["OPTIMISING", "SYSTEMS", "TRAINED", "Pass", "Result", "Run", "plan", "stylize"]


def plan(content, styles=(), *, system: str = "gatys", **options) -> Run | Pass:
    """Everything made ready to paint `content` like `styles`, as a Run: iterate it for its steps, ask it for the result.

    `content` and each of `styles` is a path, a sample name, or an image; `options` are those of the system's `plan`
    and, of an optimising system, of `scene`. Of a trained system `styles` are names that its checkpoint knows.
    """
    styles = [styles] if isinstance(styles, (str, Path)) or hasattr(styles, "shape") else list(styles)
    method = SYSTEMS[choose("system", system, SYSTEMS)]
    known = dict(inspect.signature(method.plan).parameters)
    if system in OPTIMISING:
        known |= inspect.signature(pixel.scene).parameters
        if not styles:
            raise SettingError(f"{system} paints like a painting: name one")
    known = [name for name in known if name not in ("content", "styles", "system", "options")]
    for name in options:
        choose(f"option of {system}", name, known)
    return method.plan(content, styles, **options)


def stylize(content, styles=(), *, system: str = "gatys", **options) -> Result:
    """Paint `content` like `styles` and return the Result; arguments as for `plan`. Raises NstlabError."""
    return plan(content, styles, system=system, **options).finish()
