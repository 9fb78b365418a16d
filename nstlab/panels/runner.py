"""Runs an iterator of steps in a thread: start, pause, resume, stop, wait, end. It knows no widget."""

import threading
import time
from collections.abc import Callable, Iterable


class Runner:
    """Iterates what `make_steps()` returns and tells `on_update(runner)` about it, at most every `interval` seconds.

    `state` is "idle", "running", "paused", "stopped", "done", or "failed" (then `error` holds why). `last` is the last item
    that came. Nothing here prints: text from a thread would land in no cell.
    """

    def __init__(self, make_steps: Callable[[], Iterable], on_update=None, interval: float = 0.25):
        self.make_steps, self.on_update, self.interval = make_steps, on_update, interval
        self.state, self.last, self.error = "idle", None, None
        self._go, self._stop, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._told = 0.0

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> "Runner":
        """Begin anew, or go on if paused."""
        with self._lock:
            if not self.alive:
                self.last, self.error = None, None
                self._stop.clear()
                self._thread = threading.Thread(target=self._loop, daemon=True, name="nstlab")
                self.state = "running"
                self._go.set()
                self._thread.start()
                return self
        return self.resume()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and has not yet done so."""
        return self.state in ("running", "paused") and self._stop.is_set()

    def pause(self) -> None:
        self._turn("running", "paused", self._go.clear)

    def resume(self) -> "Runner":
        self._turn("paused", "running", self._go.set)
        return self

    def _turn(self, before: str, after: str, act: Callable[[], None]) -> None:
        """From one state to another, if the run has not ended meanwhile."""
        with self._lock:
            if self.state != before or self._stop.is_set():
                return
            self.state = after
            act()
        self._tell(force=True)

    def stop(self) -> None:
        """Ask the run to end after the step it is in."""
        self._stop.set()
        self._go.set()

    def wait(self, timeout: float | None = None) -> "Runner":
        """Block until the run has ended; raises what ended it, if it failed."""
        if self._thread:
            self._thread.join(timeout)
        if self.error:
            raise self.error
        return self

    def join(self, timeout: float | None = None) -> None:
        """Return once the thread has ended; nothing is raised."""
        if self._thread:
            self._thread.join(timeout)

    def end(self) -> None:
        """Stop, and return once the thread has ended; what made a run fail is not raised, it stays in `error`."""
        self.stop()
        self.join()

    def _loop(self) -> None:
        error = None
        try:
            self._iterate(iter(self.make_steps()))
        except Exception as found:  # shown by the panel, raised by wait()
            error = found
        with self._lock:
            self.error, self.state = error, "failed" if error else "stopped" if self._stop.is_set() else "done"
        self._tell(force=True)

    def _iterate(self, steps) -> None:
        try:
            for self.last in steps:
                self._tell(force=not self._go.is_set())  # the last one before a pause is what stays to be seen
                self._go.wait()
                if self._stop.is_set():
                    break
        finally:
            if hasattr(steps, "close"):
                steps.close()  # a checkpoint may be written there, and that may fail too

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if self.on_update and (force or now - self._told >= self.interval):
            self._told = now
            self.on_update(self)
