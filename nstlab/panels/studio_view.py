"""What there is to see and to press in the studio, and how it follows the state of a session."""

import html
import threading

import ipywidgets as widgets

from nstlab import images
from nstlab.panels import orders, parts, takeaway
from nstlab.panels import studio_words as words
from nstlab.panels.kit import Brush, DropZone, Slider, Swipe, Thumbnails
from nstlab.panels.pictures import MOST_BYTES, described
from nstlab.panels.session import Session
from nstlab.panels.studio_look import CSS, LOOK, fit, status
from nstlab.panels.studio_take import TakeHome
from nstlab.systems import registry

SHOWN = 1024  # long side in pixels of what is sent to be looked at
ON_SCREEN = 1100  # pixels that it takes there at most
ACCEPT = "image/*,.tif,.tiff,.avif,.jp2"


class StudioView(parts.Panel):
    """The controls of the studio for a session; `show` draws its state. What the controls do is the Studio's."""

    def __init__(self, session: Session):
        self.session, self._drawing, self._drawn, self.closed = session, threading.RLock(), {}, False
        self._make_pictures()
        self._make_controls()
        self.take = TakeHome()
        super().__init__([widgets.HTML(LOOK), self.fit, *self._lay_out()])
        self.add_class(CSS)

    def close_view(self) -> None:
        """Say where the controls were that the visit has ended."""
        with self._drawing:
            self.closed = True
            said = f'<p class="{CSS}-ended" role="alert">{html.escape(words.ENDED)}</p>'
            self.children = [self.children[0], widgets.HTML(said)]

    def _make_pictures(self) -> None:
        self.swipe = Swipe(tags=(words.BEFORE, words.AFTER), long_side=ON_SCREEN).add_class(f"{CSS}-picture")
        self.fit = widgets.HTML(layout=widgets.Layout(display="none"))
        self.brush = Brush(size=48, long_side=ON_SCREEN).add_class(f"{CSS}-brush")
        self.paintings = Thumbnails(label=words.PAINTINGS).add_class(f"{CSS}-paintings")
        self.photos = Thumbnails(label=words.PHOTOS).add_class(f"{CSS}-photos")
        self.strip = Thumbnails(label=words.STRIP, words={"label": words.STRIP, "empty": words.EMPTY}).add_class(f"{CSS}-strip")
        limit = {"limit_mb": MOST_BYTES / 1e6, "accept": ACCEPT}
        self.add_painting = DropZone(words.UPLOAD_PAINTING, **limit).add_class(f"{CSS}-add-painting")
        self.add_photo = DropZone(words.UPLOAD_PHOTO, **limit).add_class(f"{CSS}-add-photo")

    def _make_controls(self) -> None:
        self.paint_button = _button(words.PAINT, "paint")
        self.paint_button.tooltip = words.PAINT_TIP.format(size=self.session.size)
        self.more_button = _button(words.MORE, "more")
        self.more_button.tooltip = words.MORE_TIP.format(size=self.session.more_size)
        self.stop_button = _button(words.STOP, "stop")
        self.protect = widgets.ToggleButton(description=words.PROTECT).add_class(f"{CSS}-protect")
        self.forget_button = _button(words.FORGET, "forget")
        self.status = parts.label(f"{CSS}-status")
        self.finer = widgets.ToggleButton(description=words.FINER).add_class(f"{CSS}-finer-button")
        offered = [(registry.load(name).label, name) for name in orders.offered()]
        self.system = widgets.Dropdown(options=offered, value=self.session.system, description=words.SYSTEM)
        self.system.layout, self.system.style.description_width = widgets.Layout(width="auto", max_width="100%"), "80px"
        self.strength = Slider(1, -1, 1, 0.1, words.STRENGTH, log=True, hint=words.STRENGTH_TIP, label_width=80)
        for name, control in (("system", self.system), ("strength", self.strength)):
            control.add_class(f"{CSS}-{name}")
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

    def seen(self):
        """The photo as large as it is sent to be looked at."""
        image = self.session.image
        return images.resize(image, SHOWN) if max(image.shape[-2:]) > SHOWN else image

    def show(self) -> None:
        """Draw the state of the session; called on any thread."""
        with self._drawing:
            if self.closed:
                return
            session = self.session
            self._show_pictures(session)
            self._show_grids(session)
            self._show_controls(session)
            self.take.show(session.shown if not session.work.busy else None)
            self.status.value = self._status(session)  # last: when it can be read, the rest is as it says

    def _show_pictures(self, session: Session) -> None:
        self._draw("photo", session.image, lambda: self._put_photo(session))
        after = session.work.live if session.work.live is not None else session.shown.result.image if session.shown else None
        self._draw("after", after, lambda: self._put_after(after, session))
        self.swipe.layout.display = "none" if self.protect.value else ""
        self.brush.layout.display = "" if self.protect.value else "none"

    def _put_photo(self, session: Session) -> None:
        self.swipe.before = takeaway.small_jpeg(session.image, SHOWN, 90)
        self.fit.value = fit(session.image.shape[-1] / session.image.shape[-2])
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
        busy, keeps = session.work.busy, registry.load(session.system).takes("guide")
        painted = session.shown is not None and not session.shown.quick
        _set(self.paint_button, disabled=busy or session.painting is None)
        _set(self.paint_button, description=words.AGAIN if painted else words.PAINT)
        _set(self.stop_button, disabled=not busy)
        _set(self.protect, description=words.UNPROTECT if self.protect.value else words.PROTECT)
        for control, there in (
            (self.protect, keeps),
            (self.forget_button, self.protect.value and session.guide is not None),
            (self.stop_button, busy),
            (self.more_button, session.can_do_more),
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
        left = parts.left(session.work.left) if session.work.left is not None else ""
        if session.work.runner.stopping:
            return status(words.STOPPING)
        if session.work.waiting is not None and session.work.busy:
            place = session.work.waiting
            return status(words.WAITING.format(place=place.number, left=parts.left(place.seconds)))
        if session.work.busy:
            said = words.PAINTING.format(left=f": {left}" if left else "") if session.work.live is not None else words.READY
            return status(said, share=session.work.share)
        if session.work.looking:
            return status(words.LOOKING)
        if session.shown is None:
            return status(words.HELLO)
        made = session.shown
        said = words.LOOKED if made.quick else words.STOPPED if made.stopped else words.DONE
        return status(said.format(size=made.size, seconds=_spell(made.seconds)))


def _button(text: str, name: str) -> widgets.Button:
    return widgets.Button(description=text).add_class(f"{CSS}-{name}")


def _item(source) -> dict:
    return {"name": source.key, "picture": source.thumb(), "alt": described(source), "title": source.title}


def _set(widget, **values) -> None:
    """Change what is not as it should be, so that nothing is sent twice."""
    for name, value in values.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)


def _spell(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
