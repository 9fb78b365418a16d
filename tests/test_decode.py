"""What is read from a file, in every colour mode, depth, profile and orientation, beside a conversion in plain NumPy."""

import io
import struct
import zlib

import numpy as np
import profiles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nstlab import images
from nstlab.errors import ImageError
from nstlab.formats import containers, decode

GAMMAS = (1.0, 1.80078125, 2.19921875)  # multiples of 1 / 256, as profiles hold them
TURNED = {  # what each EXIF orientation asks for, on rows and columns
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
MODES = {  # mode: formats that hold it
    "RGB": ("PNG", "TIFF", "WEBP"),
    "RGBA": ("PNG", "TIFF", "WEBP"),
    "P": ("PNG", "TIFF"),
    "P with opacities": ("PNG",),
    "RGB with a key": ("PNG",),
    "L": ("PNG", "TIFF"),
    "LA": ("PNG", "TIFF"),
    "L with a key": ("PNG",),
    "I;16": ("PNG", "TIFF"),
    "I;16 with a key": ("PNG",),
    "I": ("TIFF",),
    "F": ("TIFF",),
}


def drawn(mode: str, rng: np.random.Generator):
    """A picture of 5 x 7 pixels, its values (5, 7, 1 or 3) and its opacity (5, 7) in [0, 1], and options to save it with."""
    opacity, options, grey = np.ones((5, 7)), {}, not mode.startswith(("RGB", "P"))
    values = rng.integers(0, 256, (5, 7, 1 if grey else 3))
    if mode == "RGBA" or mode == "LA":
        alpha = rng.integers(0, 256, (5, 7, 1))
        picture = Image.fromarray(np.concatenate([values, alpha], 2).astype(np.uint8), mode)
        return picture, values / 255, alpha[..., 0] / 255, options
    if mode in ("RGB", "RGB with a key"):
        picture = Image.fromarray(values.astype(np.uint8))
    elif mode.startswith("P"):
        indices = rng.integers(0, 16, (5, 7))
        palette = rng.integers(0, 256, (16, 3))
        picture, values = Image.fromarray(indices.astype(np.uint8), "P"), palette[indices]
        picture.putpalette(palette.astype(np.uint8).tobytes())
        if mode != "P":
            alphas = rng.integers(0, 256, 16)
            return picture, values / 255, alphas[indices] / 255, {"transparency": bytes(alphas.tolist())}
    elif mode.startswith("L"):
        picture = Image.fromarray(values[..., 0].astype(np.uint8))
    else:
        values = rng.integers(0, 65536, (5, 7, 1))
        values[0, 0] = 65535
        kind = {"I": np.int32, "F": np.float32}.get(mode, np.uint16)
        picture = Image.fromarray((values[..., 0] / (65535 if mode == "F" else 1)).astype(kind))
    if mode.endswith("key"):
        key = values[2, 3]
        opacity = (values != key).any(2).astype(float)
        options["transparency"] = tuple(key.tolist()) if len(key) == 3 else int(key[0])
    return picture, values / (65535 if picture.mode[0] in "IF" else 255), opacity, options


@settings(deadline=None, max_examples=250)
@given(
    st.sampled_from(sorted((mode, kind) for mode, kinds in MODES.items() for kind in kinds)),
    st.sampled_from(["none", *profiles.PRIMARIES]),
    st.sampled_from(GAMMAS),
    st.integers(1, 8),
    st.integers(0, 10**6),
)
def test_what_is_read_is_what_is_meant(mode_and_kind, primaries, gamma, orientation, seed):
    mode, kind = mode_and_kind
    picture, values, opacity, options = drawn(mode, np.random.default_rng(seed))
    grey = values.shape[2] == 1
    if primaries != "none":
        options["icc_profile"] = profiles.grey_profile(gamma) if grey else profiles.rgb_profile(primaries, gamma)
        values = profiles.grey_meaning(values, gamma) if grey else profiles.rgb_meaning(values, primaries, gamma)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture.save(file, kind, exif=exif, **options, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    want = TURNED[orientation](1 - opacity[..., None] * (1 - np.broadcast_to(values, (5, 7, 3))))
    found = images.load(file.getvalue())[0].permute(1, 2, 0).numpy()
    assert found.shape == want.shape and np.abs(found - want).max() <= 2 / 255


def test_the_reference_itself():
    """Display P3's red in sRGB is 1.2249, -0.0420, -0.0197 in linear light; a grey is a grey in any of them."""
    matrix = np.linalg.inv(profiles.to_xyz("srgb")) @ profiles.to_xyz("p3")
    assert np.allclose(matrix[:, 0], [1.2249, -0.0420, -0.0197], atol=2e-4)
    assert np.allclose(profiles.rgb_meaning(np.full(3, 0.5), "adobe", 1.0), 0.7354, atol=1e-3)


def test_inks_by_their_profile():
    """Full and empty inks look as the profile says, not as their names suggest; with black ink all are black."""
    colors = np.random.default_rng(1).integers(20, 236, (2, 2, 2, 2, 3))
    colors[0, 0, 0, 0], colors[..., 1, :] = 255, 0
    profile = profiles.cmyk_profile(profiles.lab(colors / 255))
    inks = np.stack(np.meshgrid(*[[0, 255]] * 4, indexing="ij"), -1).reshape(4, 4, 4)
    for kind in ("TIFF", "JPEG"):
        file = io.BytesIO()
        picture = Image.fromarray(inks.astype(np.uint8), "CMYK").resize((64, 64), Image.Resampling.NEAREST)
        picture.save(file, kind, icc_profile=profile, **({"quality": 100} if kind == "JPEG" else {}))
        found = images.load(file.getvalue())[0, :, 8::16, 8::16].permute(1, 2, 0).numpy().reshape(2, 2, 2, 2, 3) * 255
        assert np.abs(found - colors).max() <= 2, kind


def saved(picture, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, color: int, rows: list[bytes], width: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return containers.PNG + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "key", "row"), [(1, 1, 0b01000000), (2, 2, 0b00100100), (4, 3, 0b00110011)])
def test_a_key_counts_in_the_depth_of_the_file(depth, key, row):
    """Two pixels: the second of 1 bit, the second of 2 bits, the first and only other of 4 bits are the key."""
    found = images.load(png(depth, 0, [bytes([row])], 2, chunk(b"tRNS", struct.pack(">H", key))))[0, 0, 0].tolist()
    assert found == {1: [0, 1], 2: [0, 1], 4: [1, 1]}[depth]


def test_a_key_of_sixteen_bit_colours():
    row = struct.pack(">6H", 0, 65535, 0, 65535, 0, 0)
    found = images.load(png(16, 2, [row], 2, chunk(b"tRNS", struct.pack(">3H", 0, 65535, 0))))
    assert found[0, :, 0].T.tolist() == [[1, 1, 1], [1, 0, 0]]


def tiff(**options):
    return lambda values: saved(Image.fromarray(values), "TIFF", **options)


def test_numbers_by_their_range():
    ramp = np.linspace(0, 1, 12).reshape(3, 4)
    ranges = [
        (np.float32, 1),
        (np.float32, 255),
        (np.float32, 65535),
        (np.int32, 255),
        (np.int32, 65535),
        (np.int32, 2**31 - 1),
    ]
    for kind, high in ranges:
        found = images.load(tiff()((ramp * high).astype(kind)))
        assert np.abs(found[0, 0].numpy() - ramp).max() < 1.01 / min(high, 255) if high > 1 else 1e-6, (kind, high)
    assert images.load(tiff()(np.eye(4, dtype=np.int32)))[0, 0].tolist() == np.eye(4).tolist()
    assert images.load(tiff()(np.zeros((2, 2), np.float32))).max() == 0
    overshot = images.load(tiff()(np.array([[-0.01, 1.02]], np.float32)))
    assert overshot[0, 0].tolist() == [[0, 1]]


@pytest.mark.parametrize("high", [3.5, 1000, 1e6, -1.0, np.inf, -np.inf, np.nan])
def test_numbers_of_an_unknown_range_are_refused(high):
    with pytest.raises(ImageError, match="the uploaded file holds|which of them is white is not known"):
        images.load(tiff()(np.array([[0.0, high]], np.float32)))


def test_unsigned_numbers_of_thirty_two_bits():
    values = np.array([[0, 2**32 - 1, 2**31]], np.uint32)
    data = bytearray(tiff()(values.view(np.int32)))
    at = data.index(struct.pack("<HHIH", 339, 3, 1, 2))  # SampleFormat, signed
    data[at + 8] = 1
    assert np.allclose(images.load(bytes(data))[0, 0].numpy(), [[0, 1, 0.5]])


def test_white_that_is_zero_in_sixteen_bits():
    data = bytearray(tiff()(np.array([[0, 65535, 13107]], np.uint16)))
    data[data.index(struct.pack("<HHI", 262, 3, 1)) + 8] = 0  # PhotometricInterpretation
    assert np.allclose(images.load(bytes(data))[0, 0].numpy(), [[1, 0, 0.8]])


def test_lab_and_premultiplied_colours():
    lab = Image.new("LAB", (2, 2), (255, 128, 128))
    assert (images.load(saved(lab, "TIFF")) > 0.98).all()
    assert np.allclose(images.from_pil(Image.new("RGBa", (1, 1), (128, 0, 0, 128)))[0, :, 0, 0], [1, 0.5, 0.5], atol=0.01)


def test_broken_and_foreign_profiles_are_left_out():
    want = images.load(saved(Image.new("RGB", (2, 2), (200, 80, 20))))
    for profile in (b"nonsense", profiles.rgb_profile("p3", 2.0)[:150], profiles.grey_profile(1.0)):
        assert images.load(saved(Image.new("RGB", (2, 2), (200, 80, 20)), icc_profile=profile)).equal(want)
    grey = saved(Image.new("L", (2, 2), 100), icc_profile=profiles.rgb_profile("p3", 1.0))
    assert np.allclose(images.load(grey).numpy() * 255, profiles.grey_meaning(np.array(100 / 255), 1.0) * 255, atol=2)


# damaged metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"zTXt", b"note\0\7nonsense"),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iCCP", b"no end of the name"),
        chunk(b"pHYs", b"\0"),
        chunk(b"eXIf", b"nonsense"),
        chunk(b"tEXt", b"a\0b")[:-1] + b"!",
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"\0"),
        chunk(b"sRGB", b""),
        chunk(b"acTL", b"\0\0"),
    ],
)
def test_chunks_besides_the_pixels_never_stop_a_png(extra):
    whole = saved(Image.fromarray(PIXELS))
    for data in (whole[:33] + extra + whole[33:], whole[:-12] + extra + whole[-12:]):
        assert np.array_equal(images.load(data)[0].permute(1, 2, 0).mul(255).round().byte().numpy(), PIXELS)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["JPEG", "TIFF", "WEBP", "PNG"]), st.data())
