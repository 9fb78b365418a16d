"""The map painter without a browser: strokes from Python, and maps that a browser would send."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sending import greys, paint

from nstlab import guidance, images, systems
from nstlab.errors import ImageError, NstlabError, SettingError
from nstlab.panels.brush import PaintedMap, dab
from nstlab.panels.painter import MapPainter


@pytest.fixture
def panel():
    return MapPainter("cat", size=120)  # 120 x 80


def at(guide, x, y):
    """The map at a place in shares of width and height."""
    height, width = guide.map.shape[-2:]
    return guide.map[0, 0, int(y * height), int(x * width)].item()


def drawn(panel):
    """The map that is shown, in bytes."""
    return greys(panel.surface.mask)


def share(panel):
    return drawn(panel).mean() / 255


def test_it_opens_empty(panel):
    assert repr(panel) == "<MapPainter>"
    guide = panel.guide
    assert guide.map.shape == (1, 1, *images.load("cat").shape[-2:]) and guide.map.max() == 0
    assert guide.method == "painted by hand" and "0 everywhere" in guide.note
    assert drawn(panel).shape == (80, 120) and panel.surface.picture[:2] == b"\xff\xd8"
    assert not panel.surface.can_undo and share(panel) == 0 and (panel.surface.size, panel.surface.largest) == (12, 38)


def test_a_stroke_marks_what_it_should(panel):
    guide = panel.stroke([(0.2, 0.5), (0.8, 0.5)], radius=0.1).guide
    for x in (0.2, 0.5, 0.8):
        assert at(guide, x, 0.5) > 0.99
        assert at(guide, x, 0.1) == 0 and at(guide, x, 0.9) == 0
    assert at(guide, 0.05, 0.5) == 0 and at(guide, 0.95, 0.5) == 0
    assert 0 < at(guide, 0.5, 0.5 + 0.075 * 120 / 80) < 0.9  # three quarters of the radius out: it fades
    assert guide.note == "" and "painted by hand" in repr(guide)
    assert share(panel) == pytest.approx(guide.map.mean().item(), abs=2e-3)
    assert panel.surface.can_undo


def test_a_hard_brush_covers_its_disc(panel):
    panel.stroke([(0.5, 0.5)], radius=0.25, softness=0)
    area = np.pi * 30**2 / (120 * 80)
    assert panel._painted.values.mean() == pytest.approx(area, rel=0.05)


def test_a_value_between_and_erasing(panel):
    panel.stroke([(0.5, 0.5)], value=0.4, radius=0.2)
    assert at(panel.guide, 0.5, 0.5) == pytest.approx(0.4, abs=0.01)
    panel.stroke([(0.1, 0.1), (0.9, 0.9)], radius=0.2).stroke([(0.5, 0.5)], value=0, radius=0.1)
    assert at(panel.guide, 0.5, 0.5) == 0 and at(panel.guide, 0.2, 0.2) > 0.9


def test_the_pace_of_a_stroke_does_not_matter(panel):
    panel.stroke([(0.25, 0.5), (0.75, 0.5)])
    at_once = panel._painted.values
    panel.clear()
    panel.stroke([(0.25 + i / 60, 0.5) for i in range(31)])
    assert np.abs(panel._painted.values - at_once).max() < 1e-5


def test_undo_restores_exactly(panel):
    changes = [
        lambda: panel.stroke([(0.3, 0.3), (0.6, 0.4)]),
        panel.invert,
        lambda: paint(panel.surface, np.maximum(drawn(panel), 90)),
        panel.from_saliency,
        lambda: panel.stroke([(0.5, 0.5)], value=0),
        panel.invert,
        panel.clear,
    ]
    seen = []
    for change in changes:
        seen.append((panel.guide, panel._painted.values.copy(), drawn(panel)))
        change()
        assert not np.array_equal(drawn(panel), seen[-1][2])
    for guide, values, mask in reversed(seen):
        panel.surface._handle_custom_msg({"kind": "undo"}, [])
        assert np.array_equal(panel._painted.values, values) and np.array_equal(drawn(panel), mask)
        assert torch.equal(panel.guide.map, guide.map) and repr(panel.guide) == repr(guide)
    assert not panel.surface.can_undo
    panel.undo()  # nothing is left to undo, and that is no error


def test_clear_and_mark_the_rest(panel):
    panel.stroke([(0.3, 0.3), (0.6, 0.4)])
    values = panel._painted.values.copy()
    panel.invert_button.click()
    assert np.array_equal(panel._painted.values, 1 - values)
    panel.clear_button.click()
    assert panel.guide.map.max() == 0 and panel.guide.method == "painted by hand"
    panel.invert_button.click()
    assert panel.guide.map.min() == pytest.approx(1) and share(panel) == 1


def test_a_map_to_begin_with_stays_as_it_came_until_painted_on():
    size = tuple(images.load("cat").shape[-2:])
    fine = guidance.Guide(torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0)), "noise", "a note")
    panel = MapPainter("cat", fine, size=100)
    assert torch.equal(panel.guide.map, fine.map) and panel.guide.method == "noise"
    panel.invert()
    assert torch.equal(panel.guide.map, 1 - fine.map) and panel.guide.method == "the inverse of: noise"
    panel.undo()
    guide = panel.stroke([(0.25, 0.5)], radius=0.1).guide
    assert guide.method == "painted over: noise" and guide.note == "a note"
    assert at(guide, 0.25, 0.5) > 0.99
    assert torch.equal(guide.map[..., size[1] // 2 :], fine.map[..., size[1] // 2 :])


@pytest.mark.parametrize("kind", ["array", "tensor", "flags", "file", "npy"])
def test_a_map_to_begin_with_may_be_of_many_kinds(kind, tmp_path):
    values = np.zeros((40, 60), np.float32)
    values[:, 30:] = 1
    Image.fromarray((values * 255).astype(np.uint8)).save(tmp_path / "map.png")
    np.save(tmp_path / "map.npy", values)
    source = {
        "array": values, "tensor": torch.from_numpy(values)[None, None], "flags": values > 0,
        "file": str(tmp_path / "map.png"), "npy": tmp_path / "map.npy",
    }[kind]  # fmt: skip
    panel = MapPainter("cat", source, size=90)
    assert share(panel) == pytest.approx(0.5, abs=0.01)
    assert at(panel.guide, 0.9, 0.5) > 0.99 and at(panel.guide, 0.1, 0.5) < 0.01


@pytest.mark.parametrize("height, width", [(20, 70), (300, 100), (1, 1), (2, 400)])
def test_photos_of_any_shape(height, width):
    panel = MapPainter(torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)), size=90)
    assert max(drawn(panel).shape) == 90
    ratio = drawn(panel).shape[1] / drawn(panel).shape[0]
    assert ratio == pytest.approx(width / height, rel=0.6 if min(height, width) < 9 else 0.02)
    guide = panel.stroke([(0.75, 0.75)], radius=0.1).guide
    assert guide.map.shape == (1, 1, height, width)
    if min(height, width) > 9:
        marked = (guide.map[0, 0] > 0.5).nonzero().float().mean(0) + 0.5
        assert marked.tolist() == pytest.approx([0.75 * height, 0.75 * width], abs=1)
    assert guide.map.max() > 0


def test_from_saliency():
    panel = MapPainter("honey-bee", size=100)
    found = guidance.saliency(images.load("honey-bee"))
    panel.saliency_button.click()
    assert torch.equal(panel.guide.map, found.map) and panel.guide.method == found.method
    panel.stroke([(0.05, 0.05)])
    assert panel.guide.method == f"painted over: {found.method}"


def test_saliency_that_fails_says_so_on_the_panel(panel, monkeypatch):
    def fail(photo):
        raise SettingError("no <luck> today")

    monkeypatch.setattr("nstlab.panels.painter.saliency", fail)
    panel.saliency_button.click()
    assert "no &lt;luck&gt; today" in panel.label.value and panel.guide.map.max() == 0


def test_save_and_load(panel, tmp_path):
    panel.stroke([(0.2, 0.3), (0.7, 0.6)], radius=0.15).stroke([(0.5, 0.9)], value=0.3)
    path = panel.save(tmp_path / "map.png")
    with Image.open(path) as picture:
        assert picture.mode == "L" and picture.size == images.to_pil(images.load("cat")).size
    assert (guidance.load_map(path).map - panel.guide.map).abs().max() <= 1 / 255
    assert MapPainter("cat", path).guide.method == "a map of yours, map.png"
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("name", ["map.jpg", "map", "missing/map.png"])
def test_save_where_it_cannot_be(panel, tmp_path, name):
    with pytest.raises(ImageError):
        panel.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "photo, guide, options, says",
    [
        ("coffe", None, {}, "did you mean coffee?"),
        (5, None, {}, "the photo is a file, an array or a tensor, not int"),
        (torch.rand(2, 3, 8, 8), None, {}, "the photo holds 2 pictures"),
        (torch.rand(3, 8, 8), None, {}, "(N, 3, H, W)"),
        ("cat", "nowhere.png", {}, "no such file"),
        ("cat", 5, {}, "the guide is a file, an array or a tensor, not int"),
        ("cat", np.full((8, 8), 200.0), {}, "dividing by 255"),
        ("cat", torch.rand(2, 1, 8, 8), {}, "the guide holds 2 pictures"),
        ("cat", np.full((8, 8), np.nan), {}, "not numbers"),
        ("cat", None, {"size": 0}, "size 0"),
        ("cat", None, {"size": 99.5}, "size 99.5"),
    ],
)
def test_bad_input(photo, guide, options, says):
    with pytest.raises(NstlabError) as caught:
        MapPainter(photo, guide, **options)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "points, options",
    [
        ([], {}),
        ("here", {}),
        (None, {}),
        ([(0.1, 0.2, 0.3)], {}),
        ([(0.1, 0.2), (0.3,)], {}),
        ([(120, 80)], {}),  # pixels
        ([(0.1, float("nan"))], {}),
        ([(0.5, 0.5)], {"value": 2}),
        ([(0.5, 0.5)], {"value": float("nan")}),
        ([(0.5, 0.5)], {"radius": -0.1}),
        ([(0.5, 0.5)], {"radius": "big"}),
        ([(0.5, 0.5)], {"softness": 1.5}),
    ],
)
def test_bad_strokes(panel, points, options):
    with pytest.raises(SettingError):
        panel.stroke(points, **options)
    assert panel.guide.map.max() == 0 and not panel.surface.can_undo


def test_what_is_painted_in_the_browser(panel):
    values = np.zeros((80, 120), np.uint8)
    values[20:40, 30:60] = 200
    paint(panel.surface, values)
    assert at(panel.guide, 0.375, 0.375) == pytest.approx(200 / 255, abs=0.01) and at(panel.guide, 0.1, 0.1) == 0
    assert panel.guide.method == "painted by hand" and panel.surface.can_undo
    paint(panel.surface, values)  # the same again is no change
    panel.undo()
    assert panel.guide.map.max() == 0 and not panel.surface.can_undo and drawn(panel).max() == 0


def test_what_the_browser_leaves_alone_stays_exact(panel):
    panel.stroke([(0.3, 0.3), (0.7, 0.4)])
    exact, sent = panel._painted.values.copy(), drawn(panel).copy()
    sent[60:70, 100:110] = 255
    paint(panel.surface, sent)
    assert np.array_equal(panel._painted.values[:60], exact[:60]) and panel._painted.values[65, 105] == 1
    panel.softness.value = 0.2
    assert panel.surface.softness == 0.2


def test_changes_that_interleave_leave_a_map(panel):
    def work(number):
        for i in range(8):
            paint(panel.surface, np.full((80, 120), 20 * number + i))
            (panel.invert, panel.undo, panel.clear, lambda: panel.stroke([(0.5, 0.5)]))[number % 4]()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    values = panel._painted.values
    assert 0 <= values.min() and values.max() <= 1


def test_the_guide_and_the_labels_are_used_at_once(panel, fast_encoder):
    panel.stroke([(0.3, 0.5), (0.6, 0.5)], radius=0.3)
    options = {"size": 32, "steps": 1, "levels": 1, "encoder": fast_encoder}
    run = systems.plan("cat", "great-wave", system="preserve", guide=panel.guide, **options)
    assert "inside" in run.objective.losses and "guide: painted by hand" in run.notes
    labels = panel.labels
    assert labels.shape == (1, *panel.guide.map.shape[-2:]) and labels.dtype == torch.int64
    assert set(guidance.load_labels(labels).labels.unique().tolist()) == {0, 1}


def test_the_brush_alone():
    rows, columns, cover = dab((20, 30), (10, 5), (20, 5), 3, 1)
    assert (rows, columns) == (slice(2, 9), slice(7, 24))
    assert cover.shape == (7, 17) and cover[3, 3:14].min() == 1 and cover[0].max() == 0
    assert cover[2, 8] == pytest.approx(2 / 3)  # one pixel off the line of a brush of three that fades all the way
    assert dab((20, 30), (-90, -90), (-80, -80), 3, 1)[2].size == 0
    painted = PaintedMap((20, 30), (20, 30))
    for _ in range(99):
        painted.draw([(0.5, 0.5)], 1, 0.1, 0.5)
    assert len(painted.history) == 40  # not for ever
