import struct
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from nstlab import images, samples
from nstlab.errors import ImageError, SettingError

RED = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)


def test_samples_ship_with_credits():
    assert len(samples.names("photo")) == 13 and len(samples.names("painting")) == 12
    for sample in samples.catalogue().values():
        image = images.load(sample.name)
        assert image.shape == (1, 3, sample.height, sample.width)
        assert image.dtype == torch.float32 and 0 <= image.min() and image.max() <= 1
        assert sample.credit and sample.licence and sample.origin
    for name in ("astronaut", "cat", "two-dogs", "starry-night", "great-wave", "composition-viii"):
        assert name in samples.names()


def test_modes_are_read_right(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "16.png")
    assert torch.allclose(images.load(tmp_path / "16.png")[0, 0], torch.from_numpy(ramp / 65535).float(), atol=1e-4)
    Image.new("L", (4, 3), 51).save(tmp_path / "grey.png")
    assert torch.allclose(images.load(tmp_path / "grey.png"), torch.full((1, 3, 3, 4), 0.2))
    for mode, color in (("P", 1), ("CMYK", (0, 255, 255, 0)), ("RGBA", (255, 0, 0, 255)), ("1", 1)):
        picture = Image.new(mode, (4, 3), color)
        if mode == "P":
            picture.putpalette([0, 0, 0, 255, 0, 0])
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        picture.save(path)
        want = torch.ones(1, 3, 3, 4) if mode == "1" else RED.expand(1, 3, 3, 4)
        assert torch.allclose(images.load(path), want, atol=0.02), mode


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert torch.equal(images.load(tmp_path / "clear.png"), torch.ones(1, 3, 2, 2))


