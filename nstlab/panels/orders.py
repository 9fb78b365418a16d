"""What the studio can be asked for, and how it is done: it knows no widget, and no visitor."""

import functools
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass, fields

from nstlab import images
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError, WeightsError
from nstlab.guidance import Guide, importance
from nstlab.panels.pictures import Source
from nstlab.panels.takeaway import PROTECTED, Made, file_name
from nstlab.systems import Result, plan, registry
from nstlab.systems.preserve import look
from nstlab.systems.trained import load_generator

QUICK, QUICK_ENCODER = "adain", "pocket"  # what is shown at once
MORE_STEPS = 40  # to paint a picture on at twice its size
ENCODER = "vgg19"
KEPT = 4  # maps of what was found in photos
_FOUND: OrderedDict[str, Guide] = OrderedDict()
_FINDING = threading.Lock()


@dataclass(frozen=True)
class Order:
    """A picture to be made. `guide` is a corrected map or None, `before` the picture to paint on from, `quick` one pass."""

    photo: Source
    painting: Source
    size: int
    system: str
    strength: float = 1.0
    guide: Guide | None = None
    before: Made | None = None
    steps: int = 150
    seed: int = 0
    quick: bool = False

    @property
    def protects(self) -> bool:
        """Whether the system keeps what a map says."""
        return registry.load(self.system).takes("guide")

    @property
    def finds(self) -> bool:
        """Whether the map is the one that is found in the photo; a first look does not wait for it."""
        there = self.photo.key in _FOUND if self.quick else finds_what_matters(self.system)
        return self.protects and self.guide is None and there

    def options(self) -> dict:
        """The options of `nstlab.plan`."""
        method = registry.load(self.system)
        made = {"system": self.system, "size": self.size, **strength(self.system, self.strength)}
        if self.quick:
            made["encoder"] = QUICK_ENCODER
        elif method.takes("encoder") and method.takes("steps"):
            made["encoder"] = encoder()
        if method.takes("steps"):
            made |= {"steps": self.steps, "seed": self.seed}
        if self.before is not None and method.takes("start"):
            made |= {"steps": min(self.steps, MORE_STEPS), "start": images.eight_bit(self.before.result.image)}
            made |= {"levels": 1} if method.takes("levels") else {}
        if self.protects and (self.guide is not None or self.finds):
            made["guide"] = self.guide or found(self.photo)
        return made

    def plan(self):
        """The run made ready, with settings that name files, so that they can be repeated elsewhere. Raises NstlabError."""
        made = self.options()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            run = plan(self.photo.picture, [self.painting.picture], **made)
        run.notes += [str(warning.message) for warning in said if warning.category is UserWarning]
        run.settings |= {"content": self.photo.name, "styles": [self.painting.name]}
        if "guide" in made:
            run.settings["guide"] = PROTECTED if self.guide is not None else "importance" if self.quick else None
        if not isinstance(made.get("encoder", ""), str):
            run.settings["encoder"] = ENCODER
        if "start" in made:
            run.settings["start"] = self.before.name
        return run

    def made(self, result: Result, seconds: float) -> Made:
        """The picture that came of it."""
        size = max(result.image.shape[-2:])
        name = file_name(self.photo.name, self.painting.name, size, self.quick)
        guide = self.guide if self.protects else None
        about = {"guide": guide, "before": self.before, "quick": self.quick, "seconds": seconds}
        return Made(result, self.photo.key, self.painting.key, name, self.system, self.strength, **about)


@functools.cache
def offered() -> dict[str, list[str] | None]:
    """The systems that can paint here; with each the paintings that it has learned, or None if it takes any."""
    made: dict[str, list[str] | None] = {}
    for system in registry.names():
        method = registry.load(system)
        try:
            if method.ready:
                method.ready()
            made[system] = None if method.styles == "any" else load_generator(system).styles
        except WeightsError:  # no checkpoint of it ships
            continue
    return made


def strength(system: str, factor: float) -> dict:
    """The option by which a system is painted so many times as strongly as usual; {} for one that has no such option."""
    method = registry.load(system)
    if round(factor, 3) == 1:
        return {}
    if method.takes("weights"):
        return {"weights": {"style": round(factor, 3)}}
    usual = {field.name: field.default for field in fields(method.options)}.get("alpha")
    return {} if usual is None else {"alpha": round(min(1.0, usual * factor), 3)}


def has_strength(system: str) -> bool:
    """Whether a system can be painted more or less strongly than usual."""
    return bool(strength(system, 0.5))


def finds_what_matters(system: str) -> bool:
    """Whether a system that takes a guide finds one in the photo where none is given."""
    return any(field.name == "guide" and field.default is None for field in fields(registry.load(system).options))


def found(photo: Source) -> Guide:
    """The map of what matters in a photo; computed once, a second or two, and kept for the last few photos."""
    with _FINDING:
        if photo.key not in _FOUND:
            _FOUND[photo.key] = importance(look(photo.picture))
            while len(_FOUND) > KEPT:
                _FOUND.popitem(last=False)
        return _FOUND[photo.key]


_LOADING = threading.Lock()
_LOADED: dict[str, object] = {}


def encoder():
    """The encoder of the systems that optimise, loaded once."""
    with _LOADING:
        if ENCODER not in _LOADED:
            _LOADED[ENCODER] = load_encoder(ENCODER)
        return _LOADED[ENCODER]


def warm(photo: Source, painting: Source, size: int) -> None:
    """Load the networks, look once and find what matters in the photo, so that the first picture comes as quickly as the next.

    What was done before is not done again.
    """
    if ENCODER not in _LOADED:
        Order(photo, painting, size, QUICK, quick=True).plan().finish()
    found(photo)
    encoder()


def sentence(error: Exception) -> str:
    """One sentence about an error; what nobody foresaw is not shown, and memory or a disk that is full has a remedy."""
    if isinstance(error, NstlabError):
        return str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "there is not enough memory for this picture: choose a smaller size"
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"this could not be written or read ({reason}): make room on the disk, and try again"
    return f"this did not work ({type(error).__name__}): try other pictures or another size"
