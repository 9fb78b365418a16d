"""The training panel: start a training, watch it, steer it, pause it, stop it, go on another day."""

import contextlib
import html
import threading
import time
from collections.abc import Callable

import ipywidgets as widgets

from nstlab import plots
from nstlab.experiments.results import headless
from nstlab.panels import parts
from nstlab.panels.curves import loss_curves
from nstlab.panels.runner import Runner
from nstlab.panels.views import Gallery, LiveViews
from nstlab.panels.weights import WeightSliders
from nstlab.training.loop import Training

INTERVAL = 0.5  # seconds between two drawings, at least
REPAINT = 5.0  # seconds between two paintings of the gallery, at least
SMOOTH = 5  # steps that a point of a curve is the mean of
CSS = "nst-training"


class TrainingPanel(parts.Panel):
    """A training with its buttons, a slider a loss weight, its pictures, its curves, and a gallery of photos.

    `make` is a Training (see nstlab.systems.train) or a function that makes one; only with a function is there a Reset.
    A slider multiplies a weight by 0.01 to 100, its left end is off; a change acts from the next step on and draws a grey
    line into the curves. Stop ends the run with a checkpoint if the training has a folder; with one that resumes from it,
    a new panel stands where this one stopped. `gallery` are photos for the averaged network to paint now and then, best
    such as it does not learn from; None takes samples. What goes wrong in a run is said on the panel. Raises NstlabError
    for a training that cannot be made.
    """

    def __init__(self, make: Training | Callable[[], Training], gallery=None):
        self._make = make if callable(make) else None
        self.training = make() if callable(make) else make
        self._changes: list[int] = []  # the steps after which a weight changed
        self._drawing = threading.Lock()  # the run's thread and the kernel's both draw
        self._pressing = threading.RLock()  # one press at a time
        self.runner = Runner(self._steps, self._refresh, interval=INTERVAL)

        self.start_button = parts.button("Start", "play", f"{CSS}-start", self.start)
        self.pause_button = parts.button("Pause", "pause", f"{CSS}-pause", self.pause)
        self.stop_button = parts.button("Stop", "stop", f"{CSS}-stop", self._ask_to_stop)
        self.save_button = parts.button("Save", "save", f"{CSS}-save", self.save)
        self.reset_button = parts.button("Reset", "refresh", f"{CSS}-reset", self.reset)
        self.reset_button.tooltip = "Make the training anew; the weights stay as they are"
        self.reset_button.disabled = self._make is None
        self.label = parts.label(f"{CSS}-label")
        self.bar = widgets.IntProgress(layout=widgets.Layout(width="100%", margin="0")).add_class(f"{CSS}-bar")
        self.bar.style.bar_color = plots.COLORS[0]
        asked, now = self.training.settings, dict(self.training.task.weights)
        dials = WeightSliders({name: asked.get(f"weight {name}", now[name]) for name in now}, CSS, self._weigh, now)
        self.weights, self.sliders, self.readouts = dials.weights, dials.sliders, dials.readouts
        self.views = LiveViews(CSS)
        self.curves = parts.view(f"{CSS}-curves", alt="The losses over the steps, one curve for each")
        self.gallery = parts.view(f"{CSS}-gallery", alt="Photos, and below them as the averaged network paints them")
        self._gallery = Gallery(gallery, str(asked.get("content", "")))

        wrap = parts.wrapping()
        buttons = [self.start_button, self.pause_button, self.stop_button, self.save_button, self.reset_button]
        slow = widgets.Box([self.curves, self.gallery], layout=wrap)
        super().__init__([widgets.Box(buttons, layout=wrap), self.label, self.bar, dials, self.views, slow])
        self._begin()

    def start(self) -> None:
        """Begin, or go on: after a pause, a stop, or what made it fail."""
        with self._pressing:
            if self.runner.state == "paused":
                self.runner.resume()
            elif self.runner.state != "running" and not self._finished:
                self.runner.end()  # the thread of the run before may still be drawing
                self._note, self._seconds = "", []
                self.runner.start()
                self._refresh(self.runner)

    def pause(self) -> None:
        """Hold after the step it is in, or go on."""
        with self._pressing:
            if self.runner.state == "paused":
                self.runner.resume()
                return
            self.runner.pause()
            if self._asked:
                self.save()

    def stop(self) -> None:
        """End the run, if there is one, and return once its thread has ended; there is a checkpoint if it has a folder."""
        self.runner.end()

    def save(self) -> None:
        """Write the checkpoint: at once, or after the step that is under way."""
        with self._pressing:
            if self.runner.state == "running":
                self._asked, self._note = True, "saving after this step"
            else:
                self._save()
        self._refresh(self.runner)

    def reset(self) -> None:
        """Make the training anew: from its first step, or from its checkpoint if it resumes. The weights stay as they are."""
        with self._pressing:
            self.stop()
            try:
                self.training = self._make()
            except Exception as error:  # said on the panel, as no cell is there to show it
                self._note = parts.red(error)
                self._say(self.runner)
                return
            self.runner = Runner(self._steps, self._refresh, interval=INTERVAL)
            self._changes = []
            self._weigh()
            self._begin()

    def autorun(self) -> "TrainingPanel":
        """Run to the end here if headless; else return at once, for the buttons are there."""
        if headless() and not self._finished:
            self.runner.start().wait()
        return self

    @property
    def _finished(self) -> bool:
        return self.training.done >= self.training.steps

    def _begin(self) -> None:
        """Show a training that was just made; it may come from a checkpoint, and then there is something to see."""
        self._views: dict = {}
        self._seconds: list[float] = []  # that each step of this run took
        self._asked, self._painting, self._repaint, self._shown = False, None, 0.0, None
        self._note = "<br>".join(html.escape(note) for note in self.training.notes)
        self._paint()
        self._refresh(self.runner)

    def _ask_to_stop(self) -> None:
        self.runner.stop()
        self._refresh(self.runner)

    def _steps(self):
        """The training's steps. Between two of them weights change, what was asked for is saved, and the gallery is painted."""
        self._weigh(now=True)
        with contextlib.closing(iter(self.training)) as steps:
            began = time.monotonic()
            for step in steps:
                self._views = dict(self.training.task.views)
                if time.monotonic() > self._repaint or self._finished:
                    self._paint()
                if self._asked:
                    self._save()
                self._seconds = [*self._seconds[-19:], time.monotonic() - began]
                yield step
                began = time.monotonic()
                self._weigh(now=True)

    def _weigh(self, now: bool = False) -> None:
        """Hand the weights of the sliders to the training, if it is not at work or is between two steps (`now`)."""
        wanted, training = self.weights(), self.training
        if (now or not self.runner.alive) and wanted != training.task.weights:
            training.task.weights.update(wanted)
            self._changes += [training.done] if training.done and training.done not in self._changes else []

    def _paint(self) -> None:
        """Let the averaged network paint the gallery; not while a step is under way."""
        began, task = time.monotonic(), self.training.task
        with self._saying("the gallery cannot be painted"):
            self._painting = self._gallery.paint(task.ema.module, task.info["styles"], self.training.done)
        ended = time.monotonic()
        self._repaint = ended + max(REPAINT, 20 * (ended - began))

    def _save(self) -> None:
        self._asked = False
        with self._saying("not saved"):
            self.training.save()
            self._note = f"saved at step {self.training.done} in {html.escape(str(self.training.folder))}"

    @contextlib.contextmanager
    def _saying(self, what: str):
        """What goes wrong in here is said on the panel and ends nothing: hours of training are worth more than a picture."""
        try:
            yield
        except Exception as error:
            self._note = f"{what}: {parts.red(error)}"

    def _refresh(self, runner: Runner) -> None:
        """Draw the state of the run; called from its thread now and then, and at every press of a button."""
        with self._drawing:
            if runner is not self.runner:
                return
            began, note = time.monotonic(), self._note
            self._say(runner)
            with self._saying("it cannot be drawn"):
                shown = self.training.done, len(self._changes)
                if shown != self._shown:
                    self.views.put(self._views)
                    parts.put(self.curves, self._curves())
                    self._shown = shown
                if self._painting is not None:
                    parts.put(self.gallery, self._painting)
            if self._note != note:
                self._say(runner)
            runner.interval = max(INTERVAL, 5 * (time.monotonic() - began))  # most of the time is for the training

    def _curves(self) -> plots.Picture:
        history, changes = list(self.training.history), list(self._changes)
        return loss_curves(history, self.sliders, changes, smooth=SMOOTH, width=4.2)

    def _say(self, runner: Runner) -> None:
        state, training = runner.state, self.training
        at, busy = f"step {training.done} of {training.steps}", state in ("running", "paused")
        text, where = f"{state}, {at}", html.escape(str(training.folder or ""))
        if runner.stopping:
            text = f"stopping after the step it is in, {at}"
        elif busy and self._seconds:
            each = sum(self._seconds) / len(self._seconds)
            text += f", {_number(each)} s a step, {parts.left(each * (training.steps - training.done))}"
        elif state == "failed":
            text += f": {parts.red(runner.error)}"
        elif not busy:
            text = f"done, {at}" if self._finished else text
            text += f", saved in {where}" if where and state != "idle" else ""
            text += "" if self._finished else ": Start goes on"
        if state == "idle" and not self._finished:
            resumed = f"{at}, from the checkpoint in {where}: press Start to go on"
            text = resumed if training.done else f"press Start: {training.steps} steps"
        self.bar.max, self.bar.value = training.steps, training.done
        self.start_button.disabled = busy or self._finished
        self.pause_button.disabled = self.stop_button.disabled = not busy or runner.stopping
        self.save_button.disabled = training.folder is None
        self.pause_button.description = "Go on" if state == "paused" else "Pause"
        self.pause_button.icon = "play" if state == "paused" else "pause"
        # last: when it can be read, the buttons are as it says
        self.label.value = f"<b>{text}</b>" + (f"<br>{self._note}" if self._note else "")


def _number(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"
