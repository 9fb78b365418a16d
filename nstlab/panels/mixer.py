"""The loss mixer: weights that act on an optimisation while it runs."""

import threading
import time
from collections.abc import Callable

import ipywidgets as widgets

from nstlab import images
from nstlab.errors import SettingError
from nstlab.experiments.results import headless
from nstlab.panels import parts
from nstlab.panels.curves import loss_curves
from nstlab.panels.runner import Runner
from nstlab.panels.swipe import Swipe
from nstlab.panels.weights import WeightSliders
from nstlab.systems import Run

SHOWN = 480  # pixels of a picture's long side on the screen, at most
INTERVAL = 0.5  # seconds between two drawings, at least


class LossMixer(parts.Panel):
    """A run to watch and to steer: one slider a loss, the picture with a line between photo and painted, and the loss curves.

    `run` is a Run (see nstlab.systems.plan) or a function that makes one. A slider multiplies the weight that the run came
    with by 0.01 to 100; its left end is off. A change acts from the next step on and draws a line into the curves.
    """

    def __init__(self, run: Run | Callable[[], Run]):
        self._make = run if callable(run) else lambda: run
        self.run = self._make()
        self._changes: list[int] = []  # the steps at which a weight changed
        self._drawing = threading.Lock()  # the run's thread and the kernel's both draw
        self.runner = Runner(self._steps, self._refresh, interval=INTERVAL)

        self.start_button = parts.button("Start", "play", "nst-mixer-start", self.start)
        self.pause_button = parts.button("Pause", "pause", "nst-mixer-pause", self.pause)
        self.reset_button = parts.button("Reset", "refresh", "nst-mixer-reset", self.reset)
        self.reset_button.tooltip = "Back to the start picture; the weights stay as they are"
        self.label = parts.label("nst-mixer-label")
        dials = WeightSliders(dict(self.run.objective.weights), "nst-mixer", self._weigh)
        self.weights, self.sliders, self.readouts = dials.weights, dials.sliders, dials.readouts
        self.swipe = Swipe("nst-mixer", SHOWN)
        self.curves = parts.view("nst-mixer-curves", alt="The losses over the steps, one curve for each")

        buttons = [self.start_button, self.pause_button, self.reset_button, self.label]
        views = widgets.Box([self.swipe, self.curves], layout=parts.wrapping(margin="6px 0 0"))
        super().__init__([widgets.Box(buttons, layout=parts.wrapping()), dials, views])

        content = getattr(self.run.objective.losses.get("content"), "content", self.run.start)
        self.swipe.show(self._finished(content))
        self._weigh()
        self._refresh(self.runner)

    def start(self) -> None:
        """Begin, or go on if paused; after the end, begin again with the weights as they are now."""
        if self.runner.state == "paused":
            self.runner.resume()
        elif not self.runner.alive:
            self._changes = []
            self.runner.start()
            self._refresh(self.runner)

    def pause(self) -> None:
        """Hold after the step it is in, or go on."""
        if self.runner.state == "paused":
            self.runner.resume()
        else:
            self.runner.pause()

    def reset(self) -> None:
        """Back to the start picture. The weights stay as the sliders say."""
        self.stop()
        try:
            self.run = self._make()
        except Exception as error:  # said on the panel, as no cell is there to show it
            self._say("failed", error)
            return
        self.run.history, self.run.last = [], None
        self.runner = Runner(self._steps, self._refresh, interval=INTERVAL)
        self._changes = []
        self._weigh()
        self._refresh(self.runner)

    def stop(self) -> None:
        """End the run, if there is one, and return once its thread has ended."""
        self.runner.end()

    def autorun(self) -> "LossMixer":
        """Run to the end here if headless; else return at once, for the buttons are there."""
        if headless():
            self.runner.start().wait()
        return self

    def _steps(self):
        """The run's steps. Weights change between two of them only: half-way, a step would compare unlike totals."""
        run = self.run
        run.objective.weights.update(self.weights())
        for step in run:
            yield step
            wanted = self.weights()
            if wanted != run.objective.weights:
                run.objective.weights.update(wanted)
                self._changes.append(step.index)

    def _weigh(self) -> None:
        """Hand the weights of the sliders to the run if it is not at work."""
        if not self.runner.alive:
            self.run.objective.weights.update(self.weights())

    def _refresh(self, runner: Runner) -> None:
        """Draw the state of the run; called from its thread now and then, and at every press of a button."""
        with self._drawing:
            if runner is not self.runner:
                return
            began = time.monotonic()
            self._say(runner.state, runner.error)
            history = list(self.run.history)
            self.swipe.update(self._image())
            parts.put(self.curves, loss_curves(history, self.sliders, self._changes))
            runner.interval = max(INTERVAL, 5 * (time.monotonic() - began))  # most of the time is for the run

    def _image(self):
        """The picture so far; the start as long as there is no other."""
        try:
            return self.run.result().image
        except SettingError:
            return self._finished(self.run.start)

    def _finished(self, image):
        return self.run.finish_image(images.resize(image, self.run.schedule[-1][0]))

    def _say(self, state: str, error: Exception | None) -> None:
        history = self.run.history
        text = f"{state}, step {history[-1]['index'] if history else 0} of {self.run.steps}"
        if state == "idle":
            text = f"press Start: up to {self.run.steps} steps"
        if state == "failed":
            text = f"failed: {parts.red(error)}"
        if state == "done":
            text += "; Start paints again with these weights"
        self.start_button.disabled = state in ("running", "paused")
        self.pause_button.disabled = state not in ("running", "paused")
        self.pause_button.description = "Go on" if state == "paused" else "Pause"
        self.pause_button.icon = "play" if state == "paused" else "pause"
        self.label.value = text  # last: when it can be read, the buttons are as it says
