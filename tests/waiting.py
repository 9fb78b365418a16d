"""Waiting in tests for what a thread, or a browser, does in its own time."""

import time


def until(condition, seconds=20, what="it"):
    """Return once `condition()` holds; fail if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


def settled(read, rest=0.6, seconds=20):
    """What `read()` gives once it has given the same for `rest` seconds; fail if it does not within `seconds`."""
    end, value = time.monotonic() + seconds, read()
    since = time.monotonic()
    while time.monotonic() < since + rest:
        assert time.monotonic() < end, f"it still changes after {seconds} s"
        time.sleep(0.02)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value
