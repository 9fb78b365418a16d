"""Reading, writing and resizing pictures.

An image is a float32 tensor (N, 3, H, W), sRGB in [0, 1]. No function changes its argument.
"""

import json
import os
import stat
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, PngImagePlugin

from nstlab import samples
from nstlab.errors import ImageError, SettingError, check_count, nearest
from nstlab.files import atomic_write, expanded, mode, reason
from nstlab.formats import decode

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
MOST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # longest side in pixels that the format allows
MOST_BYTES = {"TIFF": 2**32 - 2**16, "BMP": 2**32 - 2**16}  # of the whole file, whose offsets have 32 bits


def load(source, size: int | tuple[int, int] | None = None) -> torch.Tensor:
    """Read one picture as an image (1, 3, H, W).

    `source` is a path, the name of a sample, a PIL image, an array (H, W) or (H, W, 3 or 4) of uint8, the bytes of a file,
    or an image tensor (returned as float32). `size` is the long side in pixels or (H, W). The EXIF orientation and the
    colour profile are applied, transparency is composited on white, and the first frame of an animation is used. Raises
    ImageError.
    """
    if isinstance(source, torch.Tensor):
        image = check(source)
        if not torch.isfinite(image).all():
            raise ImageError("the image tensor holds values that are not numbers (NaN or infinite): replace them first")
    else:
        image, opacity = load_layer(source)
        if opacity is not None:
            image = 1 - opacity * (1 - image)
    return image if size is None else resize(image, size)


