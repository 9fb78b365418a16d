"""Every bad input, through the command itself: one sentence, exit code 2, no traceback, nothing half-written."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nstlab import images
from nstlab.cli import app as cli
from nstlab.encoders import weights

TROUBLESOME = Path(__file__).parent / "troublesome"
TEXT = "this is not a picture"


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def picture(path, mode="RGB", size=(20, 14), color=None, **options):
    Image.new(mode, size, color or 0).save(path, **options)
    return path


def jpeg_cut_short(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    return write(path, path.read_bytes()[:1500])


def huge(path):
    """A PNG of 30000 x 30000 pixels: 2.7 GB if it were read, a few kB as a file."""
    return picture(path, mode="1", size=(30000, 30000))


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 8
    return picture(path, size=(20, 14), exif=exif)


def moving(path):
    frames = [Image.new("RGB", (20, 14), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def sixteen_bit(path):
    Image.fromarray(np.linspace(0, 65535, 280).astype(np.uint16).reshape(14, 20)).save(path)
    return path


def from_reports(name):
    return lambda folder: write(folder / name, (TROUBLESOME / name).read_bytes())


# name: (what CONTENT is, other arguments, part of the sentence; None where all must go well)
CASES = {
    "missing path": (lambda d: d / "none.jpg", [], "no such file"),
    "a folder": (lambda d: d, [], "is a folder"),
    "an empty file": (lambda d: write(d / "empty.jpg", b""), [], "empty.jpg is not a picture"),
    "text named .jpg": (lambda d: write(d / "text.jpg", TEXT), [], "text.jpg is not a picture"),
    "a truncated JPEG": (lambda d: jpeg_cut_short(d / "cut.jpg"), [], "cut.jpg is damaged or cut short"),
    "30000x30000": (lambda d: huge(d / "huge.png"), [], "more than 100 million pixels"),
    "1x1": (lambda d: picture(d / "one.png", size=(1, 1)), [], None),
    "3x2000": (lambda d: picture(d / "thin.png", size=(3, 2000)), [], None),
    "16-bit": (lambda d: sixteen_bit(d / "16.png"), [], None),
    "grey": (lambda d: picture(d / "grey.png", mode="L", color=90), [], None),
    "palette": (lambda d: picture(d / "palette.png", mode="P"), [], None),
    "CMYK": (lambda d: picture(d / "cmyk.jpg", mode="CMYK"), [], None),
    "RGBA": (lambda d: picture(d / "rgba.png", mode="RGBA"), [], None),
    "animated": (lambda d: moving(d / "moving.gif"), [], None),
    "EXIF-rotated": (lambda d: turned(d / "turned.jpg"), [], None),
    "damaged EXIF data": (from_reports("exif_rational_neg0.jpg"), [], None),
    "a long text beside the pixels": (from_reports("png_big_itxt.png"), [], None),
    "not-a-number in the pixels": (from_reports("float_nan.tif"), [], "values that are not numbers"),
    "a raw file": (from_reports("camera.dng"), [], "develop it first"),
    "PostScript": (from_reports("logo.eps"), [], "is not a picture"),
    "an error of a decoder": (from_reports("fuzz_AVIF_RuntimeError_0.avif"), [], ".avif is"),
    "a device without numbers": (lambda d: "cat", ["--device", "meta"], "not available here"),
    "unknown sample": (lambda d: "astronut", [], "did you mean astronaut"),
    "unknown encoder": (lambda d: "cat", ["--encoder", "vgg18"], "did you mean vgg19"),
    "unknown weight": (lambda d: "cat", ["--weight", "styel=2"], "did you mean style"),
    "unknown system": (lambda d: "cat", ["--system", "gatis"], "did you mean gatys"),
    "unknown optimiser": (lambda d: "cat", ["--optimizer", "sgd"], "lbfgs"),
    "unknown option": (lambda d: "cat", ["--sise", "9"], "No such option"),
    "negative weight": (lambda d: "cat", ["--weight", "style=-1"], "0 or more"),
    "NaN weight": (lambda d: "cat", ["--weight", "style=nan"], "finite number"),
    "weight without value": (lambda d: "cat", ["--weight", "style"], "NAME=VALUE"),
    "size 0": (lambda d: "cat", ["--size", "0"], "size 0"),
    "size in words": (lambda d: "cat", ["--size", "big"], "--size"),
    "steps 0": (lambda d: "cat", ["--steps", "0"], "steps 0"),
    "output folder missing": (lambda d: "cat", ["-o", "{d}/none/a.png"], "does not exist; make it first"),
    "output of no kind": (lambda d: "cat", ["-o", "{d}/a.xyz"], "name the picture with one of"),
    "output is a folder": (lambda d: "cat", ["-o", "{d}/sub.png"], "cannot be written"),
    "weights with a wrong hash": (lambda d: "cat", ["--encoder", "{wrong}"], "its hash differs"),
    "no network": (lambda d: "cat", ["--encoder", "vgg16-torchvision"], "could not be downloaded"),
    "weights that are text": (lambda d: "cat", ["--encoder", "{d}/text.pth"], "not a file of plain weights"),
    "a style that is missing": (lambda d: "cat", ["--style", "{d}/none.png"], "no such file"),
    "a style of another size": (lambda d: "cat", ["--style", "{d}/small.png"], None),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case, tmp_path, monkeypatch, capsys):
    make, extra, message = CASES[case]
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "sub.png").mkdir()
    write(folder / "text.pth", TEXT)
    picture(folder / "small.png", size=(7, 31))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.urlopen", no_network)
    if "{wrong}" in extra:
        monkeypatch.setattr(weights.Source, "path", lambda self: write(folder / "wrong.bin", TEXT))
        extra = []
    extra = [part.format(d=folder) for part in extra]
    style = "spring"
    if "--style" in extra:
        style = extra[1]
        extra = []
    out = tmp_path / "out.png"
    arguments = ["stylize", str(make(folder)), style, "--size", "32", "--steps", "2", "-o", str(out), *extra]
    before = sorted(folder.rglob("*")), sorted(tmp_path.glob("*.png"))
    monkeypatch.setattr(sys, "argv", ["nstlab", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    if message is None:
        assert stopped.value.code == 0 and max(images.load(out).shape[-2:]) == 32, said.err
    else:
        assert stopped.value.code == 2 and message in said.err, said.err
        assert said.err.count("\n") == 1 and "Traceback" not in said.err and said.out == ""
        assert not out.exists()
        if case != "weights with a wrong hash":
            assert before[1] == sorted(tmp_path.glob("*.png")) and len(sorted(folder.rglob("*"))) <= len(before[0]) + 1


def no_network(*args, **kwargs):
    raise OSError("Name or service not known")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(images.ImageError, match="cannot be written"):
        images.writable(tmp_path / "a.png")


def test_an_output_that_fails_at_the_last_moment(tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(
        sys, "argv", ["nstlab", "stylize", "cat", "spring", "--size", "32", "--steps", "1", "-o", str(tmp_path / "a.png")]
    )
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2 and "No space left" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_broken_metadata_is_no_metadata(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("nstlab", "{not json")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    assert images.metadata(tmp_path / "a.png") == {}
