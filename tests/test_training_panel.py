"""The training panel without a browser: its buttons and sliders are pressed and moved from here."""

import threading
import time

import numpy as np
import pytest
import torch
from tiny import tiny
from waiting import settled, until

from nstlab import plots
from nstlab.errors import DivergedError, ImageError, SettingError, WeightsError
from nstlab.panels.curves import _points, loss_curves
from nstlab.panels.parts import left
from nstlab.panels.training import TrainingPanel
from nstlab.panels.views import Gallery, LiveViews, verdict
from nstlab.panels.weights import WeightSliders

OPEN: list[TrainingPanel] = []


@pytest.fixture
def panel(monkeypatch):
    """A function that makes panels, of trainings long enough to be caught in the middle; they are stopped at the end.

    Their curves are not drawn: that takes longer than the training.
    """
    monkeypatch.setattr("nstlab.panels.training.loss_curves", lambda history, *_, **__: plots.Picture(b"%d" % len(history)))

    def make(source=None, **options):
        made = source or tiny("johnson", **{"steps": 2000, "save_every": 1000} | options)
        OPEN.append(TrainingPanel(made, ["cat"]))
        return OPEN[-1]

    yield make
    while OPEN:
        OPEN.pop().stop()


def press(button):
    assert not button.disabled
    button.click()


def started(panel, steps=2):
    press(panel.start_button)
    until(lambda: panel.training.done >= steps)
    return panel


def held(panel):
    """Pause, and wait for the step that was under way."""
    press(panel.pause_button)
    return settled(lambda: panel.training.done)


def ended(panel):
    until(lambda: not panel.runner.alive)
    return panel


def fails_at(training, number, error):
    """Let the step of that index raise an error, once."""
    step, left = training.task.step, [error]

    def failing(index, *rest):
        if index == number and left:
            raise left.pop()
        return step(index, *rest)

    training.task.step = failing


def test_nothing_runs_before_start(panel):
    made = panel()
    assert made.training.done == 0
    assert "press Start: 2000 steps" in made.label.value
    assert made.pause_button.disabled and made.stop_button.disabled
    assert made.save_button.disabled  # it has no folder
    assert made.reset_button.disabled  # nothing to make it anew with
    assert made.gallery.value and made.curves.value
    assert repr(made) == "<TrainingPanel>"


def test_pause_holds_and_go_on_goes_on(panel):
    made = started(panel())
    steps = held(made)
    time.sleep(0.3)
    assert made.training.done == steps
    assert f"paused, step {steps} of 2000" in made.label.value  # the step that was under way is seen
    assert "s a step, about" in made.label.value
    assert made.bar.value == steps
    assert made.pause_button.description == "Go on"
    press(made.pause_button)
    until(lambda: made.training.done > steps)
    assert made.training.history[0]["index"] == 1  # it went on, it did not begin anew


def test_a_slider_acts_from_the_next_step_on(panel):
    made = panel()
    weights, seen = made.training.task.weights, {}
    step, before = made.training.task.step, dict(weights)
    made.training.task.step = lambda index, *rest: (seen.update({index: weights["style"]}), step(index, *rest))[1]
    started(made)
    steps = held(made)
    made.sliders["style"].value = 10
    assert weights["style"] == before["style"]  # the step that comes is the first to have it
    press(made.pause_button)
    until(lambda: made.training.done > steps)
    assert seen[steps - 1] == before["style"] and seen[steps] == pytest.approx(10 * before["style"])
    assert made._changes == [steps]
    assert f"weight {10 * before['style']:g}" in made.readouts["style"].value
    assert {name: weights[name] for name in weights if name != "style"} == {n: before[n] for n in before if n != "style"}


def test_the_left_end_leaves_a_loss_out(panel):
    made = panel(steps=3)
    made.sliders["content"].value = 0.01
    assert made.training.task.weights["content"] == 0
    press(made.start_button)
    ended(made)
    assert "content" not in made.training.history[-1]
    assert made.curves.value


