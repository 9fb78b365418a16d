"""From a picture file to numbers, whatever its colour mode, bit depth, colour profile, orientation and transparency.

Only the raster formats in FORMATS are opened: none of them runs another program. Whatever goes wrong is an ImageError of one
sentence.
"""

import functools
import io
import warnings

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from nstlab.errors import ImageError
from nstlab.formats import containers

FORMATS = ("PNG", "JPEG", "GIF", "PPM", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000")
MAX_PIXELS = 100_000_000  # 1.2 GB as float32; a larger picture is refused from its header
MAX_BYTES = 2 * 10**9  # a file of MAX_PIXELS is smaller than this in any of the formats
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def read(data: bytes, label: str, take):
    """`take(picture)` of the picture in a file's bytes; `label` is its name in messages. Raises ImageError.

    A file that cannot be read as it is gets a second chance without its metadata.
    """
    failed = None
    for whole in (True, False):
        copy = data if whole else containers.reduced(data)
        if copy is None:
            break
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of damaged metadata, and of many pixels, which are counted below
                with Image.open(io.BytesIO(copy), formats=_formats()) as picture:
                    _check_header(picture, data, label)
                    return take(picture)
        except ImageError:
            raise
        except Exception as error:  # decoders raise nearly everything
            failed = failed or error
    raise ImageError(_sentence(failed, label)) from None


def _sentence(error: Exception, label: str) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"{label} has more than {MAX_PIXELS // 10**6} million pixels: make a smaller copy of it"
    if isinstance(error, MemoryError):
        return f"{label} needs more memory than there is: make a smaller copy of it"
    if isinstance(error, UnidentifiedImageError):
        return f"{label} is not a picture in a format that can be read here: use PNG or JPEG"
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{label} is damaged or cut short ({reason}): get a fresh copy of it"


def _check_header(picture: Image.Image, data: bytes, label: str) -> None:
    """Refuse pictures that are too large, and raw files, of which only the thumbnail would be read."""
    if picture.format == "TIFF":
        _choose_page(picture, data, label)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{label} has {width} x {height}, more than {MAX_PIXELS // 10**6} million pixels: make a smaller copy of it"
        )


def _choose_page(picture: Image.Image, data: bytes, label: str) -> None:
    """Go to the first page of a TIFF that is not a thumbnail."""
    page = 0
    if not _is_raw(picture, data):
        while _tag(picture, 254) & 1 or _tag(picture, 255) == 2:  # NewSubfileType, SubfileType: a reduced copy
            page += 1
            try:
                picture.seek(page)
            except EOFError:
                break
        else:
            return
    raise ImageError(f"{label} is a raw file or holds only a thumbnail: develop it first, and save it as PNG or JPEG")


def _is_raw(picture: Image.Image, data: bytes) -> bool:
    """Whether a TIFF is a camera's raw file: DNG, Canon's, or one with a directory of sensor values or of a larger picture."""
    if 50706 in picture.tag_v2 or data[8:10] == b"CR":
        return True
    others = picture.tag_v2.get(330, ())  # offsets of further directories
    for place in others if isinstance(others, tuple) else (others,):
        sensor = isinstance(place, int) and containers.tag(data, 262, place) in (32803, 34892)
        if sensor or (isinstance(place, int) and containers.tag(data, 256, place) > picture.width):
            return True
    return False


def _tag(picture: Image.Image, tag: int, default: int = 0) -> int:
    """The first number of a TIFF tag."""
    value = getattr(picture, "tag_v2", {}).get(tag, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default


def pixels(picture: Image.Image, label: str = "the picture") -> tuple[torch.Tensor, torch.Tensor | None]:
    """RGB (1, 3, H, W) in sRGB and opacity (1, 1, H, W), each float32 in [0, 1], of a PIL image of any mode.

    The opacity is None where the picture has none. Raises ImageError for numbers without a known range, and for NaN.
    """
    key, full = _color_key(picture), _full_scale(picture)
    white_is_zero = picture.format == "TIFF" and _tag(picture, 262, 1) == 0  # Pillow minds it in 8 bits only
    picture.load()
    profile = picture.info.get("icc_profile")
    if (turn := TURNS.get(_orientation(picture))) is not None:  # a flip is 0
        picture = picture.transpose(turn)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if picture.mode == "I" and full == 2**32 - 1:
            values = values.view(np.uint32)
        alpha = None if key is None else (values != key)
        values = _fractions(values, full, label)
        rgb = torch.from_numpy(_grey_to_srgb(1 - values if white_is_zero else values, profile))
    else:
        picture, alpha = _plain(picture)
        if key is not None and alpha is None:
            values = np.asarray(picture)
            alpha = (values != np.array(key)).reshape(*values.shape[:2], -1).any(2)
        rgb = torch.from_numpy(np.array(_to_srgb(picture, profile))).permute(2, 0, 1).contiguous().float().div_(255)
    opacity = None if alpha is None else torch.from_numpy(alpha.astype(np.float32))[None, None]
    return rgb[None], opacity


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(containers.ORIENTATION, 1)
        return int(value[0] if isinstance(value, tuple) else value)
    except Exception:  # of EXIF data nothing else is needed, so no fault in it matters
        exif = picture.info.get("exif")
        return containers.tag(exif, containers.ORIENTATION) if isinstance(exif, bytes) else 1


def _plain(picture: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """The picture in mode L, RGB, CMYK or LAB, and its opacity (H, W) in [0, 1] if it has one."""
    mode = picture.mode
    if mode in ("P", "PA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    elif mode in ("La", "RGBa"):  # colours multiplied by the opacity
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[mode])
    elif mode == "1":
        picture = picture.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    if picture.mode not in ("LA", "RGBA"):
        return picture, None
    alpha = np.asarray(picture.getchannel("A"), dtype=np.float32) / 255
    bare = picture.copy()
    bare.info.pop("transparency", None)
    return bare.convert(picture.mode[:-1]), alpha


def _color_key(picture: Image.Image):
    """The one value or colour that stands for transparency, in the numbers that Pillow gives the pixels; or None."""
    key, layout = picture.info.get("transparency"), _layout(picture)
    if picture.mode == "RGB" and isinstance(key, tuple) and len(key) == 3:
        return tuple(value >> 8 for value in key) if ";16" in layout else key
    if picture.mode in ("1", "L", "I;16", "I") and isinstance(key, int):
        if picture.mode == "1":
            return 255 if key else 0
        return key * {"L;2": 85, "L;4": 17}.get(layout, 1)
    return None


def _layout(picture: Image.Image) -> str:
    """How the pixels lie in the file, such as "L;4", before they are loaded."""
    tile = getattr(picture, "tile", None)
    arguments = tile[0][3] if tile else ""
    arguments = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return arguments if isinstance(arguments, str) else ""


def _full_scale(picture: Image.Image) -> int | None:
    """What white is in a grey picture of more than 8 bits, as far as the format says; 2^32 - 1 of unsigned numbers."""
    if picture.mode.startswith("I;16"):
        return 4095 if _layout(picture) == "I;12" else 65535
    if picture.mode == "I" and picture.format in ("PNG", "PPM"):
        return 65535
    if picture.mode == "I" and picture.format == "TIFF" and _tag(picture, 258) == 32 and _tag(picture, 339, 1) == 1:
        return 2**32 - 1
    return 32767 if _layout(picture).startswith("I;16") else None


def _fractions(values: np.ndarray, full: int | None, label: str) -> np.ndarray:
    """Float32 in [0, 1] of the numbers of a grey picture: by the format's range, else by the range they are in themselves."""
    if not np.isfinite(values).all():
        raise ImageError(f"{label} holds values that are not numbers (NaN or infinite): replace them first")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if full not in (4095, 65535):
        whole = values.dtype.kind in "iu"
        ranges = [1, 255, 32767 if full == 32767 else 65535] + ([full or 2**31 - 1] if whole else [])
        full = next((limit for limit in ranges if high <= limit * (1 if whole else 1.05)), 0)
        if low < -0.05 * full or (high and high < full / 16) or not full:
            raise ImageError(
                f"{label} has values from {low:.6g} to {high:.6g}, and which of them is white is not known:"
                " save it with 8 or 16 bits, or in [0, 1]"
            )
    return (values.astype(np.float32) / np.float32(full)).clip(0, 1)


def _grey_to_srgb(grey: np.ndarray, profile) -> np.ndarray:
    """(3, H, W) of grey values (H, W) in [0, 1]; a profile is applied through a table of 256 steps."""
    if not profile:
        return np.repeat(grey[None], 3, axis=0)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(_to_srgb(ramp, profile))[0].astype(np.float32) / 255
    places = np.linspace(0, 1, 256, dtype=np.float32)
    return np.stack([np.interp(grey, places, table[:, channel]).astype(np.float32) for channel in range(3)])


def _to_srgb(picture: Image.Image, profile) -> Image.Image:
    """RGB of a picture in mode L, RGB, CMYK or LAB; a profile that is broken or of another kind of colours is left out."""
    if not profile and picture.mode != "LAB":
        return picture.convert("RGB")
    from PIL import ImageCms

    try:
        given = ImageCms.createProfile("LAB") if picture.mode == "LAB" else io.BytesIO(profile)
        source = ImageCms.ImageCmsProfile(given)
        space = source.profile.xcolor_space.strip()
        if space == "RGB":
            picture = picture.convert("RGB")
        if space == {"L": "GRAY", "LAB": "Lab"}.get(picture.mode, picture.mode):
            # without lcms's shortcuts, which are off by several of 255 in the darks of linear profiles
            flags = ImageCms.Flags.NOOPTIMIZE
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB", flags=flags)
    except Exception as error:  # the values are all there is to go by
        if picture.mode == "LAB":
            raise ValueError(f"Lab colours: {error}") from None
    return picture.convert("RGB")