def test_noise_in_exif_data_never_stops_a_picture(kind, data):
    """Bytes of the EXIF data, or of what a TIFF's directory points to, are changed; the orientation stays."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A], exif[0x9000] = 6, "a picture", (72, 1), b"0232"
    exif.get_ifd(0x8769)[0x829A] = (1, 60)
    whole = saved(Image.fromarray(PIXELS), kind, exif=exif)
    want = images.load(whole)
    assert want.shape == (1, 3, 9, 6)
    entry = exif.tobytes().removeprefix(b"Exif\0\0")
    at = whole.index(b"a picture") if kind == "TIFF" else whole.index(entry[-30:])
    noise = data.draw(st.binary(min_size=9, max_size=9))
    if kind == "PNG":
        start = whole.index(b"eXIf")
        length = int.from_bytes(whole[start - 4 : start], "big")
        body = bytearray(whole[start + 4 : start + 4 + length])
        body[-9:] = noise
        damaged = whole[: start - 4] + chunk(b"eXIf", bytes(body)) + whole[start + 8 + length :]
    else:
        damaged = whole[:at] + noise + whole[at + 9 :]
    assert images.load(damaged).equal(want)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000"]), st.randoms(use_true_random=False)
)
def test_a_damaged_file_is_a_picture_or_one_sentence(kind, random):
    if kind not in decode._formats():
        return
    data = bytearray(saved(Image.fromarray(PIXELS), kind))
    for _ in range(random.randint(1, 6)):
        data[random.randrange(len(data))] = random.randrange(256)
    try:
        found = images.load(bytes(data[: random.choice([len(data), random.randrange(1, len(data))])]))
        assert found.min() >= 0 and found.max() <= 1
    except ImageError as error:
        assert "\n" not in str(error) and str(error).startswith("the uploaded file")


def test_orientation_without_pillow():
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        exif = mark + struct.pack(order + "IHHHIHxx", 8, 1, 274, 3, 1, 6)
        assert containers.tag(b"Exif\0\0" + exif, 274) == 6 and containers.tag(exif[:-9], 274) == 0
    assert containers.tag(b"", 274) == containers.tag(b"II*\0", 274) == 0


# raw files and thumbnails


def with_tags(data: bytes, **more) -> bytes:
    """A little-endian TIFF with further entries in its first directory: number_of_the_tag=value."""
    entries = containers._entries(data)
    for name, value in more.items():
        entries[int(name[1:])] = struct.pack("<HHII", int(name[1:]), 4, 1, value)
    body = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + body


def test_raw_files_are_refused():
    small = saved(Image.new("RGB", (4, 4)), "TIFF")
    sensor = struct.pack("<HHHIHxxHHIHxx", 2, 256, 3, 1, 100, 262, 3, 1, 32803) + bytes(4)
    for data in (
        with_tags(small, t50706=0x00000401),
        with_tags(small, t254=1),
        with_tags(small + sensor, t330=len(small)),
        small[:8] + b"CR" + small[10:],
    ):
        with pytest.raises(ImageError, match="raw file or holds only a thumbnail"):
            images.load(data)


def test_a_page_that_is_a_thumbnail_is_passed_over():
    page = Image.new("RGB", (12, 8), "red")
    data = saved(Image.new("RGB", (3, 2), "blue"), "TIFF", save_all=True, append_images=[page], tiffinfo={254: 1})
    data = bytearray(data)
    assert data.count(struct.pack("<HHII", 254, 4, 1, 1)) == 2  # Pillow marks both
    at = data.rindex(struct.pack("<HHII", 254, 4, 1, 1))
    data[at + 8] = 0
    assert images.load(bytes(data)).shape == (1, 3, 8, 12)
