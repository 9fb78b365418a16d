"""The studio without a browser: its controls are moved and its buttons pressed from here; real networks, at a tiny size."""

import base64
import io
import re

import pytest
import torch
from PIL import Image
from sending import arrive
from tiny import png, small
from waiting import until

from nstlab import images
from nstlab.errors import NstlabError, SettingError
from nstlab.guidance import load_map
from nstlab.panels import desk, takeaway
from nstlab.panels import studio_words as words
from nstlab.panels.studio import Studio
from nstlab.systems import Result

SCRIPT = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def panel(monkeypatch):
    """A studio that paints in no time; nothing is loaded ahead."""
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    made = Studio(small("cat"), size=32, more_size=48, steps=3)
    yield made
    made.session.close()


def choose(panel, name):
    panel.paintings.chosen = name
    panel.session.wait()


def press(panel, button):
    assert not button.disabled and there(button)
    button.click()
    panel.session.wait()


def there(widget) -> bool:
    return widget.layout.display != "none"


def linked(panel, css="nst-studio-download") -> tuple[str, bytes]:
    """(file name, bytes) behind the link of that class."""
    found = re.search(rf'class="{css}" download="([^"]+)" href="data:image/png;base64,([^"]+)"', panel.take.links.value)
    return found[1], base64.b64decode(found[2])


def test_it_opens_on_the_photo(panel):
    assert repr(panel) == "<Studio>" and panel.result is None
    assert Image.open(io.BytesIO(panel.swipe.before)).size == (72, 48) and panel.swipe.after == b""
    assert panel.paint_button.disabled and words.HELLO in panel.status.value
    assert panel.paintings.chosen == "" and panel.photos.chosen == panel.session.photo.key
    assert [there(each) for each in (panel.more_button, panel.stop_button, panel.brush, panel.more_choices)] == [False] * 4
    assert all(item["alt"] and item["picture"] for item in panel.paintings.items + panel.photos.items)


def test_from_the_first_look_to_a_picture_to_take_home(panel, tmp_path):
    choose(panel, "great-wave")
    assert words.LOOKED in panel.status.value and Image.open(io.BytesIO(panel.swipe.after)).size == (32, 21)
    assert "Hokusai" in panel.swipe.alt[1] and len(panel.strip.items) == 1
    press(panel, panel.paint_button)
    assert "Painted at 32 px" in panel.status.value and panel.paint_button.description == words.AGAIN
    press(panel, panel.more_button)
    assert panel.result.settings["size"] == 48 and not there(panel.more_button)
    assert [item["title"] for item in panel.strip.items] == ["48 px", "32 px", "first look"]
    name, data = linked(panel)
    assert name == "cat-great-wave-48.png"
    saved = tmp_path / "saved.png"
    saved.write_bytes(data)
    assert images.metadata(saved)["settings"] == panel.result.settings
    assert torch.equal(images.load(saved), images.eight_bit(panel.result.image))


