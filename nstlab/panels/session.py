"""A visit to the studio, without its widgets: what is chosen, what is being painted, and what was made before."""

import functools
import threading
import time
from itertools import count

from nstlab import images
from nstlab.errors import DivergedError, NstlabError, SettingError, check_count, check_weight, choose
from nstlab.guidance import Guide, load_map
from nstlab.panels import desk, orders
from nstlab.panels.live import Latest
from nstlab.panels.orders import Order
from nstlab.panels.pictures import Shelf, opened, uploaded
from nstlab.panels.runner import Runner
from nstlab.panels.takeaway import Made

INTERVAL = 0.5  # seconds between two pictures of a run, at least
MOST_MADE = 12  # pictures kept: the oldest makes room
MORE = 1024  # long side in pixels of what `more` paints


class Session:
    """One visitor's choices and pictures. What is slow happens in threads; `tell()` is called, on any thread, after a change.

    `photo` is whatever `images.load` takes, and so is `painting`, or None as long as none is chosen. `size` is the long side
    of the pictures in pixels, `more_size` that of the larger ones, `steps` and `seed` are those of an optimising `system`.
    Read `photo`, `painting`, `shown` (the Made that is looked at), `live` (the image of a run), `made`, `said` (a sentence
    about what went wrong; `error` is the last exception), `looking`, `waiting` (a Place in the line), `share` and `left`.
    Raises NstlabError for what cannot be opened.
    """

    def __init__(
        self, photo="astronaut", painting=None, *, system="preserve", size=512, more_size=MORE, steps=150, seed=0, tell=None
    ):
        self.photos, self.paintings = Shelf("photo"), Shelf("painting")
        self.system, self.strength = choose("system here", system, orders.offered()), 1.0
        self.size, self.more_size = check_count("size", size, least=16), check_count("size", more_size, least=16)
        self.steps, self.seed = check_count("steps", steps), seed
        self.photo, self.painting, self.guide = self.photos.find(photo), None, None
        self.image = opened(self.photo)
        self.made: dict[int, Made] = {}
        self.shown: Made | None = None
        self.said, self.error, self.looking, self.touched = "", None, False, time.monotonic()
        self._tell, self._lock, self._acts = tell or (lambda: None), threading.RLock(), threading.RLock()
        self._numbers, self._wanted = count(1), None
        self._forget_run()
        self.runner = Runner(list)
        self._quick = Latest(self._look, self._put_quick)
        if painting is not None:
            self.choose_painting(self.paintings.find(painting).key)

    # What a visitor does

    def choose_photo(self, key: str) -> None:
        """Take another photo; what was protected in the one before is forgotten. Raises ImageError."""
        with self._acts:
            self.touch()
            image = opened(self.photos[key])
            self.photo, self.image, self.guide, self.said = self.photos[key], image, None, ""
            self._begin_look()

    def choose_painting(self, key: str) -> None:
        """Take another painting, and show at once what one pass of a network makes of it. Raises ImageError."""
        with self._acts:
            self.touch()
            opened(self.paintings[key])
            self.painting, self.said = self.paintings[key], ""
            self._begin_look()

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
        """Paint on what is shown, larger. Raises SettingError where nothing painted is shown."""
        if not self.can_do_more:
            raise SettingError("nothing is painted yet: paint it first, then make it larger")
        made = self.shown
        self._begin(Order(self.photo, self.painting, self.more_size, made.system, made.strength, made.guide, before=made))

    @property
    def can_do_more(self) -> bool:
        """Whether what is shown can be painted larger."""
        return self.shown is not None and not self.shown.quick and not self.busy and self.shown.size < self.more_size

    def stop(self) -> None:
        """End a run after the step it is in, or wait no longer; the picture so far stays."""
        self.touch()
        self.runner.stop()
        self._tell()

    def bring_back(self, number: int) -> None:
        """Show what was made before, and stand again where it was made."""
        with self._acts:
            self.touch()
            self.runner.stop()
            made = self.made[number]
            with self._lock:
                self._wanted, self.looking, self.said = None, False, ""
                if made.photo in self.photos and made.photo != self.photo.key:
                    self.photo = self.photos[made.photo]
                    self.image = opened(self.photo)
                self.painting = self.paintings.get(made.painting, self.painting)
                self.guide, self.shown = made.guide, made
                if not made.quick:
                    self.system, self.strength = made.system, made.strength
            self._tell()

    @property
    def busy(self) -> bool:
        """Whether a run is under way or waits for its turn."""
        return self.runner.state == "running" and not self.runner.stopping

    def touch(self) -> None:
        """Note that somebody is here."""
        self.touched = time.monotonic()

    def idle(self) -> float:
        """For how many seconds nobody has done anything, and nothing was painted."""
        if self.busy or self.looking:
            self.touch()
        return time.monotonic() - self.touched

    def wait(self, timeout: float | None = None) -> "Session":
        """Block until nothing is under way any more."""
        self._quick.wait(timeout)
        if self.runner.alive:
            self.runner._thread.join(timeout)
        return self

    def close(self) -> None:
        """End what is under way, and return once it has ended."""
        self.runner.end()
        self._quick.wait(10)

    # One pass

    def _begin_look(self) -> None:
        """Look at the photo in the manner of the painting; a run of something else ends."""
        self.runner.stop()
        with self._lock:
            self.shown, self.looking = None, self.painting is not None
            self._wanted = self._order(self.size, quick=True) if self.painting else None
            wanted = self._wanted
        if wanted:
            self._quick.ask(wanted)
        self._tell()

    def _look(self, order: Order) -> Made:
        began = time.monotonic()
        with desk.turn("quick") as turn:
            for _ in turn:
                pass
            run = order.plan()
            return order.made(run.finish(), time.monotonic() - began)

    def _put_quick(self, made: Made | None, error: Exception | None) -> None:
        with self._lock:
            if made and self._wanted is not None and self._wanted.makes(made):
                self._keep(made)
                self.shown, self.looking = made, False
            elif error:
                self.said, self.error, self.looking = orders.sentence(error), error, False
        self._tell()

    # A run

    def _order(self, size: int, quick: bool = False) -> Order:
        if self.painting is None:
            raise SettingError("no painting is chosen: choose one first")
        system, strength = (orders.QUICK, 1.0) if quick else (self.system, self.strength)
        guide = self.guide
        return Order(self.photo, self.painting, size, system, strength, guide, steps=self.steps, seed=self.seed, quick=quick)

    def _begin(self, order: Order) -> None:
        with self._acts:
            self.touch()
            if self.busy:
                return
            self.runner.end()  # the thread of the run before may still be in its last step
            with self._lock:
                self._wanted, self.said = order, ""
                self._forget_run()
                self.runner = Runner(functools.partial(self._steps, order), functools.partial(self._hear, order), INTERVAL)
            self.runner.start()
        self._tell()

    def _forget_run(self) -> None:
        self.live, self.waiting, self.share, self.left, self._run, self._began = None, None, 0.0, None, None, time.monotonic()

    def _steps(self, order: Order):
        """First the places in the line, then the run's steps; it is made ready here, as that may take seconds."""
        with desk.turn("paint") as turn:
            for place in turn:
                self.waiting = place
                yield place
            self.waiting, self._began = None, time.monotonic()
            self._run = run = order.plan()
            work = sum(steps * height * width for (height, width), steps in run.schedule)
            done, spent, began = 0, 0.0, time.monotonic()
            for step in run:
                spent += time.monotonic() - began
                done += step.image.shape[-2] * step.image.shape[-1] if step.index else 0
                self.share = min(1.0, done / work)
                self.left = spent * (work - done) / done if done and step.index > 2 else None
                yield step
                began = time.monotonic()

    def _hear(self, order: Order, runner: Runner) -> None:
        """The state of the run, from its thread."""
        ended, run = runner.state in ("done", "stopped", "failed"), self._run
        if runner is not self.runner:
            return
        began = time.monotonic()
        with self._lock:
            painted = run is not None and run.last is not None and run.last.index > 0
            if painted and self._wanted is order:
                self.live = None if ended else run.result().image
            if ended:
                self._end(order, runner, painted)
        self._tell()
        runner.interval = max(INTERVAL, 5 * (time.monotonic() - began))  # most of the time is for the run

    def _end(self, order: Order, runner: Runner, painted: bool) -> None:
        self.waiting = None
        if painted and not runner.error:
            made = order.made(self._run.result(), time.monotonic() - self._began)
            self._keep(made)
            if self._wanted is order:
                self.shown = made
        if runner.error and self._wanted is order:
            self.said, self.error = orders.sentence(runner.error), runner.error
            if isinstance(runner.error, DivergedError):
                self.live = images.check(runner.error.image)

    def _keep(self, made: Made) -> None:
        """Put it among what was made before, once; what was made alike goes, and the oldest if there are too many."""
        self.made = {number: old for number, old in self.made.items() if old.asked != made.asked}
        self.made[next(self._numbers)] = made
        while len(self.made) > MOST_MADE:
            self.made.pop(next(iter(self.made)))
