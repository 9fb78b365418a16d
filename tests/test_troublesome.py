"""Files that were reported as troublesome, each with what is right for it. They stand for kinds: see test_decode."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from nstlab import images
from nstlab.errors import ImageError
from nstlab.guidance import load_map

FOLDER = Path(__file__).parent / "troublesome"
MEANS = {  # in 255ths, of all channels together or of each
    "png_big_itxt.png": 85.0,
    "png_exif_garbage.png": 85.0,
    "p3_rgb.png": (213, 115, 42),
    "p3_rgba_screenshot.png": (213, 115, 42),
    "adobe_rgba.tif": (224, 121, 53),
    "gray_linear.png": 175.5,
    "gray_gamma18.jpg": 129.2,
    "float01.tif": 127.5,
    "int32_65535.tif": 127.5,
}


@pytest.mark.parametrize("name", MEANS)
def test_colours(name):
    found = images.load(FOLDER / name).mean((0, 2, 3)) * 255
    want = MEANS[name]
    assert (
        found.tolist() == pytest.approx(want, abs=1)
        if isinstance(want, tuple)
        else found.mean().item() == pytest.approx(want, abs=1)
    )


@pytest.mark.parametrize("name", ["exif_rational_neg0.jpg", "exif_cut.jpg", "exif_subifd_out.jpg"])
def test_damaged_exif_data_keeps_its_orientation(name):
    image = images.load(FOLDER / name)
    assert image.shape == (1, 3, 48, 32)
    assert image[0, 0, :20].mean() > 0.95 and image[0, 2, :20].mean() < 0.05  # red on top
    assert images.metadata(FOLDER / name) == {}


@pytest.mark.parametrize("name", ["rgb_trns.png", "pal_trns.png"])
def test_the_transparent_half_is_white(name):
    image = images.load(FOLDER / name)
    white = (image == 1).all(1).float()
    assert white.mean() == 0.5 and (white.mean(1) == white[:, 0]).all()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("float_nan.tif", "float_nan.tif holds values that are not numbers"),
        ("camera.dng", "camera.dng is a raw file"),
        ("logo.eps", "logo.eps is not a picture"),
        ("fuzz_AVIF_RuntimeError_0.avif", "fuzz_AVIF_RuntimeError_0.avif is"),
    ],
)
def test_refused_in_one_sentence(name, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("another program was started"))
    monkeypatch.setattr("os.system", lambda *a: pytest.fail("another program was started"))
    other_name = shutil.copy(FOLDER / name, tmp_path / f"{name}.jpg")
    for path, words in ((FOLDER / name, sentence), (other_name, sentence.split(" ", 1)[1])):
        with pytest.raises(ImageError) as caught:
            images.load(path)
        assert words in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ImageError, match="the uploaded file"):
        images.load((FOLDER / name).read_bytes())


def test_masks():
    assert load_map(FOLDER / "mask_float01.tif").map.max() == 1
    brushed = load_map(FOLDER / "mask_white_on_transparent.png")
    with Image.open(FOLDER / "mask_white_on_transparent.png") as picture:
        opaque = torch.tensor(list(picture.getchannel("A").tobytes())).view(1, 1, 40, 60) == 255
    assert torch.equal(brushed.map, opaque.float()) and 0 < brushed.map.mean() < 1
    assert "transparent layer" in brushed.note


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16383), (".jpg", 65500)])
def test_what_a_format_cannot_hold_is_refused_before_the_work(suffix, side, tmp_path):
    height, width = images.fit(tuple(images.load(FOLDER / "panorama.png").shape[-2:]), side + 1)
    assert images.writable(tmp_path / f"x{suffix}", (1, side)) and images.writable(tmp_path / "x.png", (height, width))
    with pytest.raises(ImageError, match=f"at most {side} pixels a side"):
        images.writable(tmp_path / f"x{suffix}", (height, width))
    with pytest.raises(ImageError, match="at most"):
        images.save(torch.zeros(1, 3, 1, side + 1), tmp_path / f"x{suffix}")
    assert images.load(images.save(torch.zeros(1, 3, 1, side), tmp_path / f"x{suffix}")).shape == (1, 3, 1, side)


def test_metadata_of_a_newer_version_is_given_back_as_it_is():
    assert images.metadata(FOLDER / "meta_unknown_system.png")["settings"]["system"] == "future"


def test_a_name_that_begins_with_a_dash(monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert images.load("-photo.jpg").shape == (1, 3, 32, 48)