def test_the_command_and_the_cell_make_the_picture_again(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choose(panel, "great-wave")
    press(panel, panel.paint_button)
    press(panel, panel.more_button)
    made = panel.session.shown
    first, second = made.command().splitlines()
    assert first.startswith("nstlab stylize --system preserve --size 32 --steps 3") and "-o cat-great-wave-32.png" in first
    assert "--start cat-great-wave-32.png" in second and "--levels 1" in second
    shown = {}
    exec(made.cell(), shown)
    assert torch.equal(images.eight_bit(shown["result"].image), images.eight_bit(made.result.image))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat-great-wave-32.png", "cat-great-wave-48.png"]
    assert "nst-studio-command" in panel.take.code.value and "--start" in panel.take.code.value


def test_a_strip_of_what_was_made(panel):
    choose(panel, "great-wave")
    press(panel, panel.paint_button)
    painted = panel.result
    choose(panel, "spring")
    assert panel.result is not painted and [item["name"] for item in panel.strip.items] == ["3", "2", "1"]
    assert panel.strip.chosen == "3"
    panel.strip.chosen = "2"
    assert panel.result is painted and panel.paintings.chosen == "great-wave" and "Painted at" in panel.status.value


def test_what_is_kept_is_drawn_and_corrected_in_place(panel):
    choose(panel, "great-wave")
    panel.protect.value = True
    assert there(panel.brush) and not there(panel.swipe) and panel.protect.description == words.UNPROTECT
    seen = load_map(panel.brush.mask).map
    assert seen.shape == (1, 1, 48, 72) and seen.max() > 0.5 > seen.min() and not there(panel.forget_button)
    mine = torch.zeros(1, 1, 48, 72)
    mine[..., 10:30] = 1
    panel.brush.mask = takeaway.png(mine)
    assert there(panel.forget_button)
    panel.protect.value = False
    press(panel, panel.paint_button)
    assert "guide: painted by hand" in panel.result.notes and panel.result.settings["guide"] == "protected.png"
    name, data = linked(panel, "nst-studio-download-map")
    assert name == "protected.png" and torch.equal(load_map(data).map, mine)
    panel.protect.value = True
    panel.forget_button.click()
    assert torch.equal(load_map(panel.brush.mask).map, seen) and panel.session.guide is None
    panel.photos.chosen = "coffee"  # what is drawn is that of a photo
    assert not panel.protect.value and there(panel.swipe)


def test_stop(panel):
    panel.session.steps = 100_000
    choose(panel, "great-wave")
    panel.paint_button.click()
    until(lambda: re.search(r"Painting: about \d+ \w+ left", panel.status.value), what="the time that is left")
    assert 'role="progressbar"' in panel.status.value and panel.paint_button.disabled and panel.system.disabled
    before = panel.swipe.after
    until(lambda: panel.swipe.after != before, what="a picture that changes")
    press(panel, panel.stop_button)
    assert "Stopped early" in panel.status.value and not there(panel.stop_button)


def test_finer_choices(panel):
    assert not there(panel.more_choices)
    panel.finer.value = True
    assert there(panel.more_choices) and there(panel.strength)
    choose(panel, "great-wave")
    panel.system.value, panel.strength.value = "gatys", 2.0
    assert not there(panel.protect)  # it keeps nothing
    press(panel, panel.paint_button)
    assert (panel.result.settings["system"], panel.result.settings["weights"]) == ("gatys", {"style": 2.0})
    panel.system.value = "wct"
    press(panel, panel.paint_button)
    assert panel.result.settings["system"] == "wct" and panel.result.settings["encoder"] == "vgg19"


def test_uploads(panel):
    arrive(panel.add_painting, ("a & b.png", png(50, 50, "red")), (SCRIPT, png(50, 50, "blue")))
    panel.session.wait()
    assert panel.add_painting.message == "" and [item["title"] for item in panel.paintings.items[:2]] == [SCRIPT[:-4], "a & b"]
    assert panel.result.settings["styles"] == [SCRIPT] and linked(panel)[0] == "cat-img-src-x-onerror-alert-1-32-quick.png"
    assert "<img" not in panel.take.code.value and "<img" not in panel.take.links.value and "<img" not in panel.status.value
    arrive(panel.add_painting, ("again.png", png(50, 50, "blue")))  # the same file
    assert len(panel.paintings.items) == 14
    arrive(panel.add_photo, ("mine.png", png()))
    panel.session.wait()
    assert panel.photos.chosen == panel.session.photo.key and panel.result.image.shape == (1, 3, 24, 32)
    arrive(panel.add_photo, ("letter.png", b"Dear teacher"))
    assert "letter.png is not a picture" in panel.add_photo.message and panel.session.photo.name == "mine.png"


def test_what_is_wrong_is_said_and_escaped(panel, monkeypatch):
    choose(panel, "great-wave")
    monkeypatch.setattr("nstlab.panels.orders.plan", lambda *a, **k: exec("raise error", {"error": SettingError("a <b>")}))
    press(panel, panel.paint_button)
    assert "a &lt;b&gt;" in panel.status.value and 'role="alert"' in panel.status.value
    monkeypatch.undo()
    press(panel, panel.paint_button)
    assert "Painted at" in panel.status.value


def test_saving_beside_the_notebook(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choose(panel, "great-wave")
    press(panel, panel.take.save)
    assert "cat-great-wave-32-quick.png" in panel.take.said.value
    assert images.load(tmp_path / "cat-great-wave-32-quick.png").shape == (1, 3, 21, 32)
    monkeypatch.setattr("os.open", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    panel.take.save.click()
    assert "cannot be written: No space left on device" in panel.take.said.value
    monkeypatch.setenv(desk.PLACE, "1:00")
    panel.take.show(panel.session.shown)
    assert not there(panel.take.save)  # a visitor has no folder


def test_a_visit_in_which_nothing_happens_ends_and_says_so(monkeypatch):
    told = []
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    monkeypatch.setenv(desk.IDLE_PLACE, "2")
    monkeypatch.setattr(desk, "served", lambda: True)
    monkeypatch.setattr(desk, "end_session", lambda: told.append("end"))
    panel = Studio(small("cat"), size=32, steps=3)
    until(lambda: told, what="the end of the visit")
    assert len(panel.children) == 2 and "This visit has ended" in panel.children[1].value
    panel.session.choose_photo("coffee")  # nothing is drawn any more, and nothing fails


def test_headless_it_paints(monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    panel = Studio(small("cat"), size=32, steps=3).autorun("great-wave")
    assert panel.result.settings["system"] == "adain"
    assert panel.autorun("great-wave", refine=True).result.settings["system"] == "preserve"
    with pytest.raises(NstlabError):
        Studio(small("cat"), size=32).autorun("no-such")


@pytest.mark.parametrize("wrong", [{"photo": "no-such"}, {"painting": "no-such"}, {"system": "magic"}, {"size": 0}])
def test_a_studio_that_cannot_be_opened(wrong, monkeypatch):
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    with pytest.raises(NstlabError):
        Studio(**{"photo": small("cat"), **wrong})


def test_names_of_files_hold_plain_letters():
    assert takeaway.file_name("../../etc/passwd", '<b onclick="x">.png', 512) == "passwd-b-onclick-x-512.png"
    assert takeaway.file_name("Müller's Katze.jpeg", "...", 32, quick=True) == "Müller-s-Katze-picture-32-quick.png"


def test_the_bytes_are_those_of_a_saved_file(tmp_path):
    result = Result(torch.rand(1, 3, 9, 7), [], {"content": "</pre><script>"}, ["a note"])
    path = result.save(tmp_path / "saved.png")
    mine = tmp_path / "mine.png"
    mine.write_bytes(takeaway.png(result.image, {"settings": result.settings, "notes": result.notes}))
    assert images.metadata(mine) == images.metadata(path) and torch.equal(images.load(mine), images.load(path))
