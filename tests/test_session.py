"""A visit to the studio without its widgets: real networks, at a tiny size."""

from pathlib import Path

import pytest
import torch
from tiny import png, small
from waiting import until

from nstlab import images
from nstlab.errors import ImageError, NstlabError, SettingError
from nstlab.panels import orders, pictures
from nstlab.panels.session import Session

TROUBLE = Path(__file__).parent / "troublesome"
PHOTO = small("cat")
SCRIPT = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def session():
    made = Session(PHOTO, size=32, more_size=48, steps=3)
    yield made
    made.close()


@pytest.fixture
def slow():
    """A session whose runs last until they are stopped."""
    made = Session(PHOTO, "great-wave", size=32, steps=100_000).wait()
    yield made
    made.close()


def test_choosing_a_painting_shows_one_pass(session):
    assert session.shown is None and session.image.shape[-1] == 72
    session.protected()  # else a first look does not wait for it
    session.choose_painting("great-wave")
    session.wait()
    made = session.shown
    assert made.quick and made.result.image.shape == (1, 3, 21, 32) and not session.work.looking
    assert not torch.equal(made.result.image, images.load(PHOTO, 32))
    settings = made.result.settings
    assert (settings["system"], settings["encoder"], settings["size"]) == ("adain", "pocket", 32)
    assert settings["content"] == PHOTO and settings["styles"] == ["great-wave"] and settings["guide"] == "importance"
    again = images.eight_bit(__import__("nstlab").stylize(settings.pop("content"), settings.pop("styles"), **settings).image)
    assert torch.equal(again, images.eight_bit(made.result.image))  # the settings make it again


def test_painting_and_more_of_it(session):
    with pytest.raises(SettingError, match="choose one first"):
        session.paint()
    session.choose_painting("great-wave")
    session.wait()
    assert not session.can_do_more
    session.paint()
    session.wait()
    painted = session.shown
    assert not painted.quick and painted.size == 32 and painted.result.settings["system"] == "preserve"
    assert painted.result.settings["guide"] is None and painted.result.settings["encoder"] == "vgg19"
    assert session.can_do_more
    session.more()
    session.wait()
    larger = session.shown
    assert larger.size == 48 and larger.before is painted and larger.result.settings["start"] == painted.name
    assert not session.can_do_more and [made.quick for made in session.made.values()] == [True, False, False]


def test_stop_keeps_the_picture_so_far(slow):
    slow.paint()
    until(lambda: slow.work.live is not None, what="a picture of the run")
    assert slow.work.busy and 0 < slow.work.share < 1 and slow.idle() < 1
    until(lambda: slow.work.left, what="the time that is left")
    slow.stop()
    slow.wait()
    assert slow.shown.stopped and not slow.work.busy and slow.work.live is None


def test_another_painting_ends_a_run_and_is_what_is_shown(slow):
    slow.paint()
    until(lambda: slow.work.live is not None, what="a picture of the run")
    slow.choose_painting("spring")
    slow.wait()
    assert slow.shown.quick and slow.shown.painting == "spring"
    assert [made.painting for made in slow.made.values() if made.stopped] == ["great-wave"]  # and it is not lost


def test_a_storm_of_clicks(slow):
    for _ in range(5):
        for name in ("spring", "great-wave", "mona-lisa"):
            slow.choose_painting(name)
    for _ in range(20):
        slow.paint()
    slow.wait(0.1)
    for _ in range(20):
        slow.stop()
    slow.wait()
    assert slow.painting.key == "mona-lisa" and slow.said == ""
    slow.choose_painting("spring")
    slow.wait()
    assert slow.shown.painting == "spring" and len(slow.made) <= 12


def test_what_was_made_comes_back_with_its_settings(session):
    session.choose_painting("great-wave")
    session.wait()
    session.protect(torch.ones(1, 1, 48, 72).triu())
    session.choose_system("gatys", 2.0)
    session.paint()
    session.wait()
    first, number = session.shown, max(session.made)
    session.choose_photo("coffee")
    session.choose_painting("spring")
    session.choose_system("preserve")
    session.wait()
    assert session.guide is None and session.photo.key == "coffee"
    session.bring_back(number)
    assert session.shown is first and session.image.shape[-1] == 72
    assert (session.painting.key, session.system, session.strength) == ("great-wave", "gatys", 2.0)


def test_the_same_picture_is_kept_once_and_the_oldest_goes(session, monkeypatch):
    for name in ("great-wave", "spring", "great-wave"):
        session.choose_painting(name)
        session.wait()
    assert [made.painting for made in session.made.values()] == ["spring", "great-wave"]
    monkeypatch.setattr("nstlab.panels.session.MOST_MADE", 2)
    session.choose_painting("mona-lisa")
    session.wait()
    assert [made.painting for made in session.made.values()] == ["great-wave", "mona-lisa"]


