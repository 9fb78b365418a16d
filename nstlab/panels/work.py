"""What is being made for a visitor: first looks, the newest first, and one run at a time. It knows no widget."""

import functools
import threading
import time
from collections.abc import Callable

import torch

from nstlab import images
from nstlab.errors import DivergedError
from nstlab.panels import desk
from nstlab.panels.live import Latest
from nstlab.panels.orders import Order
from nstlab.panels.runner import Runner
from nstlab.panels.takeaway import Made

INTERVAL = 0.5  # seconds between two pictures of a run, at least


class Work:
    """Makes what is ordered, in threads. `done(order, made)` hears of every picture, `failed(error)` of what is still wanted.

    `tell()` is called on any thread after a change. `wanted` is the newest Order. Read `looking` (whether a first look is under
    way), `live` (the image of the run), `waiting` (a Place in the line), `share` (done of the run) and `left` (its seconds).
    """

    def __init__(self, done: Callable[[Order, Made], None], failed: Callable[[Exception], None], tell: Callable[[], None]):
        self._done, self._failed, self._tell = done, failed, tell
        self._lock, self._starting = threading.RLock(), threading.Lock()
        self.wanted: Order | None = None
        self.looking = False
        self.runner = Runner(list)
        self._quick = Latest(self._look, self._put)
        self._forget_run()

    @property
    def busy(self) -> bool:
        """Whether a run is under way or waits for its turn."""
        return self.runner.state == "running" and not self.runner.stopping

    def look(self, order: Order | None) -> None:
        """Have a first look, or with None at nothing; a run of something else ends."""
        self.runner.stop()
        with self._lock:
            self.wanted, self.live, self.looking = order, None, order is not None
        if order is not None:
            self._quick.ask(order)

    def look_again(self) -> None:
        """Have the same first look anew, if one is wanted."""
        with self._lock:
            order = self.wanted
        if order is not None and order.quick:
            self._quick.ask(order)

    def paint(self, order: Order) -> None:
        """Begin a run, unless there is one."""
        with self._starting:
            if self.busy:
                return
            self.runner.end()  # the thread of the run before may still be in its last step
            with self._lock:
                self.wanted, self.looking = order, False
                self._forget_run()
                self.runner = Runner(functools.partial(self._steps, order), functools.partial(self._hear, order), INTERVAL)
            self.runner.start()

    def stop(self) -> None:
        """End a run after the step it is in, or wait no longer; the picture so far stays."""
        self.runner.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Block until nothing is under way any more."""
        self._quick.wait(timeout)
        self.runner.join(timeout)

    def close(self) -> None:
        """End what is under way, and return once it has ended."""
        self.runner.end()
        self._quick.wait(10)

    # A first look

    def _look(self, order: Order) -> tuple[Order, Made]:
        began = time.monotonic()
        with desk.turn("quick") as turn:
            for _ in turn:
                pass
            run = order.plan()
            return order, order.made(run.finish(), time.monotonic() - began)

    def _put(self, found: tuple[Order, Made] | None, error: Exception | None) -> None:
        with self._lock:
            if found is None or found[0] is self.wanted:
                self.looking = False
            if found:
                self._done(*found)
            else:
                self._failed(error)
        self._tell()

    # A run

    def _forget_run(self) -> None:
        self.live: torch.Tensor | None = None
        self.waiting: desk.Place | None = None
        self.share, self.left, self._run, self._began = 0.0, None, None, time.monotonic()

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
            if painted and self.wanted is order:
                self.live = None if ended else run.result().image
            if ended:
                self._end(order, runner.error, painted)
        self._tell()
        runner.interval = max(INTERVAL, 5 * (time.monotonic() - began))  # most of the time is for the run

    def _end(self, order: Order, error: Exception | None, painted: bool) -> None:
        self.waiting = None
        if painted and not error:
            self._done(order, order.made(self._run.result(), time.monotonic() - self._began))
        elif error and self.wanted is order:
            self._failed(error)
            if isinstance(error, DivergedError):
                self.live = images.check(error.image)
