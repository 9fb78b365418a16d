"""The studio: an app for those who never saw Python. A photo, paintings, a system; watch it come; take it home."""

import html
import threading
import time
import warnings
from pathlib import Path

import ipywidgets as widgets

from nstlab import images, plots, samples
from nstlab.errors import DivergedError, NstlabError, SettingError, check_count, choose
from nstlab.experiments.results import headless
from nstlab.panels import orders, parts
from nstlab.panels.chooser import PictureChooser
from nstlab.panels.painter import MapPainter
from nstlab.panels.runner import Runner
from nstlab.panels.swipe import Swipe
from nstlab.systems import Result, plan, registry

CSS = "nst-studio"
SIZES = (96, 128, 192, 256, 384, 512, 768, 1024)
INTERVAL = 0.5  # seconds between two drawings, at least
SHOWN = 640  # long side in pixels of what is shown while it is painted
THUMB = 84  # pixels that a painting is high
SOME = 3  # paintings at most
LOOK = f"""<style>
.{CSS} {{ font-size: 15px }} .{CSS} h3 {{ margin: 10px 0 2px; font-size: 17px }}
.{CSS} .widget-button, .{CSS} .widget-toggle-button {{ font-size: 15px; height: 34px }}
.{CSS}-save a {{ font-size: 17px; font-weight: bold; color: {plots.COLORS[0]}; text-decoration: underline; margin-right: 16px }}
.{CSS}-save a.{CSS}-download-map {{ font-size: 15px; font-weight: normal }}
.{CSS}-save pre {{ font-size: 12px; line-height: 1.3; white-space: pre-wrap }}
</style>"""


