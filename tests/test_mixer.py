"""The loss mixer without a browser: its buttons and sliders are pressed and moved from here."""

import time

import pytest
import torch
from waiting import settled, until

from nstlab import systems
from nstlab.errors import DivergedError, SettingError
from nstlab.losses import Loss
from nstlab.panels.mixer import LossMixer
from nstlab.systems.gatys import DEFAULTS


@pytest.fixture
def make_run(fast_encoder):
    """A function that makes runs of a few pixels, long enough to be caught in the middle."""

    def make(steps=200, optimizer="adam", **options):
        return systems.plan(
            "cat", "great-wave", size=16, steps=steps, levels=1, encoder=fast_encoder, optimizer=optimizer, **options
        )

    return make


@pytest.fixture
def panel(make_run):
    mixer = LossMixer(make_run())
    yield mixer
    mixer.stop()


def press(button):
    assert not button.disabled
    button.click()


def at_step(panel, number):
    return lambda: len(panel.run.history) > number


def hold(panel):
    """Pause, and wait for the step that was under way."""
    press(panel.pause_button)
    settled(lambda: len(panel.run.history))


def test_nothing_runs_before_start(panel):
    assert panel.run.history == []
    assert "press Start" in panel.label.value
    assert panel.pause_button.disabled
    assert panel.swipe.before and panel.swipe.after
    assert repr(panel) == "<LossMixer>"


def test_pause_holds_and_resume_goes_on(panel):
    press(panel.start_button)
    until(at_step(panel, 3))
    hold(panel)
    steps, picture = len(panel.run.history), panel.run.last.image.clone()
    time.sleep(0.4)
    assert len(panel.run.history) == steps
    assert torch.equal(panel.run.last.image, picture)
    assert "paused" in panel.label.value
    assert panel.pause_button.description == "Go on"
    press(panel.pause_button)
    until(at_step(panel, steps))
    assert panel.run.history[0]["index"] == 0  # it went on, it did not begin anew


def test_the_line_between_photo_and_painted_stays_while_it_paints(panel):
    before, after = panel.swipe.before, panel.swipe.after
    panel.swipe.position = 0.3
    press(panel.start_button)
    until(lambda: panel.swipe.after != after)
    assert panel.swipe.before == before and panel.swipe.position == 0.3


def test_a_slider_changes_the_weight_of_the_running_objective(panel):
    weights = panel.run.objective.weights
    before = dict(weights)
    press(panel.start_button)
    until(at_step(panel, 2))
    panel.sliders["style"].value = 10
    until(lambda: weights["style"] == pytest.approx(10 * before["style"]))
    assert weights["content"] == before["content"]
    assert f"{10 * before['style']:g}" in panel.readouts["style"].value


def test_the_left_end_switches_a_loss_off(panel):
    panel.sliders["content"].value = 0.01
    assert panel.run.objective.weights["content"] == 0
    assert panel.readouts["content"].value == "off"
    panel.sliders["content"].value = 1
    assert panel.run.objective.weights["content"] == 1


def test_a_loss_that_starts_off_can_be_turned_up(make_run):
    panel = LossMixer(make_run(weights={"smoothness": 0}))
    assert panel.run.objective.weights["smoothness"] == 0
    panel.sliders["smoothness"].value = 2
    assert panel.run.objective.weights["smoothness"] == pytest.approx(2)


def test_a_weight_moved_during_lbfgs_does_not_end_the_run(make_run):
    panel = LossMixer(make_run(steps=15, optimizer="lbfgs"))
    press(panel.start_button)
    for factor in (3, 10, 30, 100):
        until(lambda: panel.runner.state == "done" or at_step(panel, 2)())
        panel.sliders["style"].value = factor
        time.sleep(0.1)
    panel.runner.wait(20)
    assert panel.runner.state == "done"
    assert len(panel.run.history) == 16


@pytest.mark.parametrize("shared", [True, False], ids=["one run", "a function"])
def test_reset_starts_over_with_the_weights_as_they_are(make_run, shared):
    run = make_run()
    panel = LossMixer(run if shared else make_run)
    start = panel.swipe.after
    press(panel.start_button)
    until(at_step(panel, 2))
    panel.sliders["style"].value = 10
    press(panel.reset_button)
    assert not panel.runner.alive
    assert panel.run.history == []
    assert panel.swipe.after == start
    assert "press Start" in panel.label.value
    assert panel.run.objective.weights["style"] == pytest.approx(10 * DEFAULTS["style"])
    press(panel.start_button)
    until(at_step(panel, 1))
    assert panel.run.history[0]["index"] == 0
    assert (panel.run is run) == shared
    panel.stop()


def test_reset_of_a_paused_run(panel):
    press(panel.start_button)
    until(at_step(panel, 2))
    hold(panel)
    press(panel.reset_button)
    assert panel.run.history == []
    assert panel.pause_button.description == "Pause"
    press(panel.start_button)
    until(at_step(panel, 2))


class Breaks(Loss):
    """Fine at first, then not a number."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, features):
        self.calls += 1
        return features["image"].square().mean() * (float("nan") if self.calls > 4 else 1.0)


def test_a_failure_is_said_in_the_label_and_reset_recovers(panel):
    panel.run.objective.losses["content"] = Breaks()
    press(panel.start_button)
    until(lambda: panel.runner.state == "failed" and not panel.runner.alive)
    assert "not a number at step 4" in panel.label.value
    assert "try a smaller step size" in panel.label.value
    assert not panel.start_button.disabled
    panel.stop()  # the failure was said; ending what has ended raises nothing, and forgets nothing
    assert isinstance(panel.runner.error, DivergedError)
    press(panel.reset_button)
    assert "press Start" in panel.label.value


def test_a_reset_that_cannot_make_a_run_says_so(make_run):
    made = iter([make_run()])

    def make():
        for run in made:
            return run
        raise SettingError("no <more> runs")

    panel = LossMixer(make)
    press(panel.reset_button)
    assert "no &lt;more&gt; runs" in panel.label.value


def test_headless_it_runs_to_the_end(make_run, monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    panel = LossMixer(make_run(steps=4)).autorun()
    assert panel.runner.state == "done"
    assert len(panel.run.history) == 5
    assert "done, step 4 of 4" in panel.label.value
    assert panel.curves.value


def test_headless_a_failure_is_raised(make_run, monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    run = make_run(steps=9)
    run.objective.losses["content"] = Breaks()
    with pytest.raises(DivergedError):
        LossMixer(run).autorun()


def test_live_it_returns_at_once(make_run, monkeypatch):
    monkeypatch.delenv("NSTLAB_HEADLESS", raising=False)
    assert LossMixer(make_run()).autorun().runner.state == "idle"


def test_luminance_mode_shows_the_photo_in_its_colours(make_run):
    run = make_run(steps=2, colors="luminance")
    panel = LossMixer(run)
    assert panel.swipe.before
    assert panel._finished(run.objective.losses["content"].content).std(dim=1).mean() > 0.02
