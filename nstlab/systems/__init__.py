"""Published systems behind one call: `stylize(content, styles, system="gatys")`."""

import inspect
from pathlib import Path

from nstlab.errors import choose
from nstlab.systems import gatys, preserve, scene
from nstlab.systems.run import Result, Run

SYSTEMS = {"gatys": gatys, "preserve": preserve}

__all__ = ["SYSTEMS", "Result", "Run", "plan", "stylize"]


def plan(content, styles, *, system: str = "gatys", **options) -> Run:
    """Everything made ready to paint `content` like `styles`, as a Run: iterate it for its steps, ask it for the result.

    `content` and each of `styles` is a path, a sample name, or an image; `options` are those of the system's `plan`
    and of `scene`.
    """
    styles = [styles] if isinstance(styles, (str, Path)) or hasattr(styles, "shape") else list(styles)
    method = SYSTEMS[choose("system", system, SYSTEMS)]
    known = inspect.signature(method.plan).parameters | inspect.signature(scene.scene).parameters
    known = [name for name in known if name not in ("content", "styles", "system", "options")]
    for name in options:
        choose(f"option of {system}", name, known)
    return method.plan(content, styles, **options)


def stylize(content, styles, *, system: str = "gatys", **options) -> Result:
    """Paint `content` like `styles` and return the Result; arguments as for `plan`. Raises NstlabError."""
    return plan(content, styles, system=system, **options).finish()
