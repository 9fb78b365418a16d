"""The chooser: one of the pictures that ship, a file by its path, or an upload, with the same look on every panel."""

import contextlib
import html
import os
from collections.abc import Callable

import ipywidgets as widgets
import torch

from nstlab import images, samples
from nstlab.errors import ImageError, NstlabError
from nstlab.filters import shrink
from nstlab.formats import decode
from nstlab.panels import parts, words
from nstlab.panels.kit import DropZone

UPLOAD_BYTES = 20_000_000  # of an upload: `run.py studio` lets so much through
MOST_PIXELS = 50_000_000  # of an upload, from its header: a visitor should not fill the server's memory
LONG_SIDE = 2048  # pixels that are kept of an upload


def served() -> bool:
    """Whether Voila serves this kernel to a visitor, who must not name files of the machine that it runs on."""
    return bool(os.environ.get("VOILA_REQUEST_URL"))


class PictureChooser(widgets.Box):
    """Choose a picture: a dropdown of samples, a path, an upload. `on_choice(source)` hears of every choice.

    The source is a sample's name, a path, or the image (1, 3, H, W) that was uploaded; None is "none", which is there to
    choose if the chooser is `optional`. What is wrong with an upload, and every NstlabError that `on_choice` raises, is said
    beside the controls, and they go back to what they stood for. `names` are the samples to choose from. `css` begins the
    names of the CSS classes (-pick, -path, -upload, -chosen). Where the panel is served there is no path.
    """

    def __init__(self, css: str, on_choice: Callable, description: str = "photo", *, names=None, optional: bool = False):
        self._on_choice, self._quiet, self._optional = on_choice, False, optional
        self.source, self.name = None, ""
        self.pick = widgets.Dropdown(description=description)
        self.path = widgets.Text(placeholder=words.CHOOSER["path"], continuous_update=False)
        says = words.DROP | {"hint_one": words.CHOOSER["upload_hint"]}
        self.upload = DropZone(words.CHOOSER["upload"], UPLOAD_BYTES / 1e6, multiple=False, compact=True, words=says)
        self.label = parts.label(f"{css}-chosen")
        for name in ("pick", "path", "upload"):
            getattr(self, name).add_class(f"{css}-{name}")
        self.pick.layout, self.pick.style.description_width = widgets.Layout(width="260px", max_width="98%"), "70px"
        self.path.layout = widgets.Layout(width="240px", max_width="98%", display="none" if served() else "")
        self.upload.layout = widgets.Layout(width="auto")
        wrap = parts.wrapping()
        super().__init__([self.pick, self.path, self.upload, self.label], layout=wrap)
        self.offer(samples.names("photo") + samples.names("painting") if names is None else names)
        self.pick.observe(lambda change: self._take(lambda: (change.new, change.new)), names="value")
        self.path.observe(lambda change: self._take(lambda: _path(change.new)), names="value")
        self.upload.on_files(lambda files: self._take(lambda: read_upload(*files[0])))

    def offer(self, names, own: bool = True) -> None:
        """Let these names be the ones to choose from, and nothing but these if not `own`; what is chosen stays."""
        with self._hushed():
            self.pick.options = [("none", "")] * self._optional + [(name, name) for name in names]
            self.path.layout.display = "" if own and not served() else "none"
            self.upload.layout.display = "" if own else "none"
        self.show(self.source, self.name)

    def show(self, source, name: str = "") -> None:
        """Let the controls stand for a source; nobody is told. `name` is that of an uploaded picture."""
        text = str(source) if isinstance(source, (str, os.PathLike)) else ""
        known = text in [value for _, value in self.pick.options] and (bool(text) or source is None)
        with self._hushed():
            self.source, self.name = source, name or (self.name if source is self.source else text)
            self.pick.value = text if known else None
            self.path.value = "" if known else text
        self.label.value = html.escape(self.name) if source is not None and not text else ""

    def enable(self, on: bool) -> None:
        """Let the controls be used, or not."""
        for control in (self.pick, self.path, self.upload):
            control.disabled = not on

    @contextlib.contextmanager
    def _hushed(self):
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _take(self, read: Callable) -> None:
        """Somebody has used a control: tell it, and say what is wrong with it."""
        if self._quiet:
            return
        before = self.source, self.name
        try:
            source, name = read()
            if source is None:
                return
            source = None if isinstance(source, str) and not source else source
            self.show(source, name)
            self._on_choice(source)
        except NstlabError as error:
            typed = self.path.value
            self.show(*before)
            with self._hushed():
                self.path.value = typed  # what is almost right can be mended
            self.label.value = parts.red(error)


def _path(text: str):
    """(path, name) of what was typed, if it counts."""
    return (None, "") if served() or not text.strip() else (text.strip(), text.strip())


def read_upload(name: str, data: bytes) -> tuple[torch.Tensor, str]:
    """(image, name) of a file that was uploaded, no larger than LONG_SIDE.

    Raises ImageError for a name that could be taken for markup, for more than MOST_PIXELS, which are counted before anything
    is decoded, and for what is no picture.
    """
    if set(name) & set("<>") or not name.isprintable():
        raise ImageError(
            f"the name {name[:80]!r} holds characters that no file name should: rename the file, and upload it again"
        )
    decode.read(data, name, lambda picture: _check_pixels(picture, name))
    try:
        image = images.load(data)
    except ImageError as error:
        raise ImageError(str(error).replace("the uploaded file", name)) from None
    return shrink(image, LONG_SIDE), name


def _check_pixels(picture, name: str) -> None:
    """Raise ImageError for more than MOST_PIXELS, which the header says."""
    if picture.width * picture.height > MOST_PIXELS:
        raise ImageError(f"{name} has more than {MOST_PIXELS // 10**6} million pixels: make a smaller copy of it")