def test_stop_ends_the_thread_and_start_goes_on(panel):
    made = started(panel())
    press(made.stop_button)
    ended(made)
    steps = made.training.done
    assert made.runner.state == "stopped"
    assert f"stopped, step {steps} of 2000: Start goes on" in made.label.value
    assert not any(thread.name == "nstlab" for thread in threading.enumerate())
    press(made.start_button)
    until(lambda: made.training.done > steps)
    assert [row["index"] for row in made.training.history[: steps + 1]] == list(range(1, steps + 2))


def test_a_stopped_pause_ends(panel):
    made = started(panel())
    held(made)
    press(made.stop_button)
    assert ended(made).runner.state == "stopped"
    assert made.pause_button.description == "Pause"


def test_a_new_panel_goes_on_from_the_checkpoint(panel, tmp_path):
    made = started(panel(folder=tmp_path / "run"))
    made.sliders["style"].value = 10
    steps = made.training.done
    until(lambda: made.training.done > steps + 1)
    press(made.stop_button)
    steps = ended(made).training.done
    assert (tmp_path / "run" / "last.safetensors").exists()
    assert f"saved in {tmp_path / 'run'}" in made.label.value

    again = panel(lambda: tiny("johnson", tmp_path / "run", steps=2000, save_every=1000, resume=True))
    assert f"step {steps} of 2000, from the checkpoint" in again.label.value
    assert again.sliders["style"].value == pytest.approx(10)  # where it was left
    assert again.training.task.weights == made.training.task.weights  # to the last digit
    assert len(again.training.history) == steps
    assert again.bar.value == steps
    started(again, steps + 1)
    assert again.training.history[steps]["index"] == steps + 1


def test_save_while_it_runs_and_while_it_rests(panel, tmp_path):
    checkpoint = tmp_path / "last.safetensors"
    made = started(panel(folder=tmp_path))
    assert not checkpoint.exists()
    press(made.save_button)
    until(checkpoint.exists)
    until(lambda: "saved at step" in made.label.value)
    held(made)
    before = checkpoint.stat().st_mtime_ns
    press(made.save_button)
    assert checkpoint.stat().st_mtime_ns > before
    assert f"saved at step {made.training.done} in" in made.label.value


def test_a_checkpoint_that_cannot_be_written_is_said_and_ends_nothing(panel, tmp_path, monkeypatch):
    made = started(panel(folder=tmp_path))
    monkeypatch.setattr(made.training, "save", lambda: (_ for _ in ()).throw(WeightsError("the <disk> is full")))
    press(made.save_button)
    until(lambda: "the &lt;disk&gt; is full" in made.label.value)
    steps = made.training.done
    until(lambda: made.training.done > steps)
    press(made.stop_button)
    assert ended(made).runner.state == "failed"  # for there is no checkpoint
    assert "the &lt;disk&gt; is full" in made.label.value


def test_reset_begins_anew_with_the_weights_as_they_are(panel):
    made = started(panel(lambda: tiny("johnson", steps=2000)))
    first, before = made.training, made.training.task.weights["style"]
    made.sliders["style"].value = 10
    press(made.reset_button)
    assert made.training is not first and made.training.done == 0
    assert not made.runner.alive
    assert "press Start" in made.label.value
    assert made.training.task.weights["style"] == pytest.approx(10 * before)
    started(made)


def test_a_reset_that_cannot_make_a_training_says_so(panel):
    left = [tiny("johnson")]

    def make():
        if left:
            return left.pop()
        raise SettingError("no <more> trainings")

    made = panel(make)
    press(made.reset_button)
    assert "no &lt;more&gt; trainings" in made.label.value


def test_a_failure_is_said_and_start_goes_on(panel):
    made = panel()
    fails_at(made.training, 3, RuntimeError("out of <memory>"))
    press(made.start_button)
    ended(made)
    assert "failed, step 3 of 2000" in made.label.value
    assert "RuntimeError: out of &lt;memory&gt;" in made.label.value
    started(made, 5)


def test_what_cannot_be_drawn_ends_nothing(panel):
    made = panel(steps=4)
    made._gallery.paint = lambda *_: 1 / 0
    press(made.start_button)
    ended(made)
    assert made.runner.state == "done"
    assert "the gallery cannot be painted: <span" in made.label.value


