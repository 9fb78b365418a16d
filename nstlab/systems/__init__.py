"""Published systems behind one call: `stylize(content, styles, system="gatys")`."""

from pathlib import Path

from nstlab import options as option_tools
from nstlab.errors import SettingError
from nstlab.systems import registry
from nstlab.systems.registry import System
from nstlab.systems.run import Result, Run

__all__ = ["Result", "Run", "System", "plan", "registry", "stylize"]


def plan(content, styles=(), *, system: str = "gatys", **options) -> Run:
    """Everything made ready to paint `content` like `styles`, as a Run: iterate it for its steps, ask it for the result.

    `content` and each of `styles` is whatever `images.load` takes; for a system with learned styles, `styles` are names that
    its checkpoint knows. `options` are those of the system (`nstlab stylize --system NAME --help`). Raises NstlabError.
    """
    method = registry.load(system)
    several = isinstance(styles, (list, tuple)) and not isinstance(styles, (str, Path))
    styles = list(styles) if several else [styles]
    made = option_tools.make(method.options, system, options)
    if method.styles == "any" and not styles:
        raise SettingError(f"{system} paints like a painting: name one")
    return method.plan(content, styles, made)


def stylize(content, styles=(), *, system: str = "gatys", **options) -> Result:
    """Paint `content` like `styles` and return the Result; arguments as for `plan`. Raises NstlabError."""
    return plan(content, styles, system=system, **options).finish()
