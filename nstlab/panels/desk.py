"""The desk gives out turns: visitors of one machine paint one after the other, and each is told how many are before them.

The server keeps a Desk; each visitor's kernel asks it over a connection on this machine, found by an environment variable.
Whoever ends a connection, or dies, gives the turn back. Without a desk there is nobody to wait for.
"""

import contextlib
import json
import os
import re
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener

PLACE = "NSTLAB_STUDIO_DESK"  # environment variable: port:key in hexadecimal digits
BEAT, NEWS = 0.25, 2.0  # seconds between two looks at the line, and by which an estimate changes to be told anew
USUAL = 90.0  # seconds that a turn takes, as long as none has been seen
IDLE, IDLE_PLACE = 1200.0, "NSTLAB_STUDIO_IDLE"  # seconds after which a visit ends where nothing happens, and who may change it


@dataclass(frozen=True)
class Place:
    """`number` is how many turns come before this visitor's, `seconds` about how long they will take."""

    number: int
    seconds: float


class Line:
    """Who has a turn and who waits for one, of `slots` turns at a time."""

    def __init__(self, slots: int):
        self.slots, self._waiting, self._began = slots, [], {}
        self._took = deque(maxlen=8)
        self._lock = threading.Lock()

    def join(self, who) -> None:
        """Wait for a turn, at the end of the line."""
        with self._lock:
            self._waiting.append(who)

    def leave(self, who) -> None:
        """End a turn, or wait no longer."""
        with self._lock:
            if who in self._waiting:
                self._waiting.remove(who)
            began = self._began.pop(who, None)
            if began is not None:
                self._took.append(time.monotonic() - began)

    def place(self, who) -> Place:
        """Where somebody stands: number 0 has the turn, and keeps it until leaving."""
        with self._lock:
            now, usual = time.monotonic(), sum(self._took) / len(self._took) if self._took else USUAL
            while self._waiting and len(self._began) < self.slots:
                self._began[self._waiting.pop(0)] = now
            if who in self._began:
                return Place(0, 0.0)
            before = self._waiting.index(who) + 1
            rest = sorted(max(0.0, usual - (now - began)) for began in self._began.values())
            turn, rounds = (before - 1) % self.slots, (before - 1) // self.slots
            return Place(before, rest[min(turn, len(rest) - 1)] + rounds * usual)


class Desk:
    """The server's side. `lines` has the turns at a time of each kind; `on_end(kernel)` hears which visitor's session ended."""

    def __init__(self, lines: dict[str, int], on_end=lambda kernel: None):
        self.lines = {kind: Line(slots) for kind, slots in lines.items()}
        self._on_end, self._key = on_end, secrets.token_bytes(24)
        self._listener = Listener(("127.0.0.1", 0), authkey=self._key, backlog=64)
        threading.Thread(target=self._listen, daemon=True, name="nstlab-desk").start()

    @property
    def address(self) -> str:
        """What the kernels need to know, for their environment variable PLACE."""
        return f"{self._listener.address[1]}:{self._key.hex()}"

    def close(self) -> None:
        """Give out no more turns."""
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # closed
                return
            except Exception:  # somebody without the key
                continue
            threading.Thread(target=self._serve, args=[connection], daemon=True, name="nstlab-desk").start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            kind, _, about = connection.recv_bytes(200).decode().partition(" ")
            if kind == "end":
                self._on_end(about)
            elif kind in self.lines:
                self._give_turn(self.lines[kind], connection)

    def _give_turn(self, line: Line, connection: Connection) -> None:
        said = None
        line.join(connection)
        try:
            while True:
                place = line.place(connection)
                if said is None or place.number != said.number or abs(place.seconds - said.seconds) >= NEWS:
                    connection.send_bytes(json.dumps([place.number, place.seconds]).encode())
                    said = place
                if connection.poll(BEAT):
                    connection.recv_bytes(8)  # nothing is ever sent: this is the end of it
        finally:
            line.leave(connection)


class Turn:
    """A visitor's place in a line: iterate it for the Places until it is this one's turn; `end` gives the turn back."""

    def __init__(self, kind: str):
        self._connection = _connect()
        if self._connection:
            self._connection.send_bytes(kind.encode())

    def __iter__(self) -> Iterator[Place]:
        place = None
        while self._connection is not None:
            try:
                if self._connection.poll(2 * BEAT):
                    place = Place(*json.loads(self._connection.recv_bytes(200)))
            except (OSError, EOFError):  # the server is gone: nobody is there to wait for
                return
            if place is not None and place.number == 0:
                return
            if place is not None:
                yield place  # also where it is the same, so that whoever iterates can think better of it

    def end(self) -> None:
        """Let the next one have it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextlib.contextmanager
def turn(kind: str):
    """A Turn that is given back at the end."""
    made = Turn(kind)
    try:
        yield made
    finally:
        made.end()


def served() -> bool:
    """Whether this kernel belongs to a visitor of a served studio."""
    return PLACE in os.environ


def idle_limit() -> float:
    """Seconds after which a visit ends in which nothing happens."""
    try:
        return max(2.0, float(os.environ.get(IDLE_PLACE, IDLE)))
    except ValueError:
        return IDLE


def end_session() -> None:
    """Tell the desk that this kernel's visitor has gone, so that the kernel is ended."""
    connection = _connect()
    if connection:
        with connection:
            connection.send_bytes(f"end {_kernel()}".encode())


def _kernel() -> str:
    """The id of this process' kernel, or nothing."""
    found = re.search(r"kernel-([0-9a-f-]+)\.json", " ".join(sys.argv))
    return found[1] if found else ""


def _connect() -> Connection | None:
    port, _, key = os.environ.get(PLACE, "").partition(":")
    if not port:
        return None
    try:
        return Client(("127.0.0.1", int(port)), authkey=bytes.fromhex(key))
    except (OSError, EOFError, ValueError, AuthenticationError):  # the server has been ended, or is another
        return None