def test_headless_the_game_runs_to_the_end(monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    made = TrainingPanel(tiny("multiscale_gan", steps=4)).autorun()
    assert made.curves.value[:4] == b"\x89PNG" and made.gallery.value
    assert made.runner.state == "done"
    assert "done, step 4 of 4" in made.label.value
    assert made.start_button.disabled
    assert [column.children[0].value for column in made.views.children] == [
        "the photo",
        "the draft, 16 px",
        "the picture, 32 px",
        "what the critic takes for painted",
    ]
    assert all(column.children[1].value for column in made.views.children)
    assert made.autorun() is made  # there is nothing left to do


def test_headless_a_failure_is_raised(panel, monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    made = panel()
    fails_at(made.training, 1, DivergedError(2, None, "try less"))
    with pytest.raises(DivergedError):
        made.autorun()


def test_live_it_returns_at_once(panel, monkeypatch):
    monkeypatch.delenv("NSTLAB_HEADLESS", raising=False)
    assert panel().autorun().runner.state == "idle"


def test_sliders_begin_where_the_weights_are():
    moved = []
    dials = WeightSliders(
        {"a": 2.0, "b": 0.0, "c": 1.0, "d": 5.0}, "x", lambda: moved.append(1), {"a": 0.7, "b": 0, "c": 1e6, "d": 0}
    )
    assert dials.weights() == {"a": 0.7, "b": 0.0, "c": 1e6, "d": 0.0}
    assert dials.sliders["a"].value == pytest.approx(0.35)
    assert dials.readouts["a"].value == "0.35 times, weight 0.7"
    assert dials.readouts["d"].value == "off"
    dials.sliders["b"].value = 3  # began at 0: now three times 1
    dials.sliders["d"].value = 1  # back at what was asked for
    assert dials.weights() == {"a": 0.7, "b": 3.0, "c": 1e6, "d": 5.0}
    assert len(moved) == 2


def test_a_curve_is_a_mean_of_steps_with_gaps():
    rows = [{"index": n, "a": float(n)} for n in range(1, 6)] + [{"index": 6}, {"index": 7, "a": 13.0}, {"index": 8, "a": -1.0}]
    steps, means = _points(rows, "a", 3, positive=True)
    assert sorted(steps) == list(range(1, 9))
    expected = {1: 1.0, 2: 1.5, 3: 2.0, 4: 3.0, 5: 4.0, 6: np.nan, 7: 9.0, 8: np.nan}
    assert {int(step): mean for step, mean in zip(steps, means, strict=True)} == pytest.approx(expected, nan_ok=True)
    steps, _ = _points([{"index": n, "a": 1.0} for n in range(5000)], "a", 5)
    assert len(steps) <= 450 and steps.max() == 4999
    assert loss_curves([], ["a"]).data != loss_curves(rows, ["a"]).data


def test_views_come_and_go_in_their_order():
    views, image = LiveViews("x"), torch.rand(1, 3, 8, 8)
    views.put({"picture": image, "photo": image})
    views.put({"revision": image, "picture": image, "judgement": torch.rand(1, 1, 3, 3), "photo": image})
    names = [column.children[0].value for column in views.children]
    assert [name.split(",")[0] for name in names] == [
        "the photo", "the revision", "the picture", "what the critic takes for painted",
    ]  # fmt: skip
    views.put({"photo": image})
    assert [column.children[1].layout.display for column in views.children] == ["", "none", "none", "none"]


def test_the_map_of_a_critic_shows_where_it_is_taken_in():
    yes, no = verdict(torch.ones(1, 1, 4, 4)), verdict(torch.zeros(1, 1, 4, 4))
    assert yes.data != no.data


def test_the_gallery_takes_what_is_not_learnt_first():
    assert Gallery(None, "['astronaut', 'cat']").words == "photos it does not learn from"
    assert Gallery(None, "samples").words == "photos it learns from"
    with pytest.raises(ImageError):
        Gallery(["no-such-photo"])


@pytest.mark.parametrize(
    "seconds, words", [(2, "5 seconds"), (43, "45 seconds"), (100, "2 minutes"), (3000, "50 minutes"), (7300, "2 hours")]
)
def test_the_time_left_in_words(seconds, words):
    assert left(seconds) == f"about {words} left"
