"""The studio: an app for those who never saw Python. A photo, a painting, and a picture to take home."""

import threading
import time

from nstlab.errors import NstlabError
from nstlab.experiments.results import headless
from nstlab.guidance import load_map
from nstlab.panels import desk, takeaway
from nstlab.panels.kit import Thumbnails
from nstlab.panels.session import MORE, Session
from nstlab.panels.studio_view import SHOWN, StudioView
from nstlab.systems import Result


class Studio(StudioView):
    """Choose a painting and see the photo in its manner at once; have it painted with care; take it home.

    `photo` and `painting` are whatever `images.load` takes; without a painting the visitor chooses the first. `size` is the
    long side of the pictures in pixels, `more_size` that of the larger ones, `steps` and `seed` are those of the optimising
    `system`. What is going on is kept by `session`, a Session. Nothing of a visitor's is written to a disk. What goes wrong
    is said on the panel in one sentence. Raises NstlabError for a studio that cannot be opened.
    """

    def __init__(self, photo="astronaut", painting=None, *, system="preserve", size=512, more_size=MORE, steps=150, seed=0):
        self._ready, self._mask = False, b""
        numbers = {"size": size, "more_size": more_size, "steps": steps, "seed": seed}
        super().__init__(Session(photo, system=system, **numbers, tell=self._hear, ahead=not headless()))
        self._connect()
        self._ready = True
        self.show()
        if painting is not None:
            self.session.choose_painting(self.session.paintings.find(painting).key)
        if desk.served():
            threading.Thread(target=self._watch, daemon=True, name="nstlab-idle").start()

    @property
    def result(self) -> Result | None:
        """What is looked at now, if it was made."""
        return self.session.shown.result if self.session.shown else None

    def autorun(self, painting=None, refine: bool = False) -> "Studio":
        """Headless: choose a painting, wait for the first look, and to `refine` paint to the end. Else leave it to the buttons.

        Raises NstlabError.
        """
        if headless():
            self.session.protected()  # which is found ahead where somebody is at the controls
            if painting:
                self.session.choose_painting(self.session.paintings.find(painting).key)
            self.session.wait()
            if refine:
                self.session.paint()
                self.session.wait()
            if self.session.error:
                raise self.session.error
            self.take.leave_out_file()
        return self

    def close_visit(self) -> None:
        """End the visit: stop what is under way, and say so where the controls were."""
        self.session.close()
        self.close_view()

    def _connect(self) -> None:
        self._on(self.paintings, self.session.choose_painting, lambda: self.session.painting)
        self._on(self.photos, self.session.choose_photo, lambda: self.session.photo)
        self.strip.observe(lambda change: self._bring_back(change.new), names="chosen")
        self.add_painting.on_files(lambda files: self._upload("painting", files))
        self.add_photo.on_files(lambda files: self._upload("photo", files))
        self.protect.observe(lambda _: self._try(self._open_brush), names="value")
        self.finer.observe(lambda _: self.show(), names="value")
        self.brush.observe(lambda change: self._try(lambda: self._correct(change.new)), names="mask")
        for button, act in (
            (self.paint_button, self.session.paint),
            (self.more_button, self.session.more),
            (self.stop_button, self.session.stop),
            (self.forget_button, self._forget),
        ):
            button.on_click(lambda _, act=act: self._try(act))
        for control in (self.system, self.strength):
            control.observe(lambda _: self._try(self._choose_system), names="value")

    # What a visitor does

    def _on(self, grid: Thumbnails, choose, chosen) -> None:
        """Let a grid choose, unless it only shows what is chosen already."""

        def heard(change):
            now = chosen()
            if change.new and not (now and now.key == change.new):
                self.protect.value = False
                self._try(lambda: choose(change.new))

        grid.observe(heard, names="chosen")

    def _try(self, act) -> None:
        """Do it; what is wrong is said in one sentence."""
        try:
            self.session.said = ""
            act()
        except NstlabError as error:
            self.session.said = str(error)
        self.show()

    def _upload(self, kind: str, files: list[tuple[str, bytes]]) -> None:
        """What is wrong with a file is said by the drop zone, to which it is raised."""
        try:
            self.session.upload(kind, files)
            self.protect.value = False
        finally:
            self.show()

    def _bring_back(self, number: str) -> None:
        made = self.session.made.get(int(number)) if number else None
        if made is not None and made is not self.session.shown:
            self.protect.value = False
            self.session.bring_back(int(number))
            with self._drawing:
                self.system.value, self.strength.value = self.session.system, self.session.strength

    def _choose_system(self) -> None:
        if (self.system.value, self.strength.value) != (self.session.system, self.session.strength):
            self.session.choose_system(self.system.value, self.strength.value)

    def _open_brush(self) -> None:
        """Draw what is kept on the photo, to be corrected there."""
        self.session.touch()
        if self.protect.value:
            guide = self.session.protected().resized(tuple(self.seen().shape[-2:]))
            self._mask = takeaway.png(guide.map)
            self.brush.begin(takeaway.small_jpeg(self.session.image, SHOWN), self._mask)

    def _correct(self, mask: bytes) -> None:
        """What the brush has changed is kept from now on."""
        if self.protect.value and bytes(mask) != self._mask:
            self._mask = bytes(mask)
            self.session.protect(load_map(self._mask))

    def _forget(self) -> None:
        self.session.protect(None)
        self._open_brush()

    def _hear(self) -> None:
        """Something has changed; told on any thread."""
        if self._ready:
            self.show()

    def _watch(self) -> None:
        """End the visit when nothing has happened for too long."""
        while self.session.idle() < desk.idle_limit():
            time.sleep(min(5.0, desk.idle_limit() / 10))
        self.close_visit()
        desk.end_session()
