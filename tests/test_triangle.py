"""The triangle of three paintings without a browser: its geometry, and the panel with the events that a browser would send."""

import threading
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from waiting import settled, until

from nstlab import images, systems
from nstlab.errors import DivergedError, ImageError, NstlabError, SettingError
from nstlab.panels.simplex import grid_points, nearest
from nstlab.panels.triangle import StyleTriangle

THREE = ["starry-night", "great-wave", "composition-viii"]
SHARES = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda three: sum(three) > 0.01)


@pytest.fixture
def make(fast_encoder):
    """A function that makes panels that paint a few pixels."""

    def make(photo="cat", paintings=THREE, **options):
        return StyleTriangle(photo, paintings, **{"size": 24, "steps": 2, "encoder": fast_encoder} | options)

    return make


@pytest.fixture
def panel(make):
    triangle = make()
    yield triangle
    triangle.stop()


def sums_to_one(shares):
    return all(-1e-12 <= share <= 1 + 1e-12 for share in shares) and sum(shares) == pytest.approx(1, abs=1e-9)


@given(SHARES, st.integers(1, 5))
def test_the_weights_of_a_cross_fade(shares, grid):
    """They add up to 1, and the grid points so weighted have the blend itself as their mean."""
    blend = tuple(share / sum(shares) for share in shares)
    found = nearest(blend, grid)
    assert len(found) <= 3 and sum(weight for _, weight in found) == pytest.approx(1, abs=1e-6)
    mean = [sum(weight * at[i] for at, weight in found) for i in range(3)]
    assert mean == pytest.approx(blend, abs=1e-6)


def test_the_grid():
    points = grid_points(2)
    assert len(points) == 6 and set(points) >= {(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0), (0, 0.5, 0.5)}
    assert len(grid_points(1)) == 3 and len(grid_points(4)) == 15 and all(sums_to_one(each) for each in grid_points(3))
    assert nearest((0.5, 0.5, 0), 2) == [((0.5, 0.5, 0), 1)]
    with pytest.raises(SettingError, match="grid 0"):
        grid_points(0)


def test_it_opens_on_the_photo(panel):
    assert repr(panel) == "<StyleTriangle>"
    assert panel.blend == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert torch.equal(panel.picture, images.load("cat", 24))
    assert "nothing is painted here yet" in panel.label.value
    assert "33 % starry-night, 33 % great-wave, 34 % composition-viii" in panel.label.value
    assert panel.pause_button.disabled and panel.stop_button.disabled and not panel.grid_button.disabled
    assert panel.view.value and len(panel.board.pictures) == 3 and len(panel.board.dots) == 6


def test_place(panel):
    assert panel.place(2, 1, 1) is panel and panel.blend == (0.5, 0.25, 0.25)
    assert "50 % starry-night, 25 % great-wave, 25 % composition-viii" in panel.label.value
    assert [slider.value for slider in panel.sliders] == pytest.approx([0.5, 0.25, 0.25])
    assert panel.place(1e308, 1e308, 0).blend == (0.5, 0.5, 0)
    for wrong, why in (
        ((0, 0, 0), "three zeros"),
        ((-1, 1, 1), "0 or more"),
        ((float("nan"), 1, 1), "finite"),
        (("x", 1, 1), "x"),
    ):
        with pytest.raises(SettingError, match=why):
            panel.place(*wrong)
    assert panel.blend == (0.5, 0.5, 0)


def test_a_point_chosen_in_the_triangle(panel):
    panel.board.set_state({"blend": [0.5, 0.25, 0.25]})
    assert panel.blend == pytest.approx((0.5, 0.25, 0.25))
    assert [slider.value for slider in panel.sliders] == pytest.approx([0.5, 0.25, 0.25])
    panel.board.set_state({"blend": [1, 0, 0]})
    assert panel.blend == (1, 0, 0) and "100 % starry-night" in panel.label.value
    panel.board.set_state({"blend": [0, 0, 0]})  # no browser should send that
    assert panel.blend == (1, 0, 0)
    panel.place(0, 1, 1)
    assert panel.board.blend == pytest.approx([0, 0.5, 0.5])


def test_a_slider_moves_one_share_and_the_others_make_room(panel):
    panel.place(2, 1, 1)
    panel.sliders[0].value = 0.2
    assert panel.blend == pytest.approx((0.2, 0.4, 0.4))
    panel.sliders[1].value = 1
    assert panel.blend == pytest.approx((0, 1, 0))
    panel.sliders[1].value = 0.5
    assert panel.blend == pytest.approx((0.25, 0.5, 0.25))
    assert [slider.value for slider in panel.sliders] == pytest.approx([0.25, 0.5, 0.25])


