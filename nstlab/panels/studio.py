"""The studio: an app for those who never saw Python. A photo, a painting, and a picture to take home."""

import html
import threading
import time

import ipywidgets as widgets

from nstlab import images
from nstlab.errors import NstlabError
from nstlab.experiments.results import headless
from nstlab.guidance import load_map
from nstlab.panels import desk, orders, parts, takeaway
from nstlab.panels import studio_words as words
from nstlab.panels.kit import Brush, DropZone, Swipe, Thumbnails
from nstlab.panels.pictures import MOST_BYTES, described
from nstlab.panels.session import MORE, Session
from nstlab.panels.studio_look import CSS, LOOK, status, title
from nstlab.panels.studio_take import TakeHome
from nstlab.systems import Result, registry

SHOWN = 1024  # long side in pixels of what is sent to be looked at
ON_SCREEN = 900  # pixels that it takes there at most
ACCEPT = "image/*,.tif,.tiff,.avif,.jp2"


class Studio(parts.Panel):
    """Choose a painting and see the photo in its manner at once; have it painted with care; take it home.

    `photo` and `painting` are whatever `images.load` takes; without a painting the visitor chooses the first. `size` is the
    long side of the pictures in pixels, `more_size` that of the larger ones, `steps` and `seed` are those of the optimising
    `system`. What is going on is kept by `session`, a Session. Nothing of a visitor's is written to a disk. What goes wrong
    is said on the panel in one sentence. Raises NstlabError for a studio that cannot be opened.
    """

    def __init__(self, photo="astronaut", painting=None, *, system="preserve", size=512, more_size=MORE, steps=150, seed=0):
        self._drawing, self._drawn, self._closed = threading.RLock(), {}, False
        self.session = Session(photo, system=system, size=size, more_size=more_size, steps=steps, seed=seed, tell=self._show)
        self._make_pictures()
        self._make_controls()
        self.take = TakeHome()
        super().__init__([widgets.HTML(LOOK), widgets.HTML(title(words.TITLE, words.LEAD)), *self._lay_out()])
        self.add_class(CSS)
        self._connect()
        self._show()
        if painting is not None:
            self.session.choose_painting(self.session.paintings.find(painting).key)
        threading.Thread(target=self._get_ready, daemon=True, name="nstlab-ahead").start()
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
            if painting:
                self.session.choose_painting(self.session.paintings.find(painting).key)
            self.session.wait()
            if refine:
                self.session.paint()
                self.session.wait()
            if self.session.error:
                raise self.session.error
        return self

    def close_visit(self) -> None:
        """End the visit: stop what is under way, and say so where the controls were."""
        self.session.close()
        with self._drawing:
            self._closed = True
            said = words.ENDED.format(minutes=max(1, round(desk.idle_limit() / 60)))
            self.children = [self.children[0], widgets.HTML(f'<p class="{CSS}-ended" role="alert">{html.escape(said)}</p>')]

    # What there is

    def _make_pictures(self) -> None:
        self.swipe = Swipe(tags=(words.BEFORE, words.AFTER), long_side=ON_SCREEN).add_class(f"{CSS}-picture")
        self.brush = Brush(size=48, long_side=ON_SCREEN).add_class(f"{CSS}-brush")
        self.paintings = Thumbnails(label=words.PAINTINGS).add_class(f"{CSS}-paintings")
        self.photos = Thumbnails(label=words.PHOTOS).add_class(f"{CSS}-photos")
        self.strip = Thumbnails(label=words.STRIP).add_class(f"{CSS}-strip")
        limit = {"limit_mb": MOST_BYTES / 1e6, "accept": ACCEPT}
        self.add_painting = DropZone(words.UPLOAD_PAINTING, **limit).add_class(f"{CSS}-add-painting")
        self.add_photo = DropZone(words.UPLOAD_PHOTO, **limit).add_class(f"{CSS}-add-photo")

    def _make_controls(self) -> None:
        act = lambda method: lambda: self._try(method)
        self.paint_button = _button(words.PAINT, "paint", act(self.session.paint))
        self.paint_button.tooltip = words.PAINT_TIP.format(size=self.session.size)
        self.more_button = _button(words.MORE, "more", act(self.session.more))
        self.more_button.tooltip = words.MORE_TIP.format(size=self.session.more_size)
        self.stop_button = _button(words.STOP, "stop", self.session.stop)
        self.protect = widgets.ToggleButton(description=words.PROTECT).add_class(f"{CSS}-protect")
        self.forget_button = _button(words.FORGET, "forget", lambda: self._try(self._forget))
        self.status = parts.label(f"{CSS}-status")
        self.finer = widgets.ToggleButton(description=words.FINER).add_class(f"{CSS}-finer-button")
        offered = [(registry.load(name).label, name) for name in orders.offered()]
        self.system = widgets.Dropdown(options=offered, value=self.session.system, description=words.SYSTEM)
        self.strength = widgets.FloatLogSlider(1, min=-1, max=1, step=0.1, description=words.STRENGTH, readout_format=".1f")
        self.strength.tooltip = words.STRENGTH_TIP
        for name, control in (("system", self.system), ("strength", self.strength)):
            control.add_class(f"{CSS}-{name}")
            control.layout, control.style.description_width = widgets.Layout(width="auto", max_width="100%"), "80px"
        self.more_choices = widgets.VBox([self.system, self.strength]).add_class(f"{CSS}-finer")

    def _lay_out(self) -> list[widgets.Widget]:
        """The picture and what is done to it; beside it, or below where it is narrow, the paintings; then photos, and what was
        made."""
        heading = lambda text: widgets.HTML(f"<h2>{text}</h2>")
        row = lambda *children: widgets.Box(children).add_class(f"{CSS}-actions")
        actions = row(self.paint_button, self.more_button, self.stop_button, self.protect, self.forget_button, self.finer)
        stage = widgets.VBox([self.swipe, self.brush, self.status, actions, self.more_choices]).add_class(f"{CSS}-stage")
        stage.layout.grid_gap = "8px"
        side = widgets.VBox([heading(words.PAINTINGS), self.paintings, self.add_painting]).add_class(f"{CSS}-side")
        photos = widgets.Box([self.photos, self.add_photo]).add_class(f"{CSS}-below")
        hall = widgets.Box([stage, side]).add_class(f"{CSS}-hall")
        made = [heading(words.STRIP), self.strip, self.take]
        return [hall, heading(words.PHOTOS), photos, *made]

    def _connect(self) -> None:
        self._on(self.paintings, self.session.choose_painting, lambda: self.session.painting)
        self._on(self.photos, self.session.choose_photo, lambda: self.session.photo)
        self.strip.observe(lambda change: self._bring_back(change.new), names="chosen")
        self.add_painting.on_files(lambda files: self._upload("painting", files))
        self.add_photo.on_files(lambda files: self._upload("photo", files))
        self.protect.observe(lambda _: self._try(self._open_brush), names="value")
        self.finer.observe(lambda _: self._show(), names="value")
        self.brush.observe(lambda change: self._try(lambda: self._correct(change.new)), names="mask")
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
        self._show()

    def _upload(self, kind: str, files: list[tuple[str, bytes]]) -> None:
        """What is wrong with a file is said by the drop zone, to which it is raised."""
        try:
            self.session.upload(kind, files)
            self.protect.value = False
        finally:
            self._show()

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
            guide = self.session.protected().resized(tuple(self._seen().shape[-2:]))
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

    def _seen(self):
        """The photo as large as it is sent to be looked at."""
        image = self.session.image
        return images.resize(image, SHOWN) if max(image.shape[-2:]) > SHOWN else image

    # What is shown

    def _show(self) -> None:
        """Draw the state of the session; called on any thread."""
        with self._drawing:
            if self._closed:
                return
            session = self.session
            self._show_pictures(session)
            self._show_grids(session)
            self._show_controls(session)
            self.take.show(session.shown if not session.busy else None)
            self.status.value = self._status(session)  # last: when it can be read, the rest is as it says

    def _show_pictures(self, session: Session) -> None:
        self._draw("photo", session.image, lambda: self._put_photo(session))
        after = session.live if session.live is not None else session.shown.result.image if session.shown else None
        self._draw("after", after, lambda: self._put_after(after, session))
        self.swipe.layout.display = "none" if self.protect.value else ""
        self.brush.layout.display = "" if self.protect.value else "none"

    def _put_photo(self, session: Session) -> None:
        self.swipe.before = takeaway.small_jpeg(session.image, SHOWN, 90)
        self.brush.alt = words.ALT_MASK.format(photo=session.photo.title)

    def _put_after(self, after, session: Session) -> None:
        self.swipe.after = b"" if after is None else takeaway.small_jpeg(after, SHOWN, 90)
        painting = described(session.painting) if session.painting else ""
        alt = words.ALT_AFTER.format(photo=session.photo.title, painting=painting) if after is not None else ""
        self.swipe.alt = (words.ALT_PHOTO.format(photo=session.photo.title), alt)

    def _draw(self, name: str, what, draw) -> None:
        """Draw something unless it was the last thing drawn there."""
        if name not in self._drawn or self._drawn[name] is not what:
            self._drawn[name] = what
            draw()

    def _show_grids(self, session: Session) -> None:
        for grid, shelf, chosen in (
            (self.paintings, session.paintings, session.painting),
            (self.photos, session.photos, session.photo),
        ):
            sources = shelf.sources()
            names = [source.key for source in sources]
            if [item["name"] for item in grid.items] != names:
                grid.items = [_item(source) for source in sources]
            _set(grid, chosen=chosen.key if chosen and chosen.key in names else "")
        made = list(reversed(session.made.items()))
        if [item["name"] for item in self.strip.items] != [str(number) for number, _ in made]:
            self.strip.items = [self._made_item(number, each) for number, each in made]
        _set(self.strip, chosen=next((str(number) for number, each in made if each is session.shown), ""))

    def _made_item(self, number: int, made) -> dict:
        size = words.QUICK_TITLE if made.quick else words.PAINTED_TITLE.format(size=made.size)
        return {"name": str(number), "picture": made.thumb(), "alt": f"{made.name}, {size}", "title": size}

    def _show_controls(self, session: Session) -> None:
        busy, keeps = session.busy, registry.load(session.system).takes("guide")
        painted = session.shown is not None and not session.shown.quick
        _set(self.paint_button, disabled=busy or session.painting is None)
        _set(self.paint_button, description=words.AGAIN if painted else words.PAINT)
        _set(self.more_button, disabled=not session.can_do_more)
        _set(self.stop_button, disabled=not busy)
        _set(self.protect, description=words.UNPROTECT if self.protect.value else words.PROTECT)
        for control, there in (
            (self.protect, keeps),
            (self.forget_button, self.protect.value and session.guide is not None),
            (self.stop_button, busy),
            (self.more_button, not busy and painted),
            (self.more_choices, self.finer.value),
            (self.strength, orders.has_strength(session.system)),
        ):
            control.layout.display = "" if there else "none"
        for control in (self.system, self.strength, self.protect):
            _set(control, disabled=busy)

    def _status(self, session: Session) -> str:
        if session.said:
            return status(html.escape(session.said), wrong=True)
        if self.protect.value:
            return status(words.KEPT)
        left = parts.left(session.left) if session.left is not None else ""
        if session.runner.stopping:
            return status(words.STOPPING)
        if session.waiting is not None and session.busy:
            place = session.waiting
            return status(words.WAITING.format(place=place.number, left=parts.left(place.seconds)))
        if session.busy:
            said = words.PAINTING.format(left=f": {left}" if left else "") if session.live is not None else words.READY
            return status(said, share=session.share)
        if session.looking:
            return status(words.LOOKING)
        if session.shown is None:
            return status(words.HELLO)
        made = session.shown
        said = words.LOOKED if made.quick else words.STOPPED if made.stopped else words.DONE
        return status(said.format(size=made.size, seconds=_spell(made.seconds)))

    # In the background

    def _get_ready(self) -> None:
        """Load the networks, and see what matters in the photo, before anybody asks for it."""
        first = self.session.paintings.sources()[0]
        try:
            if not headless():
                orders.warm(self.session.photo, first, self.session.size)
        except Exception as error:  # the visitor will be told when the same thing is asked for
            self._ahead = error

    def _watch(self) -> None:
        """End the visit when nothing has happened for too long."""
        while self.session.idle() < desk.idle_limit():
            time.sleep(min(5.0, desk.idle_limit() / 10))
        self.close_visit()
        desk.end_session()


def _button(text: str, name: str, act) -> widgets.Button:
    made = widgets.Button(description=text).add_class(f"{CSS}-{name}")
    made.on_click(lambda _: act())
    return made


def _item(source) -> dict:
    return {"name": source.key, "picture": source.thumb(), "alt": described(source), "title": source.title}


def _set(widget, **values) -> None:
    """Change what is not as it should be, so that nothing is sent twice."""
    for name, value in values.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)


def _spell(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