def test_first_frame_and_rotation(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert torch.allclose(images.load(tmp_path / "moving.gif"), RED.expand(1, 3, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (6, 2), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert images.load(tmp_path / "turned.jpg").shape == (1, 3, 6, 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_resize_keeps_proportions_and_argument(height, width, size):
    image = torch.rand(1, 3, height, width)
    before = image.clone()
    resized = images.resize(image, size)
    assert max(resized.shape[-2:]) == size and torch.equal(image, before)
    assert min(resized.shape[-2:]) == max(1, round(min(height, width) * size / max(height, width)))
    assert 0 <= resized.min() and resized.max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_save_and_load(tmp_path, photo, suffix):
    path = images.save(photo, tmp_path / f"a{suffix}", {"settings": {"size": 96, "name": "é"}})
    again = images.load(path)
    assert (again - photo).abs().mean() < (0.003 if suffix in (".png", ".tif", ".bmp") else 0.03)
    assert images.metadata(path) == ({} if suffix == ".bmp" else {"settings": {"size": 96, "name": "é"}})


def test_a_failed_save_leaves_the_old_file(tmp_path, photo, monkeypatch):
    path = images.save(photo, tmp_path / "a.png")
    before = path.read_bytes()
    monkeypatch.setattr(Image.Image, "save", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ImageError, match="No space left"):
        images.save(photo, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_contract_is_enforced():
    for bad in (torch.rand(3, 8, 8), torch.rand(1, 4, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(ImageError, match="float tensor"):
            images.check(bad)
    with pytest.raises(SettingError, match="size 0"):
        images.fit((4, 4), 0)
    with pytest.raises(ImageError, match="not numbers"):
        images.load(torch.full((1, 3, 2, 2), float("nan")))


@pytest.mark.parametrize("size", ["6x4", "48.5", 48.5, "", (64,), (0, 4), (3, 4, 5), None, True, np.float64("nan"), (4, "4.5")])
def test_sizes_that_are_no_numbers_of_pixels_are_refused(size):
    with pytest.raises(SettingError, match="size"):
        images.fit((300, 451), size)


def test_numbers_of_numpy_and_torch_are_numbers():
    for size in (np.int64(64), np.uint8(64), torch.tensor(64), np.array(64), 64.0, np.float64(64), "64", "64.0"):
        assert images.fit((300, 451), size) == (43, 64) and type(images.fit((300, 451), size)[0]) is int
    for size in ((np.int32(3), 4), [3, 4], np.array([3, 4]), torch.tensor([3, 4]), (3.0, "4")):
        assert images.fit((300, 451), size) == (3, 4)
    assert images.load("cat", "64").shape == images.load("cat", 64).shape


def test_a_picture_in_every_form(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    want = torch.from_numpy(array).permute(2, 0, 1)[None] / 255
    for source in (picture, array, data, bytearray(data), memoryview(data), tmp_path / "a.png", str(tmp_path / "a.png"), want):
        assert torch.equal(images.load(source), want)
    with Image.open(tmp_path / "a.png") as opened:
        assert torch.equal(images.load(opened), want)
    for bad in (None, 3, [1, 2], array / 255, np.zeros((0, 3), np.uint8), np.zeros((2, 2, 2), np.uint8)):
        with pytest.raises(ImageError, match="picture"):
            images.load(bad)


def test_a_picture_opened_by_the_caller_that_is_cut_short(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:900])
    with Image.open(tmp_path / "a.jpg") as opened, pytest.raises(ImageError, match="PIL image cannot be read"):
        images.load(opened)


def test_settings_too_long_for_a_jpeg_do_not_lose_the_picture(tmp_path, photo):
    with pytest.warns(UserWarning, match="without its settings"):
        path = images.save(photo, tmp_path / "a.jpg", {"notes": "x" * 70_000})
    assert images.metadata(path) == {} and images.load(path).shape == photo.shape


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 50_000, "7" * 9999, "[1]", "{not json", "null", "\x00", '"text"'])
def test_hostile_metadata_is_no_metadata(text, tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("nstlab", text)
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    exif = Image.Exif()
    exif[0x010E] = text[:60_000]
    Image.new("RGB", (2, 2)).save(tmp_path / "a.jpg", exif=exif)
    for name in ("a.png", "a.jpg"):
        assert images.metadata(tmp_path / name) == {} and images.load(tmp_path / name).shape == (1, 3, 2, 2)


def test_metadata_outlives_the_faults_of_others(tmp_path):
    """Behind a text that is too long, the settings of ours are still found."""
    path = images.save(torch.zeros(1, 3, 2, 2), tmp_path / "a.png", {"settings": {"size": 2}})
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(3_000_000))) + data[-12:])
    assert images.metadata(path) == {"settings": {"size": 2}}
    path.write_bytes(data[:33] + chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(3_000_000))) + data[33:])
    assert images.metadata(path) == {"settings": {"size": 2}}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_eight_bits_are_what_a_file_holds(tmp_path):
    assert images.eight_bit(torch.tensor([-0.2, 0.5 / 255 + 1e-4, 0.5, 1.7])).mul(255).tolist() == pytest.approx(
        [0, 1, 128, 255]
    )
    every = torch.arange(256.0).div(255).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    noise = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    for image in (every, noise):
        assert torch.equal(images.load(images.save(image, tmp_path / "a.png")), images.eight_bit(image))


SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(shape=SHAPES, margins=st.tuples(*[st.integers(0, 8)] * 4), mirrored=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_gradient_of_padding_is_that_of_torch(shape, margins, mirrored, seed):
    """Whole numbers, whose sums are the same in any order."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.randint(-9, 9, shape, generator=draw).double().requires_grad_()
    fits = mirrored and max(margins[:2]) < shape[3] and max(margins[2:]) < shape[2]
    wanted, found = F.pad(image, margins, mode="reflect" if fits else "replicate"), images.pad(image, margins, mirrored)
    assert torch.equal(found, wanted) and torch.equal(images._Pad.apply(image, margins, fits), wanted)
    gradient = torch.randint(-9, 9, wanted.shape, generator=draw).double()
    (theirs,) = torch.autograd.grad(wanted, image, gradient)
    (ours,) = torch.autograd.grad(images._Pad.apply(image, margins, fits), image, gradient)
    assert torch.equal(ours, theirs) and torch.equal(images.pad_gradient(gradient, margins, fits), theirs)


def test_padding_by_hand_and_its_second_gradient():
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert images.pad(row, (2, 1, 0, 0)).flatten().tolist() == [3, 2, 1, 2, 3, 2]
    assert images.pad(row, (2, 1, 0, 0), mirrored=False).flatten().tolist() == [1, 1, 1, 2, 3, 3]
    assert images.pad_gradient(torch.tensor([[[[1.0, 2, 4, 8, 16, 32]]]]), (2, 1, 0, 0)).flatten().tolist() == [4, 42, 17]
    image = torch.rand(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    for mirrored in (True, False):
        squared = lambda x, m=mirrored: images._Pad.apply(x, (2, 1, 1, 2), m) ** 2
        assert torch.autograd.gradcheck(squared, image) and torch.autograd.gradgradcheck(squared, image)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, whose own gradient of padding is compared")
@pytest.mark.parametrize("mirrored", [True, False])
def test_on_cuda_the_gradient_of_padding_is_the_same_each_time(mirrored):
    draw = torch.Generator().manual_seed(0)
    image, gradient = torch.rand(2, 8, 63, 65, generator=draw), torch.randn(2, 8, 70, 76, generator=draw)
    found = []
    for device in ("cpu", *["cuda"] * 8):
        x = image.to(device).requires_grad_()
        y = images.pad(x, (5, 6, 3, 4), mirrored)
        found.append((y.detach().cpu(), torch.autograd.grad(y, x, gradient.to(device))[0].cpu()))
    assert torch.equal(found[0][0], found[1][0]) and torch.allclose(found[0][1], found[1][1], atol=1e-4)
    assert all(torch.equal(one, found[1][1]) for _, one in found[1:])