def test_headless_it_paints_its_grid(make, fast_encoder, monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    panel = make().autorun()
    assert panel.runner.state == "done" and panel.grid_button.disabled
    assert "cross-faded from 3 painted ones" in panel.label.value
    assert all(dot[3] for dot in panel.board.dots)
    corner = panel.place(0, 1, 0).picture
    assert "painted with this blend" in panel.label.value and panel.blend_button.disabled
    alone = systems.stylize("cat", "great-wave", size=24, steps=2, encoder=fast_encoder).image
    assert torch.allclose(corner, alone, atol=1e-5)
    middle = panel.place(1, 1, 0).picture
    between = panel.place(1, 3, 0).picture
    assert "cross-faded from 2" in panel.label.value
    assert torch.allclose(between, (corner + middle) / 2, atol=1e-6)


def test_this_blend_is_painted_in_a_thread(panel):
    panel.place(1, 3, 0).blend_button.click()
    panel.runner.wait(30)
    assert panel.runner.state == "done" and "painted with this blend" in panel.label.value
    own = panel.picture
    assert not torch.equal(own, images.load("cat", 24))
    panel.place(1, 1, 1)
    assert "the photo" in panel.label.value  # what was painted elsewhere is not passed off as this one
    assert torch.equal(panel.place(1, 3, 0).picture, own)


def test_pause_go_on_and_stop(make):
    panel = make(steps=200, optimizer="adam")
    panel.grid_button.click()
    until(lambda: panel.runner.last is not None and panel.runner.last.index > 2)
    assert panel.grid_button.disabled and panel.blend_button.disabled
    panel.pause_button.click()
    assert "Paused: picture 1 of 6" in panel.label.value and panel.pause_button.description == "Go on"
    step = settled(lambda: panel.runner.last.index)
    time.sleep(0.3)
    assert panel.runner.last.index == step
    panel.pause_button.click()
    until(lambda: panel.runner.last.index > step)
    assert "Running" in panel.label.value
    panel.stop_button.click()
    panel.runner.wait(20)
    assert panel.runner.state == "stopped" and not panel.grid_button.disabled
    assert torch.equal(panel.picture, images.load("cat", 24))
    assert not any(thread.name == "nstlab" for thread in threading.enumerate())


def test_live_it_returns_at_once(make, monkeypatch):
    monkeypatch.delenv("NSTLAB_HEADLESS", raising=False)
    assert make().autorun().runner.state == "idle"


def test_a_failure_is_said_on_the_panel_and_raised_when_headless(panel, monkeypatch):
    def fail(blend):
        raise DivergedError(3, None, "try <less>")

    monkeypatch.setattr(panel, "_plan", fail)
    panel.grid_button.click()
    until(lambda: "Failed" in panel.label.value)
    assert "try &lt;less&gt;" in panel.label.value and not panel.grid_button.disabled
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    with pytest.raises(DivergedError):
        panel.autorun()


def test_paintings_need_no_name(make, painting):
    panel = make(images.load("cat", 30), [painting, "great-wave", images.load("mona-lisa")])
    assert panel.names == ["painting 1", "great-wave", "painting 3"]
    assert panel.picture.shape[-2:] == images.load("cat", 24).shape[-2:]


@pytest.mark.parametrize(
    ("wrong", "error", "why"),
    [
        ({"paintings": THREE[:2]}, SettingError, "three corners"),
        ({"paintings": "abc"}, SettingError, "three corners"),
        ({"paintings": [*THREE[:2], "great-wav"]}, ImageError, "great-wav"),
        ({"paintings": [*THREE[:2], None]}, SettingError, "painting 3"),
        ({"paintings": [*THREE[:2], torch.rand(2, 3, 8, 8)]}, SettingError, "holds 2 pictures"),
        ({"photo": "no-such"}, ImageError, "no-such"),
        ({"size": 0}, SettingError, "size 0"),
        ({"steps": 0}, SettingError, "steps 0"),
        ({"grid": 0}, SettingError, "grid 0"),
        ({"colours": "match"}, SettingError, "did you mean colors"),
    ],
)
def test_bad_input_is_refused_at_once(make, wrong, error, why):
    with pytest.raises(error, match=why) as caught:
        make(**wrong)
    assert isinstance(caught.value, NstlabError)
