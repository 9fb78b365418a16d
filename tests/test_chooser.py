"""The chooser without a browser: samples, paths and uploads, good ones and bad ones."""

import io
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from sending import arrive
from tiny import small

from nstlab import images, samples
from nstlab.errors import ImageError, SettingError
from nstlab.panels import chooser
from nstlab.panels.chooser import PictureChooser, read_upload
from nstlab.panels.painter import MapPainter
from nstlab.panels.triangle import StyleTriangle

EPS = (Path(__file__).parent / "troublesome" / "logo.eps").read_bytes()
SCRIPT = "<img src=x onerror=alert(1)>.png"


def png(width=9, height=6, mode="RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def panel(heard):
    made = PictureChooser("nst-test", heard.append)
    made.show("cat")
    return made


def test_a_sample_a_path_an_upload(panel, heard, tmp_path):
    path = images.save(torch.rand(1, 3, 6, 9), tmp_path / "mine.png")
    panel.pick.value = "coffee"
    panel.path.value = f" {path} "
    assert panel.pick.value is None and panel.name == str(path)
    arrive(panel.upload, ("a & b.png", png()))
    assert heard[:2] == ["coffee", str(path)] and heard[2].shape == (1, 3, 6, 9)
    assert panel.source is heard[2] and panel.name == "a & b.png" and panel.label.value == "a &amp; b.png"
    assert panel.pick.value is None and panel.path.value == ""
    panel.pick.value = "cat"
    assert panel.source == panel.name == "cat" and panel.label.value == ""


def test_it_offers_what_it_is_told(panel, heard):
    assert [value for _, value in panel.pick.options] == samples.names("photo") + samples.names("painting")
    panel.offer(["a", "b"], own=False)
    assert [value for _, value in panel.pick.options] == ["a", "b"]
    assert panel.source == "cat" and panel.upload.layout.display == panel.path.layout.display == "none"
    panel.offer(samples.names())
    assert panel.pick.value == "cat" and panel.upload.layout.display == panel.path.layout.display == ""
    assert heard == []


def test_none_is_a_choice_where_it_may_be(heard):
    panel = PictureChooser("nst-test", heard.append, optional=True)
    assert panel.source is None and panel.pick.value == ""
    panel.pick.value = "cat"
    panel.pick.value = ""
    assert heard == ["cat", None] and panel.source is None and panel.name == ""


def test_what_is_wrong_is_said_and_nothing_changes(panel, heard):
    def refuse(source):
        raise SettingError("not this one, <b>please</b>")

    panel._on_choice = refuse
    panel.pick.value = "coffee"
    assert panel.source == panel.pick.value == "cat" and "not this one, &lt;b&gt;please" in panel.label.value
    panel.path.value = "coffe.jpg"
    assert panel.source == "cat" and panel.path.value == "coffe.jpg"  # to be mended
    arrive(panel.upload, ("mine.png", b"no picture"))
    assert panel.source == "cat" and "mine.png is not a picture" in panel.label.value
    panel._on_choice = heard.append
    arrive(panel.upload, ("mine.png", png()))  # the same button may be used at once
    assert len(heard) == 1 and panel.name == "mine.png"


@pytest.mark.parametrize(
    "data, name, said",
    [
        (b"some text, not a picture", "mine.png", "mine.png is not a picture in a format that can be read here"),
        (png(200, 200)[:80], "mine.png", "mine.png is damaged or cut short"),
        (EPS, "mine.png", "mine.png is not a picture in a format that can be read here"),  # Ghostscript would run it
        (b"", "mine.png", "mine.png is not a picture"),
        (png(), SCRIPT, "holds characters that no file name should"),
        (png(), "a\nb.png", "holds characters that no file name should"),
    ],
)
def test_bad_uploads(data, name, said):
    with pytest.raises(ImageError) as caught:
        read_upload(name, data)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("width, height", [(20_000, 10_000), (9_000, 6_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch, width, height):
    header = png(1, 1, "L")
    ihdr = header.index(b"IHDR") + 4
    changed = header[:ihdr] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + header[ihdr + 8 :]
    body = changed[ihdr - 4 : ihdr + 13]
    changed = changed[: ihdr + 13] + zlib.crc32(body).to_bytes(4, "big") + changed[ihdr + 17 :]
    monkeypatch.setattr(images, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"mine.png has (20000 x 10000, )?more than \d+ million pixels"):
        read_upload("mine.png", changed)


def test_a_script_in_a_name_never_reaches_html(panel):
    arrive(panel.upload, (SCRIPT, png()))
    assert "<img" not in panel.label.value and "&lt;img" in panel.label.value and panel.source == "cat"
    panel.show(torch.rand(1, 3, 4, 4), SCRIPT)
    assert "<img" not in panel.label.value


def test_large_uploads_are_made_smaller(monkeypatch):
    monkeypatch.setattr(chooser, "LONG_SIDE", 40)
    assert read_upload("wide.png", png(80, 20))[0].shape == (1, 3, 10, 40)


def test_a_visitor_names_no_files_of_the_server(monkeypatch, heard):
    assert PictureChooser("nst-test", heard.append).path.layout.display == ""
    monkeypatch.setenv("VOILA_REQUEST_URL", "http://localhost/")
    panel = PictureChooser("nst-test", heard.append)
    panel.offer(["cat"])
    assert panel.path.layout.display == "none"
    panel.path.value = "/etc/passwd"  # hidden does not mean that nobody can send it
    assert heard == [] and panel.source is None


def test_it_can_be_switched_off(panel):
    panel.enable(False)
    assert panel.pick.disabled and panel.path.disabled and panel.upload.disabled
    panel.enable(True)
    assert not panel.pick.disabled


def test_the_painter_takes_another_photo():
    panel = MapPainter(small("cat")).stroke([(0.5, 0.5)])
    shown, drawn = panel.surface.picture, panel.surface.mask
    arrive(panel.chooser.upload, ("mine.png", png(40, 80)))
    assert panel.photo.shape == (1, 3, 80, 40) and panel.guide.map.shape == (1, 1, 80, 40) and panel.guide.uniform
    assert panel.surface.picture != shown and panel.surface.mask != drawn and not panel.surface.can_undo
    panel.chooser.path.value = "no-such-file.png"
    assert panel.photo.shape == (1, 3, 80, 40) and "there is no such file" in panel.chooser.label.value
    assert panel.look(small("cat")).chooser.path.value == small("cat")


def test_the_triangle_takes_other_pictures(fast_encoder):
    panel = StyleTriangle(small("cat"), [small("great-wave")] * 3, size=16, steps=1, levels=1, encoder=fast_encoder)
    corners, shown = panel.board.pictures, panel.view.value
    panel.paint_blend()
    panel.runner.wait(60)
    painted = panel.view.value
    assert painted != shown
    arrive(panel.choosers[2].upload, ("mine <b>.png", png(30, 20)))  # refused
    arrive(panel.choosers[2].upload, ("mine & more.png", png(30, 20)))
    assert panel.names == ["great-wave", "mine & more", "great-wave"] and panel.sliders[1].label == "mine & more"
    assert panel.board.pictures != corners and panel.view.value == shown and not panel.blend_button.disabled
    panel.choosers[0].pick.value = "two-dogs"
    assert panel.view.value != shown and "nothing is painted" in panel.label.value
    assert panel.take(3, small("starry-night")).choosers[3].path.value == small("starry-night")
    with pytest.raises(SettingError, match="picture"):
        panel.take(4, "cat")
    with pytest.raises(ImageError):
        panel.take(1, "no-such-picture")
    assert panel.names == ["great-wave", "mine & more", "starry-night"]