def test_what_is_kept_is_found_and_can_be_corrected(session):
    found = session.protected()
    assert found.map.shape == (1, 1, 48, 72) and "importance" in found.method
    mine = torch.zeros(1, 1, 48, 72)
    mine[..., :20] = 1
    session.protect(mine)
    session.choose_painting("great-wave")
    session.wait()
    session.paint()
    session.wait()
    assert torch.equal(session.protected().map, mine) and torch.equal(session.shown.guide.map, mine)
    assert session.shown.result.settings["guide"] == "protected.png"
    session.protect(None)
    assert session.protected() is found
    with pytest.raises(NstlabError):
        session.protect(torch.full((1, 1, 48, 72), 7.0))


def test_uploads(session):
    session.upload("photo", [("../../etc/mine.png", png())])
    assert session.photo.name == "mine.png" and session.image.shape == (1, 3, 30, 40)
    session.upload("photo", [("again.png", png())])  # the same file
    assert [source.name for source in session.photos.sources() if source.values is not None] == ["mine.png"]
    session.upload("painting", [(SCRIPT, png(50, 50, "red")), ("b\nb.png", png(50, 50, "blue"))])
    session.wait()
    assert session.painting.name == "b_b.png" and session.shown.result.settings["styles"] == ["b_b.png"]
    assert SCRIPT in [source.name for source in session.paintings.sources()]
    for number in range(12):
        session.upload("painting", [(f"{number}.png", png(20, 20 + number))])
    added = [source for source in session.paintings.sources() if source.values is not None]
    assert len(added) == pictures.MOST_UPLOADS and added[0].name == "11.png"


@pytest.mark.parametrize("name", sorted(path.name for path in TROUBLE.iterdir()))
def test_a_troublesome_file_is_taken_or_refused_in_one_sentence(session, name):
    data, before = (TROUBLE / name).read_bytes(), session.photo
    try:
        session.upload("photo", [(name, data)])
    except ImageError as error:
        assert name.lstrip("-") in str(error) and "\n" not in str(error) and session.photo is before
    else:
        assert session.photo.name == name and session.image.shape[1] == 3


def test_the_good_ones_of_several_files_are_taken(session, monkeypatch):
    with pytest.raises(ImageError, match=r"letter\.png is not a picture"):
        session.upload("painting", [("good.png", png()), ("letter.png", b"Dear teacher")])
    assert session.painting.name == "good.png"
    with pytest.raises(ImageError, match="more than 50 million pixels"):
        session.upload("painting", [("huge.png", png(9000, 6000))])
    monkeypatch.setattr(pictures, "MOST_BYTES", 1000)
    with pytest.raises(ImageError, match="at most"):
        session.upload("painting", [("long.png", png() + bytes(2000))])


def test_what_goes_wrong_is_one_sentence(session, monkeypatch):
    session.choose_painting("great-wave")
    session.wait()
    for error, said in (
        (SettingError("choose <another> one"), "choose <another> one"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("boom\n at line 3"), r"this did not work (RuntimeError)"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ):
        monkeypatch.setattr(orders, "plan", lambda *a, error=error, **k: exec("raise error", {"error": error}))
        session.paint()
        session.wait()
        assert said in session.said and "\n" not in session.said and "boom" not in session.said
    monkeypatch.undo()
    session.paint()
    session.wait()
    assert session.said == "" and not session.shown.quick


def test_nothing_touches_the_disk(session, tmp_path, monkeypatch):
    session.choose_painting("great-wave")
    session.wait()
    real = open

    def full(path, mode="r", *rest, **more):
        if set(mode) & set("wax+"):
            raise OSError(28, "No space left on device")
        return real(path, mode, *rest, **more)

    monkeypatch.setattr("builtins.open", full)
    monkeypatch.setattr("os.open", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    session.upload("photo", [("mine.png", png())])
    session.paint()
    session.wait()
    assert session.said == "" and session.shown.photo == session.photo.key
    assert session.shown.png()[:4] == b"\x89PNG" and session.shown.thumb()
    with pytest.raises(ImageError, match="No space left"):
        session.shown.result.save(tmp_path / "kept.png")


@pytest.mark.parametrize(
    "wrong", [{"photo": "no-such"}, {"painting": "no-such"}, {"system": "magic"}, {"size": 0}, {"steps": 0}, {"more_size": 3}]
)
def test_a_session_that_cannot_begin(wrong):
    with pytest.raises(NstlabError):
        Session(**{"photo": PHOTO, **wrong})