def load_layer(source) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Image (1, 3, H, W) and opacity (1, 1, H, W) of a picture; sources as in `load`, except for tensors.

    The opacity is None if the picture has no transparency. Raises ImageError.
    """
    if isinstance(source, Image.Image):
        return _pixels(source)
    if isinstance(source, np.ndarray):
        return _pixels(_from_array(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, label = bytes(source), "the uploaded file"
    else:
        data, label = _contents(locate(source))
    return decode.read(data, label, lambda picture: decode.pixels(picture, label))


def locate(source) -> Path:
    """Path of a picture given as a path or as the name of a sample; an existing file has priority. Raises ImageError."""
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(f"a picture is a path, a sample's name, a PIL image, bytes or a tensor, not {type(source).__name__}")
    path = expanded(source)
    try:
        found = mode(path)
    except (OSError, ValueError) as error:
        raise ImageError(f"{source} cannot be read: {reason(error)}") from None
    if stat.S_ISREG(found):
        return path
    if str(source) in samples.catalogue():
        return samples.sample(str(source)).path
    if found:
        kind = "a folder: name a picture file in it" if stat.S_ISDIR(found) else "no ordinary file: name a picture file"
        raise ImageError(f"{path} is {kind}")
    if path.suffix or os.sep in str(source) or "/" in str(source):
        raise ImageError(f"{path}: there is no such file; check the path, or see `nstlab samples` for names")
    raise ImageError(f"'{source}' is neither a file nor a sample picture: {nearest(source, samples.catalogue())}")


def _contents(path: Path) -> tuple[bytes, str]:
    """The bytes of a picture file, and its name in messages."""
    try:
        if path.stat().st_size > decode.MAX_BYTES:
            raise ImageError(f"{path} is larger than {decode.MAX_BYTES // 10**9} GB: make a smaller copy of it")
        return path.read_bytes(), str(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {reason(error)}") from None


def from_pil(picture: Image.Image) -> torch.Tensor:
    """Image (1, 3, H, W) of a PIL image of any mode, read as `load` reads it."""
    return load(picture)


def _pixels(picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor | None]:
    try:
        return decode.pixels(picture)
    except ImageError:
        raise
    except Exception as error:  # a PIL image opened by the caller is decoded only now
        raise ImageError(f"the PIL image cannot be read ({' '.join(str(error).split())}): get a fresh copy of it") from None


def _from_array(values: np.ndarray) -> Image.Image:
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or 0 in values.shape or values.shape[2:] not in ((), (3,), (4,)):
        shape = f"{values.dtype} {values.shape}"
        raise ImageError(f"an array of a picture is uint8 (H, W), (H, W, 3) or (H, W, 4), not {shape}: give a tensor instead")
    return Image.fromarray(values)


def check(image: torch.Tensor) -> torch.Tensor:
    """The tensor as a float32 image (N, 3, H, W). Raises an ImageError that says what is wrong with it."""
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point() or 0 in image.shape:
        raise ImageError(f"an image is a float tensor (N, 3, H, W), not {image.dtype} {tuple(image.shape)}")
    return image.float()


def check_map(values: torch.Tensor, name: str = "the map") -> torch.Tensor:
    """The tensor as a float32 map (N, 1, H, W) in [0, 1]. Raises a SettingError that says what is wrong with it."""
    if not isinstance(values, torch.Tensor) or values.ndim != 4 or values.shape[1] != 1 or 0 in values.shape:
        shape = tuple(values.shape) if hasattr(values, "shape") else type(values).__name__
        raise SettingError(f"{name} is a tensor (N, 1, H, W), not {shape}")
    values = values.detach().float()
    if not torch.isfinite(values).all():
        raise SettingError(f"{name} holds values that are not numbers (NaN or infinite): replace them, all must lie in [0, 1]")
    low, high = values.min().item(), values.max().item()
    if low < -1e-4 or high > 1 + 1e-4:
        raise SettingError(f"{name} has values from {low:.3g} to {high:.3g}: scale them to [0, 1] first{_advice(low, high)}")
    return values.clamp(0, 1)


def _advice(low: float, high: float) -> str:
    return ", dividing by 255" if low >= 0 and 2 <= high <= 255 else ""


def eight_bit(image: torch.Tensor) -> torch.Tensor:
    """The image as stored with 8 bits per channel: clipped to [0, 1] and rounded to multiples of 1/255."""
    return image.clamp(0, 1).mul(255).round().div(255)


def to_pil(image: torch.Tensor) -> Image.Image:
    """PIL image (8-bit RGB) of an image (1, 3, H, W) or of a map (1, 1, H, W); values outside [0, 1] are clipped."""
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ImageError(f"one image (1, 3, H, W) or map (1, 1, H, W) at a time, not {tuple(image.shape)}")
    array = eight_bit(image[0].detach().float()).mul(255).round().byte().cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(array.repeat(3, axis=2) if array.shape[2] == 1 else array)


def save(image: torch.Tensor, path, metadata: dict | None = None) -> Path:
    """Write one image atomically, with `metadata` stored as JSON in the file. Returns the path. Raises ImageError."""
    picture = to_pil(image)
    path = writable(path, (picture.height, picture.width))
    text = json.dumps(metadata or {}, sort_keys=True)
    options: dict = {"format": FORMATS[path.suffix.lower()]}
    if options["format"] == "PNG":
        options |= {"pnginfo": PngImagePlugin.PngInfo(), "optimize": True}
        options["pnginfo"].add_text("nstlab", text)
    elif options["format"] == "JPEG" and len(text) > 65_000:  # a segment holds 65,533 bytes
        warnings.warn(f"{path} is written without its settings: they are too long for JPEG, a PNG holds them", stacklevel=2)
        options["quality"] = 95
    elif options["format"] in ("JPEG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x010E] = text  # ImageDescription
        options |= {"exif": exif, "quality": 95} if options["format"] != "TIFF" else {"exif": exif}
    try:
        with atomic_write(path) as temporary:
            picture.save(temporary, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be written: {reason(error)}") from None
    return path


def writable(path, shape: tuple[int, int] | None = None) -> Path:
    """The path, if a picture of `shape` (H, W) can be written there; check it before long work. Raises ImageError."""
    path = expanded(path)
    if path.suffix.lower() not in FORMATS:
        raise ImageError(f"{path}: name the picture with one of {', '.join(FORMATS)}")
    try:
        if not stat.S_ISDIR(mode(path.parent)):
            raise ImageError(f"{path}: the folder {path.parent} does not exist; make it first")
        if stat.S_ISDIR(mode(path)) or not os.access(path.parent, os.W_OK | os.X_OK):
            raise ImageError(f"{path} cannot be written: choose another file or folder")
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be written: {reason(error)}") from None
    if shape is not None:
        _check_fits(path, *shape)
    return path


def _check_fits(path: Path, height: int, width: int) -> None:
    kind = FORMATS[path.suffix.lower()]
    most = MOST_SIDE.get(kind)
    if most and max(height, width) > most:
        advice = f"make it smaller, or name it {path.stem}.png"
        raise ImageError(f"{path}: {kind} holds at most {most} pixels a side, not {width} x {height}; {advice}")
    if 3 * height * width > MOST_BYTES.get(kind, 3 * height * width):
        raise ImageError(f"{path}: {kind} holds at most 4 GB, not {width} x {height}; make it smaller")


def metadata(path, key: str = "nstlab") -> dict:
    """The metadata that `save` wrote into a picture file, or those under another key; {} if there are none.

    They may come from anybody: check names and values before use. Raises ImageError if the file is not a picture.
    """
    return decode.read(*_contents(locate(path)), lambda picture: _written(picture, key))


def _written(picture: Image.Image, key: str) -> dict:
    try:
        text = picture.info.get(key) or (picture.getexif().get(0x010E) if key == "nstlab" else None) or "{}"
        found = json.loads(text)
    except Exception:  # metadata of other programs, damaged, or nested without end
        return {}
    return found if isinstance(found, dict) else {}


def fit(shape: tuple[int, int], size: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W) of a picture of `shape` (H, W) scaled to a long side of `size` pixels; a `size` (H, W) is returned unchanged.

    Raises SettingError unless the sizes are whole numbers of 1 or more.
    """
    if isinstance(size, (tuple, list)) or getattr(size, "ndim", 0) == 1:
        if len(size) != 2:
            raise SettingError(f"size {size}: give the long side, or height and width")
        return check_count("size", size[0]), check_count("size", size[1])
    size, long = check_count("size", size), max(shape)
    return tuple(max(1, round(side * size / long)) for side in shape)


