"""Waiting in tests for what a thread, or a browser, does in its own time."""

import time


def until(condition, seconds=20, what="it"):
    """Return once `condition()` holds; fail if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
