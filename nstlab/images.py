"""Pictures in and out. An image is a float32 tensor (N, 3, H, W), sRGB in [0, 1]; nothing here changes its argument."""

import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from nstlab import samples
from nstlab.errors import ImageError, SettingError, nearest
from nstlab.files import atomic_write

MAX_PIXELS = 100_000_000  # 1.2 GB as float32; a picture beyond this is refused from its header alone
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}


def load(source, size: int | tuple[int, int] | None = None) -> torch.Tensor:
    """Read one picture as an image (1, 3, H, W).

    `source` is a path, the name of a sample, a PIL image, raw file bytes, or an image tensor (returned as float32).
    `size` is the long side in pixels or (H, W). EXIF orientation and colour profile are applied, transparency is laid
    on white, of an animation the first frame is taken. Raises ImageError.
    """
    if isinstance(source, torch.Tensor):
        image = check(source)
    elif isinstance(source, Image.Image):
        image = from_pil(source)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        image = _read(io.BytesIO(bytes(source)), "the uploaded file")
    else:
        path = locate(source)
        image = _read(path, str(path))
    return image if size is None else resize(image, size)


def locate(source) -> Path:
    """Path of a picture file given as path or as sample name; a file goes before a sample of that name."""
    path = Path(source).expanduser()
    try:
        if path.is_file():
            return path
        if path.is_dir():
            raise ImageError(f"{path} is a folder: name a picture file in it")
    except OSError as error:
        raise ImageError(f"{source}: {error.strerror or error}") from None
    if str(source) in samples.catalogue():
        return samples.sample(str(source)).path
    if path.suffix or os.sep in str(source) or "/" in str(source):
        raise ImageError(f"{path}: there is no such file; check the path, or see `nstlab samples` for names")
    raise ImageError(f"'{source}' is neither a file nor a sample picture: {nearest(source, samples.catalogue())}")


def _read(file, label: str) -> torch.Tensor:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            with Image.open(file) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise ImageError(
                        f"{label} has {width} x {height}, more than {MAX_PIXELS // 10**6} million pixels:"
                        " make a smaller copy of it"
                    )
                return from_pil(picture)
    except Image.DecompressionBombError:
        raise ImageError(f"{label} has more than {MAX_PIXELS // 10**6} million pixels: make a smaller copy of it") from None
    except UnidentifiedImageError:
        raise ImageError(f"{label} is not a picture in a format that can be read here: use PNG or JPEG") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{label} is damaged or cut short ({error}): get a fresh copy of it") from None


def from_pil(picture: Image.Image) -> torch.Tensor:
    """Image tensor of a PIL image of any mode: 16-bit, grey, palette, CMYK and RGBA become RGB on white."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 and 32 bit grey, which PIL would clip at 255
        grey = np.asarray(picture).astype(np.float32)
        grey = grey / (65535.0 if grey.max(initial=0) > 255 or picture.mode.startswith("I;16") else 255.0)
        return torch.from_numpy(grey.clip(0, 1)).expand(1, 3, *grey.shape).clone()
    picture = _to_srgb(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    array = np.array(picture.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1)[None].float().div(255).contiguous()


def _to_srgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "CMYK"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile: the pixel values are all there is to go by


def check(image: torch.Tensor) -> torch.Tensor:
    """The tensor as an image, or an ImageError that says how it breaks the contract."""
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point() or 0 in image.shape:
        raise ImageError(f"an image is a float tensor (N, 3, H, W), not {image.dtype} {tuple(image.shape)}")
    return image.float()


def check_map(values: torch.Tensor, name: str = "the map") -> torch.Tensor:
    """The tensor as a map (N, 1, H, W) in float32, or a SettingError that says how it breaks the contract."""
    if not isinstance(values, torch.Tensor) or values.ndim != 4 or values.shape[1] != 1 or 0 in values.shape:
        shape = tuple(values.shape) if hasattr(values, "shape") else type(values).__name__
        raise SettingError(f"{name} is a tensor (N, 1, H, W), not {shape}")
    values = values.detach().float()
    if not torch.isfinite(values).all():
        raise SettingError(f"{name} holds values that are not numbers: mend them, all lie in [0, 1]")
    low, high = values.min().item(), values.max().item()
    if low < -1e-4 or high > 1 + 1e-4:
        raise SettingError(f"{name} has values from {low:.3g} to {high:.3g}: scale them to [0, 1] first{_advice(low, high)}")
    return values.clamp(0, 1)


def _advice(low: float, high: float) -> str:
    return ", dividing by 255" if low >= 0 and 2 <= high <= 255 else ""


def to_pil(image: torch.Tensor) -> Image.Image:
    """PIL image (8-bit RGB) of an image (1, 3, H, W) or of a map (1, 1, H, W); values outside [0, 1] are clipped."""
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ImageError(f"one image (1, 3, H, W) or map (1, 1, H, W) at a time, not {tuple(image.shape)}")
    array = image[0].detach().float().clamp(0, 1).mul(255).round().byte().cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(array.repeat(3, axis=2) if array.shape[2] == 1 else array)


def save(image: torch.Tensor, path, metadata: dict | None = None) -> Path:
    """Write one image, whole or not at all; `metadata` goes into the file as JSON. Raises ImageError."""
    path = writable(path)
    text = json.dumps(metadata or {}, sort_keys=True)
    options: dict = {"format": FORMATS[path.suffix.lower()]}
    if options["format"] == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("nstlab", text)
    elif options["format"] in ("JPEG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x010E] = text  # ImageDescription
        options |= {"exif": exif, "quality": 95} if options["format"] != "TIFF" else {"exif": exif}
    try:
        with atomic_write(path) as temporary:
            to_pil(image).save(temporary, **options)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def writable(path) -> Path:
    """The path, if a picture can be written there; ask before long work. Raises ImageError."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in FORMATS:
        raise ImageError(f"{path}: name the picture with one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ImageError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ImageError(f"{path} cannot be written: choose another file or folder")
    return path


def metadata(path, key: str = "nstlab") -> dict:
    """What `save` wrote into a picture file, or stands there under another key; {} if nothing does. Raises ImageError."""
    path = locate(path)
    try:
        with Image.open(path) as picture:
            text = picture.info.get(key) or (picture.getexif().get(0x010E) if key == "nstlab" else None) or "{}"
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise ImageError(f"{path} is not a picture that can be read here: name a PNG, JPEG, WEBP or TIFF file") from None
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def fit(shape: tuple[int, int], size: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W) of a picture of `shape` (H, W) once its long side is `size` pixels; (H, W) as size stands as it is."""
    if not isinstance(size, int):
        return int(size[0]), int(size[1])
    if size < 1:
        raise SettingError(f"size {size}: the long side is 1 pixel or more")
    long = max(shape)
    return tuple(max(1, round(side * size / long)) for side in shape)


def resize(image: torch.Tensor, size: int | tuple[int, int]) -> torch.Tensor:
    """Resize images or maps (N, C, H, W) to a long side or to (H, W): bicubic, antialiased, clipped to [0, 1]."""
    target = fit(tuple(image.shape[-2:]), size)
    if target == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, target, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def pad(image: torch.Tensor, margins: tuple[int, int, int, int]) -> torch.Tensor:
    """Pad by (left, right, top, bottom) pixels, mirrored at the border; repeats the edge where there is too little."""
    left, right, top, bottom = margins
    height, width = image.shape[-2:]
    mirrored = max(left, right) < width and max(top, bottom) < height
    return F.pad(image, margins, mode="reflect" if mirrored else "replicate")
