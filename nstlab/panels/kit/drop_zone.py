"""A place to drop files on, or to choose them with, which sends their bytes."""

from collections.abc import Callable

import traitlets

from nstlab.errors import NstlabError
from nstlab.panels import words
from nstlab.panels.kit.base import Control, script, style

UNDER_WAY = 2  # uploads that may arrive at a time, of two windows that show the same panel


class DropZone(Control):
    """Upload files by dropping them, by a click or by the keyboard.

    `limit_mb` bounds each file in megabytes (10**6 bytes) and `most` their number; `accept` are kinds of files as an HTML
    input takes them. They come in pieces, so that no connection breaks at a large message. `on_files(callback)` hears
    a list of (name, bytes) once all of them have arrived; an NstlabError that it raises is said in `message`, below the
    zone, where what is wrong with a file is said too. A `compact` zone takes one line. The name is
    the visitor's: do not trust it.
    """

    _esm, _css = script("drop_zone"), style("drop_zone")
    label = traitlets.Unicode().tag(sync=True)
    limit_mb = traitlets.Float(20.0, min=0).tag(sync=True)
    accept = traitlets.Unicode("image/*").tag(sync=True)
    multiple = traitlets.Bool(True).tag(sync=True)
    most = traitlets.Int(12, min=1).tag(sync=True)
    compact = traitlets.Bool(False).tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    def __init__(self, label: str = words.DROP["label"], limit_mb: float = 20, accept: str = "image/*", **options):
        options = {"words": words.DROP} | options
        super().__init__(label=label, limit_mb=float(limit_mb), accept=accept, **options)
        self._callbacks: list[Callable] = []
        self._arriving: dict[str, list[tuple[str, int, bytearray]]] = {}
        self.on_msg(lambda _, content, buffers: self._hear(content, buffers))

    def on_files(self, callback: Callable[[list[tuple[str, bytes]]], None]) -> None:
        """Let `callback` hear of the files that arrive."""
        self._callbacks.append(callback)

    def _hear(self, content: dict, buffers: list) -> None:
        """A message of the browser: the files to come, a piece of one, or the end."""
        batch = str(content.get("batch"))
        if content.get("kind") == "start":
            self._begin(batch, [(str(file["name"]), int(file["size"])) for file in content["files"]])
        elif content.get("kind") == "piece" and batch in self._arriving:
            _, size, data = self._arriving[batch][int(content["file"])]
            piece = buffers[0]
            if len(data) + len(piece) <= size:
                data += piece
            else:
                del self._arriving[batch]
        elif content.get("kind") == "end" and batch in self._arriving:
            try:
                self._finish(self._arriving.pop(batch))
            finally:
                self.send({"kind": "heard"})  # else "Uploading" would stay where the message is the same as before
        elif content.get("kind") == "lost":
            self._arriving.pop(batch, None)

    def _begin(self, batch: str, files: list[tuple[str, int]]) -> None:
        """Make room for files; the browser has checked them, but a browser can be made to say anything."""
        limit = self.limit_mb * 1e6
        if (
            self.disabled
            or len(files) > (self.most if self.multiple else 1)
            or any(not 0 <= size <= limit for _, size in files)
        ):
            return
        while len(self._arriving) >= UNDER_WAY:
            self._arriving.pop(next(iter(self._arriving)))
        self._arriving[batch] = [(name, size, bytearray()) for name, size in files]

    def _finish(self, files: list[tuple[str, int, bytearray]]) -> None:
        broken = [name for name, size, data in files if len(data) != size]
        if broken:
            self.message = words.DROP["broken"].format(name=broken[0])
            return
        self.message = ""
        try:
            for callback in self._callbacks:
                callback([(name, bytes(data)) for name, _, data in files])
        except NstlabError as error:
            self.message = str(error)
