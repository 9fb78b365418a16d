"""A visit to the studio, without its widgets: what is chosen, what is being painted, and what was made before."""

import threading
import time
from itertools import count

from nstlab.errors import NstlabError, SettingError, check_count, check_seed, check_weight, choose
from nstlab.guidance import Guide, load_map
from nstlab.panels import orders
from nstlab.panels.live import Latest
from nstlab.panels.orders import Order
from nstlab.panels.pictures import Shelf, Source, opened, uploaded
from nstlab.panels.takeaway import Made
from nstlab.panels.work import Work

MOST_MADE = 12  # pictures kept: the oldest makes room
MORE = 1024  # long side in pixels of what `more` paints


class Session:
    """One visitor's choices and pictures. What is slow happens in threads; `tell()` is called, on any thread, after a change.

    `photo` is whatever `images.load` takes, and so is `painting`, or None as long as none is chosen. `size` is the long side
    of the pictures in pixels, `more_size` that of the larger ones, `steps` and `seed` are those of an optimising `system`.
    With `ahead`, networks are loaded, and what matters in the photo is found, before anybody asks for it.
    Read `photo`, `painting`, `shown` (the Made that is looked at), `made`, `said` (a sentence about what went wrong; `error` is
    the last exception), and what is going on from `work`. Raises NstlabError for what cannot be opened.
    """

    def __init__(self, photo="astronaut", painting=None, *, system="preserve", tell=None, ahead=False, **numbers):
        self.photos, self.paintings = Shelf("photo"), Shelf("painting")
        self.system, self.strength = choose("system here", system, orders.offered()), 1.0
        numbers = {"size": 512, "more_size": MORE, "steps": 150, "seed": 0} | numbers
        self.size, self.more_size = (check_count(name, numbers[name], least=16) for name in ("size", "more_size"))
        self.steps, self.seed = check_count("steps", numbers["steps"]), check_seed(numbers["seed"])
        self.photo, self.painting, self.guide = self.photos.find(photo), None, None
        self.image = opened(self.photo)
        self.made: dict[int, Made] = {}
        self.shown: Made | None = None
        self.said, self.error, self.touched = "", None, time.monotonic()
        self._tell, self._acts, self._numbers = tell or (lambda: None), threading.RLock(), count(1)
        self.work = Work(self._put, self._fail, self._tell)
        self._finder = Latest(self._find, lambda found, error: None) if ahead else None
        self._find_ahead()
        if painting is not None:
            self.choose_painting(self.paintings.find(painting).key)

    # What a visitor does

    def choose_photo(self, key: str) -> None:
        """Take another photo; what was protected in the one before is forgotten. Raises ImageError."""
        with self._acts:
            self.touch()
            image = opened(self.photos[key])
            self.photo, self.image, self.guide, self.said = self.photos[key], image, None, ""
            self._look()
            self._find_ahead()

    def choose_painting(self, key: str) -> None:
        """Take another painting, and show at once what one pass of a network makes of it. Raises ImageError."""
        with self._acts:
            self.touch()
            opened(self.paintings[key])
            self.painting, self.said = self.paintings[key], ""
            self._look()

    def upload(self, kind: str, files: list[tuple[str, bytes]]) -> None:
        """Put files, (name, bytes), on the shelf of that kind, and choose the last one.

        Raises ImageError for the first bad one, when the good ones are on the shelf.
        """
        self.touch()
        shelf, bad, last = self.photos if kind == "photo" else self.paintings, None, None
        chosen = self.photo if kind == "photo" else self.painting
        for name, data in files:
            try:
                last = shelf.put(uploaded(name, data), keep=chosen.key if chosen else "")
            except NstlabError as error:
                bad = bad or error
        if last:
            (self.choose_photo if kind == "photo" else self.choose_painting)(last.key)
        if bad:
            raise bad

    def choose_system(self, system: str, strength: float = 1.0) -> None:
        """Paint with another system from now on, or so many times as strongly as usual. Raises SettingError."""
        self.touch()
        check_weight("strength", strength)
        self.system, self.strength = choose("system here", system, orders.offered()), strength

    def protected(self) -> Guide:
        """The map of what is kept in the photo: the one that the visitor corrected, or what is found there."""
        return self.guide or orders.found(self.photo)

    def protect(self, values) -> None:
        """Let a map, as `load_map` takes it, be what is kept; None is what is found in the photo. Raises NstlabError."""
        self.touch()
        made = None if values is None else load_map(values, tuple(self.image.shape[-2:]), "the map")
        self.guide = None if made is None else Guide(made.map, "painted by hand")
        self._tell()

    def paint(self) -> None:
        """Begin to paint, in a thread, unless it does so already. Raises SettingError as long as no painting is chosen."""
        self._begin(self._order(self.size))

    def more(self) -> None:
        """Paint on what is shown, larger, unless something is painted already. Raises SettingError where nothing is shown."""
        if self.work.busy:
            return
        if not self.can_do_more:
            raise SettingError("nothing is painted yet: paint it first, then make it larger")
        made = self.shown
        about = {"before": made, "steps": self.steps, "seed": self.seed}
        self._begin(Order(self.photo, self.painting, self.more_size, made.system, made.strength, made.guide, **about))

    def _begin(self, order: Order) -> None:
        with self._acts:
            self.touch()
            if not self.work.busy:
                self.said = ""
                self.work.paint(order)
        self._tell()

    @property
    def can_do_more(self) -> bool:
        """Whether what is shown can be painted larger."""
        return self.shown is not None and not self.shown.quick and not self.work.busy and self.shown.size < self.more_size

    def stop(self) -> None:
        """End a run after the step it is in, or wait no longer; the picture so far stays."""
        self.touch()
        self.work.stop()
        self._tell()

    def bring_back(self, number: int) -> None:
        """Show what was made before, and stand again where it was made."""
        with self._acts:
            self.touch()
            made = self.made[number]
            self.work.look(None)
            if made.photo in self.photos and made.photo != self.photo.key:
                self.photo = self.photos[made.photo]
                self.image = opened(self.photo)
            self.painting = self.paintings.get(made.painting, self.painting)
            self.guide, self.shown, self.said = made.guide, made, ""
            if not made.quick:
                self.system, self.strength = made.system, made.strength
            self._tell()

    def touch(self) -> None:
        """Note that somebody is here."""
        self.touched = time.monotonic()

    def idle(self) -> float:
        """For how many seconds nobody has done anything, and nothing was painted."""
        if self.work.busy or self.work.looking:
            self.touch()
        return time.monotonic() - self.touched

    def wait(self, timeout: float | None = None) -> "Session":
        """Block until nothing is under way any more."""
        self.work.wait(timeout)
        return self

    def close(self) -> None:
        """End what is under way, and return once it has ended."""
        self.work.close()

    def _order(self, size: int, quick: bool = False) -> Order:
        if self.painting is None:
            raise SettingError("no painting is chosen: choose one first")
        system, strength = (orders.QUICK, 1.0) if quick else (self.system, self.strength)
        numbers = {"steps": self.steps, "seed": self.seed}
        return Order(self.photo, self.painting, size, system, strength, self.guide, quick=quick, **numbers)

    def _look(self) -> None:
        """Look at the photo in the manner of the painting."""
        self.shown = None
        self.work.look(self._order(self.size, quick=True) if self.painting else None)
        self._tell()

    def _put(self, order: Order, made: Made) -> None:
        """Put a picture among what was made before, once; what was made alike goes, and the oldest if there are too many."""
        kept = {number: old for number, old in self.made.items() if old.asked != made.asked}
        kept[next(self._numbers)] = made
        self.made = dict(list(kept.items())[-MOST_MADE:])
        if self.work.wanted is order:
            self.shown = made

    def _fail(self, error: Exception) -> None:
        self.said, self.error = orders.sentence(error), error

    def _find_ahead(self) -> None:
        if self._finder:
            self._finder.ask(self.photo)

    def _find(self, photo: Source) -> None:
        """See what matters in the photo; a first look that was taken without knowing it is taken again."""
        orders.warm(photo, self.paintings.sources()[-1], self.size)
        made = self.shown
        if made is not None and made.quick and made.photo == photo.key and made.result.settings["guide"] == "none":
            self.work.look_again()
