"""The controls of the kit without a browser: what they take, and the messages that a browser would send."""

import re
from pathlib import Path

import numpy as np
import pytest
import traitlets
from sending import arrive, grey, greys, paint

from nstlab.errors import SettingError
from nstlab.panels import kit, words
from nstlab.panels.kit import base

FOLDER = Path(base.FOLDER)
EVERY = (kit.Brush, kit.DropZone, kit.Picture, kit.Slider, kit.Swipe, kit.Thumbnails, kit.Triangle)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def zone(heard):
    made = kit.DropZone("Upload", limit_mb=0.01)
    made.on_files(heard.append)
    return made


def test_nothing_comes_from_elsewhere():
    for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.css")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, not an address
        assert not re.search(r"https?:|@import|url\(|fetch\(|FileReader", text), path


def test_each_takes_its_part_of_the_one_stylesheet():
    for control in EVERY:
        made = control()
        assert "--nst-accent" in made._css and repr(made) == f"<{control.__name__}>"
    assert "nst-thumb" not in kit.Slider()._css and "nst-slide" in kit.Slider()._css
    whole = (FOLDER / "kit.css").read_text()
    assert set(re.findall(r"/\* == (\w+) == \*/", whole)) - {"all"} == {path.stem for path in FOLDER.glob("*.js")} - {"common"}


def test_every_word_of_the_controls_is_in_one_place():
    """What JavaScript asks `words` for is there, and no sentence stands in it."""
    for name, said in {
        "swipe": words.SWIPE,
        "brush": words.BRUSH,
        "thumbnails": words.THUMBNAILS,
        "drop_zone": words.DROP,
    }.items():
        text = (FOLDER / f"{name}.js").read_text()
        asked = set(re.findall(r'(?:words\(\)|words|model\.get\("words"\))\.(\w+)', text))
        assert asked and asked <= set(said), name


def test_swipe_takes_bytes_and_a_position():
    swipe = kit.Swipe(b"one", b"two", 0.3, alt=("a cat", "a painted cat"))
    assert (swipe.before, swipe.after, swipe.position) == (b"one", b"two", 0.3)
    swipe.set_state({"position": 0.75})
    assert swipe.position == 0.75
    with pytest.raises(traitlets.TraitError):
        swipe.position = 1.5


def test_the_brush_has_a_way_back():
    brush = kit.Brush(b"picture", size=30)
    masks = [grey(np.full((4, 5), value)) for value in (0, 100, 200)]
    for mask in masks:
        paint(brush, greys(mask))
    assert brush.mask == masks[2] and isinstance(brush.mask, bytes) and brush.can_undo
    brush._handle_custom_msg({"kind": "undo"}, [])
    assert brush.mask == masks[1]
    brush.undo()
    brush.undo()
    assert brush.mask == b"" and not brush.can_undo
    brush.undo()  # nothing is left to undo, and that is no error
    for value in range(99):
        paint(brush, np.full((2, 2), value))
    assert len(brush.history) == 40  # not for ever
    brush.begin(b"another")
    assert (brush.picture, brush.mask, brush.can_undo) == (b"another", b"", False)


def test_thumbnails_choose_one_or_several():
    items = [{"name": name, "picture": b"x", "alt": name} for name in "abc"]
    assert kit.Thumbnails(items).chosen == "" and kit.Thumbnails(items, "b").chosen == "b"
    several = kit.Thumbnails(items, multiple=True, most=2)
    several.set_state({"chosen": ["c", "a"]})
    assert several.chosen == ["c", "a"]


@pytest.mark.parametrize(
    "items, why",
    [
        ([{"picture": b"x"}], "a name of its own"),
        ([{"name": "a", "picture": b"x"}, {"name": "a", "picture": b"y"}], "a name of its own"),
        ([{"name": "a", "picture": "https://example.org/a.png"}], "a data URL"),
    ],
)
def test_bad_thumbnails(items, why):
    with pytest.raises(SettingError, match=why):
        kit.Thumbnails(items)


def test_files_arrive_whole_and_together(zone, heard):
    arrive(zone, ("a.png", b"one"), ("b.png", b"x" * 4321), ("empty.png", b""))
    assert heard == [[("a.png", b"one"), ("b.png", b"x" * 4321), ("empty.png", b"")]] and zone.message == ""


def test_what_is_wrong_with_files_is_said(zone, heard):
    def refuse(files):
        raise SettingError("not this <one>")

    zone.on_files(refuse)
    arrive(zone, ("a.png", b"one"))
    assert zone.message == "not this <one>" and len(heard) == 1
    zone._handle_custom_msg({"kind": "start", "batch": "2", "files": [{"name": "b.png", "size": 5}]}, [])
    zone._handle_custom_msg({"kind": "end", "batch": "2"}, [])
    assert zone.message == "b.png did not arrive whole: upload it again" and len(heard) == 1


def test_a_browser_that_lies_fills_no_memory(zone, heard):
    arrive(zone, ("large.png", b"x" * 10_001))
    arrive(zone, *[(f"{number}.png", b"x") for number in range(13)])
    start = {"kind": "start", "batch": "2", "files": [{"name": "b.png", "size": 5}]}
    zone._handle_custom_msg(start, [])
    zone._handle_custom_msg({"kind": "piece", "batch": "2", "file": 0}, [memoryview(b"x" * 9000)])  # more than it said
    zone._handle_custom_msg({"kind": "end", "batch": "2"}, [])
    zone._handle_custom_msg({"kind": "piece", "batch": "never begun", "file": 0}, [memoryview(b"x")])
    assert heard == [] and zone._arriving == {}
    for number in range(9):
        zone._handle_custom_msg(start | {"batch": str(number)}, [])
    assert len(zone._arriving) == 2
    zone._handle_custom_msg({"kind": "lost", "batch": "8"}, [])
    assert len(zone._arriving) == 1
    zone.disabled = True
    arrive(zone, ("a.png", b"one"))
    assert heard == []


def test_a_slider_stays_within_its_ends():
    slider = kit.Slider(5, 0, 3, 1, "size")
    assert slider.value == 3
    slider.max = 2
    assert slider.value == 2
    assert kit.Slider(1e9, -2, 2, 0.1, log=True).value == 100 and kit.Slider(0, -2, 2, 0.1, log=True).value == 0.01


def test_a_choice_is_one_of_its_things():
    slider = kit.ChoiceSlider([("small", 96), ("large", 512)], "size")
    assert (slider.value, slider.labels) == (96, ["small", "large"])
    slider.set_state({"index": 1})
    assert slider.value == 512
    slider.value = 96
    assert slider.index == 0
    with pytest.raises(traitlets.TraitError):
        slider.value = 100
    slider.set_state({"index": 9})
    assert slider.value == 512
