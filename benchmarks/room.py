"""A room of visitors: sessions of a served studio at once, as their browsers drive them; what fails, what it takes.

Each visitor has a photo of one colour and of proportions that no other has, chooses one painting after the other, and has some
painted. A photo that is shown must be the visitor's own; a picture must have its proportions. Whoever finds the studio full
waits at the door. Places in the line may only become smaller.
"""

import contextlib
import http.cookiejar
import io
import itertools
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from measuring import machine, options
from PIL import Image

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "20_studio.ipynb"
PAINTINGS = ("great-wave", "starry-night", "spring", "composition-viii")
LATE = 240.0  # seconds after which an answer is a failure
PROTOCOL = "v1.kernel.websocket.jupyter.org"  # Voila understands no other, and hangs
COLOURS = ("red", "lime", "blue", "gold", "teal", "purple", "orange", "navy")


@dataclass
class Log:
    """What one visitor has seen."""

    name: str
    looks: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    opened: float = 0.0
    foreign: int = 0
    failed: str = ""


class Visitor(threading.Thread):
    """One session, driven by the messages that a browser sends."""

    def __init__(self, number: int, address: str, until: float, paint: bool):
        super().__init__(daemon=True)
        self.log, self.address, self.until, self.paint = Log(f"visitor {number}"), address, until, paint
        self.colour, self.size = COLOURS[number % len(COLOURS)], (120 + 10 * number, 100)
        self.models: dict[str, dict] = {}
        self.cookies = http.cookiejar.CookieJar()
        self.web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def run(self):
        try:
            self.arrive()
            self.upload()
            for turn in itertools.count():
                self.look(PAINTINGS[turn % len(PAINTINGS)])
                if self.paint and turn % 3 == 0:
                    self.have_painted()
                if time.monotonic() > self.until:  # whoever is let in late looks once all the same
                    break
        except Exception as error:
            self.log.failed = f"{type(error).__name__}: {error}"
        finally:
            with contextlib.suppress(Exception):
                key = {"X-XSRFToken": next(cookie.value for cookie in self.cookies if cookie.name == "_xsrf")}
                gone = f"{self.address}voila/api/shutdown/{self.kernel}"
                self.web.open(urllib.request.Request(gone, method="POST", data=b"", headers=key))

    def arrive(self):
        """Wait at the door, open the page, and learn of its widgets."""
        from websocket import create_connection

        began, page = time.monotonic(), ""
        while '"kernelId"' not in page:
            page = self.web.open(self.address, timeout=LATE).read().decode()
            place = re.search(r"number (\d+) in line", page)
            if place or "next one" in page:
                self.log.places.append(int(place[1]) if place else 1)
                time.sleep(2)
            if time.monotonic() - began > LATE:
                raise TimeoutError("the door did not open")
        self.kernel = re.search(r'"kernelId": "([^"]+)"', page)[1]
        self.session = uuid.uuid4().hex
        place = f"{self.address.replace('http', 'ws')}api/kernels/{self.kernel}/channels?session_id={self.session}"
        self.socket = create_connection(place, timeout=5, origin=self.address.rstrip("/"), subprotocols=[PROTOCOL])
        comm = uuid.uuid4().hex
        self.send("comm_open", {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}}, {"version": "1.0.0"})
        self.send("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
        self.hear(lambda: self.find("nst-studio-picture"), "the studio")
        self.log.opened = time.monotonic() - began

    def upload(self):
        """Put the photo that is only this visitor's in the drop zone."""
        buffer, zone = io.BytesIO(), self.find("nst-studio-add-photo")
        Image.new("RGB", self.size, self.colour).save(buffer, "PNG")
        data = buffer.getvalue()
        say = lambda content, buffers=(): self.send(
            "comm_msg", {"comm_id": zone, "data": {"method": "custom", "content": content}}, buffers=buffers
        )
        say({"kind": "start", "batch": "1", "files": [{"name": f"{self.colour}.png", "size": len(data)}]})
        say({"kind": "piece", "batch": "1", "file": 0}, [data])
        say({"kind": "end", "batch": "1"})
        self.hear(lambda: self.shown("before").size == self.size, "the photo")
        self.mine = True

    def look(self, painting: str):
        """Choose a painting, and wait for the first look."""
        before, began = self.raw("after"), time.monotonic()
        self.set("nst-studio-paintings", chosen=painting)
        chosen = lambda: self.value("nst-studio-paintings", "chosen") == painting
        new = lambda: self.raw("after") not in (b"", before)  # it is empty for a moment
        self.hear(lambda: chosen() and new() and "first look" in self.status(), "a first look")
        self.log.looks.append(time.monotonic() - began)

    def have_painted(self):
        """Press Paint, and wait for the picture."""
        began, last = time.monotonic(), 10**6
        self.click("nst-studio-paint")

        def done():
            nonlocal last
            place = re.search(r"number (\d+) in line", self.status())
            if place and int(place[1]) != last:
                if int(place[1]) > last:
                    raise AssertionError(f"the place in the line went from {last} to {place[1]}")
                last = int(place[1])
                self.log.places.append(last)
            return "Painted at" in self.status()

        self.hear(done, "a picture")
        self.log.pictures.append(time.monotonic() - began)

    def click(self, css: str):
        self.send("comm_msg", {"comm_id": self.find(css), "data": {"method": "custom", "content": {"event": "click"}}})

    def set(self, css: str, **state):
        self.send("comm_msg", {"comm_id": self.find(css), "data": {"method": "update", "state": state, "buffer_paths": []}})
        self.models[self.find(css)].update(state)

    def find(self, css: str) -> str | None:
        return next((name for name, state in self.models.items() if css in state.get("_dom_classes", ())), None)

    def value(self, css: str, name: str):
        return self.models[self.find(css)].get(name)

    def status(self) -> str:
        return self.value("nst-studio-status", "value") or ""

    def raw(self, side: str) -> bytes:
        return bytes(self.value("nst-studio-picture", side) or b"")

    def shown(self, side: str) -> Image.Image:
        return Image.open(io.BytesIO(self.raw(side))).convert("RGB")

    def send(self, kind: str, content: dict, metadata=None, buffers=()):
        from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.session, "username": "", "version": "5.3"}
        parts = [json.dumps(part).encode() for part in (header, {}, metadata or {}, content)]
        self.socket.send_binary(serialize_msg_to_ws_v1([*parts, *buffers], "shell"))

    def hear(self, condition, what: str):
        """Take in what the kernel says until that holds."""
        from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
        from websocket import WebSocketTimeoutException

        end = time.monotonic() + LATE
        while not (self.find("nst-studio-picture") and condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come: {self.status() if self.models else ''}")
            with contextlib.suppress(WebSocketTimeoutException):
                _, (header, _, _, content, *buffers) = deserialize_msg_from_ws_v1(self.socket.recv())
                self.take({"header": json.loads(header), "content": json.loads(content), "buffers": buffers})

    def take(self, message: dict):
        """Keep the state of the widgets, and look whether what is shown is one's own."""
        content, buffers = message.get("content", {}), message.get("buffers") or []
        data = content.get("data", {}) if isinstance(content, dict) else {}
        if message["header"]["msg_type"] not in ("comm_msg", "comm_open"):
            return
        if data.get("method") == "update_states":
            states, paths = data["states"], data.get("buffer_paths", [])
            for path, buffer in zip(paths, buffers):  # each begins with the name of a widget
                put(states, path, buffer)
            self.models |= {name: each["state"] for name, each in states.items()}
        elif "state" in data:
            for path, buffer in zip(data.get("buffer_paths", []), buffers):
                put(data["state"], path, buffer)
            self.models.setdefault(content["comm_id"], {}).update(data["state"])
            if getattr(self, "mine", False) and content["comm_id"] == self.find("nst-studio-picture"):
                self.check(data["state"])

    def check(self, state: dict):
        ratio = self.size[0] / self.size[1]
        for side in ("before", "after"):
            if state.get(side):
                picture = Image.open(io.BytesIO(bytes(state[side]))).convert("RGB")
                alike = abs(picture.width / picture.height - ratio) < 0.02
                plain = Image.new("RGB", (1, 1), self.colour).getpixel((0, 0))
                near = side == "after" or all(abs(a - b) < 12 for a, b in zip(picture.getpixel((5, 5)), plain))
                self.log.foreign += not (alike and near)


def put(state: dict, path: list, value) -> None:
    """Put a buffer into its place in the state of a widget."""
    for key in path[:-1]:
        state = state[key]
    state[path[-1]] = value


def memory(server: psutil.Process) -> tuple[float, int]:
    """Bytes of memory of the server and its kernels that no other process shares, and how many kernels there are."""
    total, kernels = 0.0, 0
    for process in [server, *server.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().uss
            kernels += "ipykernel" in " ".join(process.cmdline())
    return total, kernels


@contextlib.contextmanager
def served(visitors: int):
    """(address, process) of a studio that is served for that many visitors at a time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "nstlab.panels.serve", NOTEBOOK.name, "--no-browser", f"--port={port}"]
    command += [f"--Visitors.most={visitors}", "--Visitors.spare=0"]
    server = subprocess.Popen(command, cwd=NOTEBOOK.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/voila/static/voila.js", timeout=2)
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/", psutil.Process(server.pid)
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()


def measure(sessions: int, most: int, seconds: float, paint: bool) -> dict:
    """Let visitors come at once and stay for so long; returns one result for all."""
    with served(most) as (address, server):
        until = time.monotonic() + seconds
        visitors = [Visitor(number, address, until, paint) for number in range(sessions)]
        for visitor in visitors:
            visitor.start()
        peak = kernels = 0
        while any(visitor.is_alive() for visitor in visitors):
            now, count = memory(server)
            peak, kernels = max(peak, now), max(kernels, count)
            time.sleep(0.5)
    logs = [visitor.log for visitor in visitors]
    looks, pictures = ([value for log in logs for value in getattr(log, name)] for name in ("looks", "pictures"))
    middle = lambda values: round(statistics.median(values), 2) if values else None
    headline = {
        "sessions": sessions, "failed": sum(bool(log.failed) for log in logs), "foreign": sum(log.foreign for log in logs),
        "looks": len(looks), "look_seconds": middle(looks), "pictures": len(pictures), "picture_seconds": middle(pictures),
        "peak_gb": round(peak / 1e9, 2), "kernels": kernels,
    }  # fmt: skip
    return {"name": "room", "machine": machine(), "headline": headline, "rows": [asdict(log) for log in logs]}


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--most", type=int, help="how many are let in at a time (default: all)")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--no-paint", action="store_true", help="first looks only")
    chosen = parser.parse_args()
    sessions, most, seconds = (2, 1, 5.0) if chosen.quick else (chosen.sessions, chosen.most, chosen.seconds)
    found = measure(sessions, most or sessions, seconds, not (chosen.no_paint or chosen.quick))
    if chosen.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:16} {value}" for name, value in found["headline"].items()))
        print("\n".join(f"{row['name']}: {row['failed']}" for row in found["rows"] if row["failed"]))
    return int(found["headline"]["failed"] > 0 or found["headline"]["foreign"] > 0)


if __name__ == "__main__":
    sys.exit(main())