def resize(image: torch.Tensor, size: int | tuple[int, int]) -> torch.Tensor:
    """Images or maps (N, C, H, W) resized to a long side or to (H, W): bicubic, antialiased, clipped to [0, 1]."""
    target = fit(tuple(image.shape[-2:]), size)
    if target == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, target, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def pad(image: torch.Tensor, margins: tuple[int, int, int, int], mirrored: bool = True) -> torch.Tensor:
    """Images or features (N, C, H, W) padded by (left, right, top, bottom) pixels, mirrored at the border.

    The edge is repeated instead if `mirrored` is False or a side is too short. Unlike that of `F.pad`, the gradient is
    deterministic on CUDA.
    """
    left, right, top, bottom = margins
    height, width = image.shape[-2:]
    mirrored = mirrored and max(left, right) < width and max(top, bottom) < height
    if image.is_cuda and image.requires_grad and torch.is_grad_enabled():
        return _Pad.apply(image, margins, mirrored)
    return _pad(image, margins, mirrored)


def _pad(image, margins, mirrored):
    return F.pad(image, margins, mode="reflect" if mirrored else "replicate")


class _Pad(torch.autograd.Function):
    """`_pad` with `pad_gradient` as its gradient: the order of additions in CUDA's own gradient varies between runs."""

    @staticmethod
    def forward(ctx, image, margins, mirrored):
        ctx.margins, ctx.mirrored = margins, mirrored
        return _pad(image, margins, mirrored)

    @staticmethod
    def backward(ctx, gradient):
        return pad_gradient(gradient, ctx.margins, ctx.mirrored), None, None


def pad_gradient(gradient: torch.Tensor, margins: tuple[int, int, int, int], mirrored: bool = True) -> torch.Tensor:
    """The gradient (N, C, H, W) with respect to an image, from that with respect to the padded image.

    The gradients in the margins are added to the pixels that they repeat, columns first, always in the same order.
    """
    left, right, top, bottom = margins
    for axis, before, after in ((3, left, right), (2, top, bottom)):
        length = gradient.shape[axis] - before - after
        inner = gradient.narrow(axis, before, length).clone()
        for start, count, shown in ((0, before, 1), (before + length, after, length - 1 - after)):
            if mirrored and count:
                inner.narrow(axis, shown, count).add_(gradient.narrow(axis, start, count).flip(axis))
            elif count:
                edge = inner.narrow(axis, min(start, length - 1), 1)
                edge.add_(gradient.narrow(axis, start, count).sum(axis, keepdim=True))
        gradient = inner
    return gradient
