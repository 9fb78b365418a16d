"""Panels that paint at once, without a browser: the newest position is painted, and what went wrong is said."""

import threading

import pytest
import torch

from nstlab.errors import SettingError
from nstlab.panels.live import Latest, LiveSliders, LiveTriangle

THREE = ["starry-night", "great-wave", "composition-viii"]


def grey(value):
    return torch.full((1, 3, 6, 8), float(value))


def test_the_newest_is_done_and_what_came_before_it_is_skipped():
    begun, go, done = threading.Event(), threading.Event(), []

    def work(value):
        begun.set()
        assert go.wait(20)
        return value

    latest = Latest(work, lambda result, error: done.append((result, error)))
    latest.ask(1)
    assert begun.wait(20) and not latest.wait(0.01)
    for value in (2, 3, 4):
        latest.ask(value)
    go.set()
    assert latest.wait(20) and done == [(1, None), (4, None)]
    latest.ask(5)  # at rest it begins anew
    assert latest.wait(20) and done[-1] == (5, None)


def test_an_error_is_told_and_does_not_end_it():
    done = []
    latest = Latest(lambda value: 1 / value, lambda result, error: done.append(error or result))
    for value in (0, 2):
        latest.ask(value)
        assert latest.wait(20)
    assert isinstance(done[0], ZeroDivisionError) and done[1] == 0.5


def test_sliders():
    panel = LiveSliders(lambda values: grey(values["light"] * values["dark"]), {"light": 1.0, "dark": 0.5})
    assert repr(panel) == "<LiveSliders>" and panel.values == {"light": 1, "dark": 0.5}
    assert torch.equal(panel.picture, grey(0.5))
    first = panel.view.value
    panel.sliders["light"].value = 0.5
    assert torch.equal(panel.picture, grey(0.25)) and panel.view.value != first


def test_a_painter_that_fails_is_told_on_the_panel():
    def paint(values):
        if values["a"] > 0.5:
            raise SettingError("a is too <large>")
        return grey(values["a"])

    panel = LiveSliders(paint, {"a": 0.2})
    panel.sliders["a"].value = 0.9
    assert torch.equal(panel.picture, grey(0.2)) and "too &lt;large&gt;" in panel.label.value
    panel.sliders["a"].value = 0.4
    assert torch.equal(panel.picture, grey(0.4)) and panel.label.value == ""


def test_what_cannot_be_painted_at_all_is_raised():
    with pytest.raises(ZeroDivisionError):
        LiveSliders(lambda values: 1 / 0, {"a": 0.2})
    for start in ({}, {"a": 2.0}, {"a": -1.0}):
        with pytest.raises(SettingError):
            LiveSliders(lambda values: grey(0), start)
    with pytest.raises(SettingError, match="three corners"):
        LiveTriangle(lambda blend: grey(0), THREE[:2])


def test_the_triangle():
    asked = []
    panel = LiveTriangle(lambda blend: (asked.append(blend), grey(blend[0]))[1], THREE)
    assert repr(panel) == "<LiveTriangle>" and torch.allclose(panel.picture, grey(1 / 3))
    assert "33 % starry-night, 33 % great-wave, 34 % composition-viii" in panel.label.value
    assert len(panel.board.pictures) == 3 and panel.board.dots == [] and panel.view.value
    assert torch.equal(panel.place(1, 0, 0).picture, grey(1)) and "100 % starry-night" in panel.label.value
    panel.sliders[1].value = 0.75
    assert torch.equal(panel.picture, grey(0.25)) and panel.blend == (0.25, 0.75, 0)
    panel._show()  # nothing is painted again
    assert torch.equal(panel.picture, grey(0.25)) and len(asked) == 3
    panel.place(0, 1, 0).place(1, 3, 0)  # there and back
    assert torch.equal(panel.picture, grey(0.25))


def test_the_triangle_tells_an_error():
    def paint(blend):
        if blend[0] > 0.5:
            raise SettingError("not so much")
        return grey(blend[0])

    panel = LiveTriangle(paint, THREE)
    panel.place(1, 0, 0)
    assert torch.allclose(panel.picture, grey(1 / 3)) and "not so much" in panel.label.value
    panel.place(0, 1, 0)
    assert torch.equal(panel.picture, grey(0)) and "not so much" not in panel.label.value