class Studio(parts.Panel):
    """Choose a photo and one to three paintings, or upload them; choose a system, mark what to protect, and paint.

    `photo` and `paintings` are whatever the choosers take: sample names or paths. `system` is one of those that paint here
    (see orders.offered), `size` the long side in pixels, `steps` and `seed` those of an optimising system. The picture comes
    live, can be paused and stopped, is compared with the photo by a slider, and is saved by a link that holds the PNG file
    with its settings: nothing of a visitor's is left on the machine. What goes wrong is said on the panel in one sentence.
    Raises NstlabError for a studio that cannot be opened.
    """

    def __init__(self, photo="astronaut", paintings=("starry-night",), *, system="gatys", size=256, steps=75, seed=0):
        paintings = [paintings] if isinstance(paintings, (str, Path)) else list(paintings)
        if not 1 <= len(paintings) <= SOME:
            raise SettingError(f"{len(paintings)} paintings: name one to {SOME}")
        self._image = images.load(photo)
        sizes = sorted({*SIZES, check_count("size", size, least=16)})
        self._offered = orders.offered()
        choose("system here", system, self._offered)
        self._steps, self._seed, self._drawing = check_count("steps", steps), seed, threading.RLock()
        self.result: Result | None = None
        self._run, self._wish, self._link, self._share, self._left = None, {}, "", 0.0, ""
        self.runner = Runner(list)

        self.photo = PictureChooser(f"{CSS}-photo", self._take_photo, "photo", names=samples.names("photo"))
        names = ("painting", "second", "third")
        self.paintings = [self._painting_chooser(number, name) for number, name in enumerate(names, 1)]
        self.thumbs = [parts.view(f"{CSS}-painting-{number}-view") for number in range(1, SOME + 1)]
        for thumb in self.thumbs:
            thumb.format = "jpeg"
        self.system = widgets.Dropdown(
            options=[(registry.load(name).label, name) for name in self._offered], description="system"
        )
        self.size = widgets.SelectionSlider(options=sizes, value=size, description="size")
        self.size.tooltip = "Long side of the picture in pixels; twice the size takes about four times as long"
        self.strength = widgets.FloatLogSlider(1, min=-1, max=1, step=0.1, description="strength", readout_format=".1f")
        self.strength.tooltip = "How much of the painting: 1 is usual"
        self.protect = widgets.ToggleButton(description="Paint what to protect", icon="paint-brush")
        self.protect.layout = widgets.Layout(width="auto", align_self="flex-start")
        self.hint = parts.label(f"{CSS}-hint")
        self.paint_button = parts.button("Paint", "play", f"{CSS}-paint", self.paint)
        self.paint_button.button_style = "primary"
        self.pause_button = parts.button("Pause", "pause", f"{CSS}-pause", self.pause)
        self.stop_button = parts.button("Stop", "stop", f"{CSS}-stop", lambda: (self.runner.stop(), self._refresh(self.runner)))
        self.label, self.save = parts.label(f"{CSS}-label"), parts.label(f"{CSS}-save")
        self.bar = widgets.FloatProgress(max=1.0, layout=widgets.Layout(width="100%", margin="0")).add_class(f"{CSS}-bar")
        self.bar.style.bar_color = plots.COLORS[0]
        self.swipe = Swipe(CSS, SHOWN)
        for name in ("system", "size", "strength", "protect"):
            getattr(self, name).add_class(f"{CSS}-{name}")
        for control in (self.system, self.size, self.strength):
            control.layout, control.style.description_width = widgets.Layout(width="350px", max_width="98%"), "70px"

        self.swipe.show(self._image)
        self.photo.show(photo)
        for chooser, source in zip(self.paintings, [*paintings, None, None][:SOME], strict=True):
            self._take_painting(chooser, source)
            chooser.show(source)
        self.painter = MapPainter(self._image, size=600)
        self.painter.chooser.layout.display = "none"
        self.system.value = system
        super().__init__([widgets.HTML(LOOK), self._lay_out()])
        self.add_class(CSS)
        self.system.observe(lambda _: self._suit(), names="value")
        self.protect.observe(lambda _: self._suit(), names="value")
        self._suit()
        self._refresh(self.runner)

    def paint(self) -> None:
        """Begin to paint what the controls say, in a thread; go on if paused."""
        if self.runner.state == "paused":
            self.runner.resume()
        elif self.runner.state != "running":
            self.runner.end()  # the thread of the run before may still be drawing
            self.protect.value = False
            self._wish = self._options()
            self._run, self.result, self._link, self._share, self._left = None, None, "", 0.0, ""
            self._began = time.monotonic()
            self.swipe.show(self._image)
            self.runner = Runner(self._paint, self._refresh, interval=INTERVAL).start()
            self._refresh(self.runner)

    def pause(self) -> None:
        """Hold after the step it is in, or go on."""
        self.runner.resume() if self.runner.state == "paused" else self.runner.pause()

    def stop(self) -> None:
        """End the painting, if there is one, and return once its thread has ended; the picture so far stays."""
        self.runner.end()

    def autorun(self) -> "Studio":
        """Paint to the end here if headless; else return at once, for the buttons are there."""
        if headless():
            self.paint()
            self.runner.wait()
        return self

    def _lay_out(self) -> widgets.Box:
        """The controls in the order of their use, and beside them, or below where it is narrow, what there is to see."""

        def row(children, **more):
            return widgets.Box(children, layout=parts.wrapping(overflow="visible", **more))

        title = lambda text: widgets.HTML(f"<h3>{text}</h3>")
        buttons = row([self.paint_button, self.pause_button, self.stop_button])
        how = [self.system, self.size, self.strength, self.protect, self.hint]
        controls = [title("1 · Your photo"), self.photo, title("2 · Paintings"), *self.paintings]
        controls += [row(self.thumbs, margin="6px 0 0"), title("3 · How"), *how]
        controls += [title("4 · Paint"), buttons, self.label, self.bar, self.save]
        left = widgets.VBox(controls, layout=widgets.Layout(flex="1 1 380px", min_width="0", max_width="560px"))
        right = widgets.VBox([self.swipe, self.painter], layout=widgets.Layout(flex="3 1 420px", min_width="0"))
        return widgets.Box([left, right], layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 32px", width="100%"))

    def _painting_chooser(self, number: int, name: str) -> PictureChooser:
        options = {"names": samples.names("painting"), "optional": number > 1}
        chooser = PictureChooser(f"{CSS}-painting-{number}", lambda s: self._take_painting(chooser, s), name, **options)
        return chooser

    def _take_photo(self, source) -> None:
        self._image = images.load(source)
        self.swipe.show(self._image)
        self.painter.look(self._image)
        self._suit()

    def _take_painting(self, chooser: PictureChooser, source) -> None:
        thumb, learned = self.thumbs[self.paintings.index(chooser)], self._offered.get(self.system.value)
        image = None  # of "none", and of a painting that was learned and is not here
        if source is not None and (learned is None or _there(source, None)):
            image = images.load(source)
            thumb.value = parts.jpeg(images.resize(image, (THUMB, max(1, round(THUMB * image.shape[-1] / image.shape[-2])))))
        thumb.layout.display = "none" if image is None else ""

    def _suit(self) -> None:
        """Let the controls suit the system that is chosen."""
        learned, system = self._offered[self.system.value], self.system.value
        for chooser in self.paintings:
            names = samples.names("painting") if learned is None else learned
            chooser.offer(names, own=learned is None)
            if not _there(chooser.source, learned):
                taken = [other.name for other in self.paintings]
                free = next((name for name in names if name not in taken), names[0])
                chooser.show(free if chooser is self.paintings[0] else None)
                self._take_painting(chooser, chooser.source)
        self.strength.layout.display = "" if orders.strength(system, 1.0) else "none"
        keeps = registry.load(system).takes("guide")
        self.protect.layout.display = self.hint.layout.display = "" if keeps else "none"
        painting = keeps and self.protect.value
        self.protect.description = "Back to the picture" if painting else "Paint what to protect"
        self.painter.layout.display = "" if painting else "none"
        self.swipe.layout.display = "none" if painting else ""
        marked = 100 * self.painter.guide.map.mean().item()
        said = f"{marked:.0f} % of the photo is marked to be kept."
        if not self._marked():
            rest = "what stands out is kept" if orders.finds_what_matters(system) else "all is painted alike"
            said = f"Nothing is marked: {rest}."
        self.hint.value = "Mark it in the photo, then go back." if painting else said

    def _marked(self) -> bool:
        return not self.painter.guide.uniform

    def _options(self) -> dict:
        """What `plan` is asked for, as the controls stand now."""
        system = self.system.value
        styles = [chooser for chooser in self.paintings if chooser.source is not None]
        wish = {"content": self.photo.source, "styles": [c.source for c in styles], "system": system, "size": self.size.value}
        if registry.load(system).takes("steps"):
            wish |= {"steps": self._steps, "seed": self._seed}
        wish |= orders.strength(system, self.strength.value)
        if registry.load(system).takes("guide") and self._marked():
            wish["guide"] = self.painter.guide
        self._names = self.photo.name, [chooser.name for chooser in styles]
        return wish

    def _paint(self):
        """The run's steps; it is made ready here, as that may take seconds."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            run = plan(**self._wish)
        run.notes += [str(warning.message) for warning in said if warning.category is UserWarning]
        run.settings |= {"content": self._names[0], "styles": self._names[1]}
        self._run = run
        work = sum(steps * height * width for (height, width), steps in run.schedule)
        done, spent, began = 0, 0.0, time.monotonic()
        for step in run:
            spent += time.monotonic() - began
            done += step.image.shape[-2] * step.image.shape[-1] if step.index else 0
            self._share = min(1.0, done / work)
            self._left = parts.left(spent * (work - done) / done) if done and step.index > 2 else ""
            yield step
            began = time.monotonic()

    def _refresh(self, runner: Runner) -> None:
        """Draw the state of the run; called from its thread now and then, and at every press of a button."""
        with self._drawing:
            if runner is not self.runner:
                return
            began, run, ended = time.monotonic(), self._run, runner.state in ("done", "stopped", "failed")
            if run is not None and run.last is not None:
                if ended or runner.state == "paused":
                    self.result = run.result()
                    self._hand_over()
                self.swipe.update(run.result().image)
            elif isinstance(runner.error, DivergedError):
                self.swipe.update(runner.error.image)
            self._say(runner)
            runner.interval = max(INTERVAL, 5 * (time.monotonic() - began))  # most of the time is for the run

    def _hand_over(self) -> None:
        """Put the picture as it stands into the link."""
        height, width = self.result.image.shape[-2:]
        name, text = orders.file_name(self._names[0], self._names[1]), f"Save the picture ({width} x {height})"
        self._link = orders.link(orders.picture_bytes(self.result), name, text, f"{CSS}-download")
        if "guide" in self._wish:
            data = orders.guide_bytes(self._wish["guide"])
            self._link += orders.link(data, "protected.png", "Save what is protected", f"{CSS}-download-map")
        self._link += orders.details(self.result)

    def _say(self, runner: Runner) -> None:
        state, run = runner.state, self._run
        busy = state in ("running", "paused")
        at = f"step {run.history[-1]['index']} of {run.steps}" if run is not None and run.history else "getting ready ..."
        words = {"idle": "Press Paint, and watch it come.", "running": f"painting: {at}", "paused": f"paused: {at}"}
        words |= {"stopped": f"stopped: {at}", "done": "done; move the slider to compare", "failed": ""}
        text = html.escape(words[state] + (f", {self._left}" if state == "running" and self._left else ""))
        if runner.stopping:
            text = "stopping after the step it is in"
        if state == "failed":
            text = parts.red(runner.error if isinstance(runner.error, NstlabError) else _sorry(runner.error))
        self.save.value = self._link
        self.bar.value = 1.0 if state == "done" else self._share
        self.paint_button.disabled, self.paint_button.description = busy, "Paint" if state == "idle" else "Paint again"
        self.pause_button.disabled = self.stop_button.disabled = not busy or runner.stopping
        self.pause_button.description = "Go on" if state == "paused" else "Pause"
        self.pause_button.icon = "play" if state == "paused" else "pause"
        for control in (self.system, self.size, self.strength, self.protect):
            control.disabled = busy
        for chooser in (self.photo, *self.paintings):
            chooser.enable(not busy)
        self.label.value = f"<b>{text}</b>"  # last: when it can be read, the buttons are as it says


def _there(source, learned: list[str] | None) -> bool:
    """Whether a system that has learned these paintings, or takes any, can paint with this one."""
    if source is None or learned is not None:
        return source is None or (isinstance(source, str) and source in learned)
    try:
        return not isinstance(source, (str, Path)) or bool(images.locate(source))
    except NstlabError:
        return False


def _sorry(error: Exception) -> str:
    """One sentence about what nobody foresaw; memory that ran out has a remedy."""
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "there is not enough memory for this picture: choose a smaller size"
    return f"this did not work ({type(error).__name__}): try other pictures or another size"
