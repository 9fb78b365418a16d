"""Every system, by name. A new one is its file, its line here, and its test.

Packages of others add theirs with an entry point in the group "nstlab.systems" that names a System.
"""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import metadata

from nstlab.errors import choose

GROUP = "nstlab.systems"
SYSTEMS = {  # name: where its System stands; imported when it is asked for
    "gatys": "nstlab.systems.gatys:SYSTEM",
    "preserve": "nstlab.systems.preserve:SYSTEM",
    "luan": "nstlab.systems.luan:SYSTEM",
    "johnson": "nstlab.systems.johnson:SYSTEM",
    "conditional": "nstlab.systems.conditional:SYSTEM",
    "multiscale_gan": "nstlab.systems.multiscale_gan:SYSTEM",
    "lapstyle": "nstlab.systems.lapstyle:SYSTEM",
    "adain": "nstlab.systems.adain:SYSTEM",
    "wct": "nstlab.systems.wct:SYSTEM",
    "wct2": "nstlab.systems.wct2:SYSTEM",
    "photo_wct": "nstlab.systems.photo_wct:SYSTEM",
    "neural_preset": "nstlab.systems.neural_preset:SYSTEM",
}


@dataclass(frozen=True)
class System:
    """One published method.

    `plan(content, styles, options)` makes a Run ready; `options` is a frozen dataclass of what it can be told (see
    nstlab.options). `styles` is "any" where it paints like any painting, "learned" where a checkpoint knows its styles.
    `task(paintings, **options)` is its training, if it has one, on at most `most_styles` paintings, with
    a `critic` against real paintings or without; with `photos_only` it is `task(**options)`, for photos teach it all. `label`
    is what panels call it. `ready()` raises WeightsError where weights that it needs do not ship.
    """

    name: str
    paper: str
    idea: str
    cost: str
    label: str
    options: type
    plan: Callable
    styles: str = "any"
    task: Callable | None = None
    most_styles: int | None = None
    critic: bool = False
    photos_only: bool = False
    ready: Callable | None = None

    def takes(self, option: str) -> bool:
        """Whether it has an option of that name."""
        return option in {field.name for field in fields(self.options)}


@functools.cache
def places() -> dict[str, str]:
    """{name: "module:attribute"} of all systems, those of other packages last."""
    return SYSTEMS | {point.name: point.value for point in metadata.entry_points(group=GROUP)}


def names() -> list[str]:
    """The names of all systems."""
    return list(places())


def load(name: str) -> System:
    """The system of that name. Raises SettingError."""
    module, _, attribute = places()[choose("system", name, places())].partition(":")
    return getattr(importlib.import_module(module), attribute or "SYSTEM")


def trainable() -> list[str]:
    """The names of the systems whose networks are trained."""
    return [name for name in places() if load(name).task is not None]
