"""The guide: a map of a picture, the method that made it and a note about it; and maps from the user's files."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import ImageError, SettingError
from nstlab.files import expanded, reason


@dataclass(frozen=True)
class Guide:
    """A map (N, 1, H, W) in [0, 1] of a picture.

    `method` says how it was made; `note` holds what the user should know about it and is often empty.
    Raises SettingError for values outside [0, 1].
    """

    map: torch.Tensor
    method: str
    note: str = ""

    def __post_init__(self):
        object.__setattr__(self, "map", images.check_map(self.map))

    @property
    def uniform(self) -> bool:
        """Whether the map is constant, so that weighting by it changes nothing."""
        return bool(self.map.max() - self.map.min() < 1e-6)

    def resized(self, size: int | tuple[int, int]) -> "Guide":
        """The guide for a picture of another size."""
        return replace(self, map=images.resize(self.map, size))

    def inverted(self) -> "Guide":
        """The guide with the map 1 - map."""
        return replace(self, map=1 - self.map, method=f"the inverse of: {self.method}")

    def __repr__(self) -> str:
        height, width = self.map.shape[-2:]
        return f"Guide({self.method}, {width} x {height}{', ' + self.note if self.note else ''})"


def load_map(source, size: tuple[int, int] | None = None, name: str = "the map") -> Guide:
    """The user's own map, as a Guide resized to `size` (H, W).

    `source` is a picture (a file, its bytes, or a PIL image), a .npy file, an array or tensor of two to four dimensions, or a
    Guide. A picture gives its brightness, with black as 0 and white as 1. In a picture with transparency, transparent places
    are 0; if only a single colour is drawn, its opacity is used. Arrays are used unchanged and must lie in [0, 1]. `name` is
    the name of the map in messages. Raises ImageError or SettingError.
    """
    values, method, note = _read(source, name)
    values = images.check_map(values, name)
    notes = [note] if note else []
    if size is not None and tuple(values.shape[-2:]) != tuple(size):
        height, width = values.shape[-2:]
        notes.append(f"resized from {width} x {height} to {size[1]} x {size[0]} pixels")
        if abs(width / height / (size[1] / size[0]) - 1) > 0.02:
            notes.append("its proportions are not the picture's, so it is stretched")
        values = images.resize(values, size)
    guide = Guide(values, method)
    if guide.uniform:
        notes.append(f"it is {values.mean().item():.2g} everywhere, so it singles nothing out")
    return replace(guide, note="; ".join(notes))


def _read(source, name: str) -> tuple[torch.Tensor, str, str]:
    """Values (N, 1, H, W), how they were made, and a note."""
    if isinstance(source, Guide):
        return source.map, source.method, source.note
    if isinstance(source, (str, Path)) and Path(source).suffix == ".npy":
        return _from_array(read_array(source), name), f"a map of yours, {Path(source).name}", ""
    if isinstance(source, (torch.Tensor, np.ndarray)):
        return _from_array(source, name), "a map of yours", ""
    picture, opacity = images.load_layer(source)
    label = f", {Path(source).name}" if isinstance(source, (str, Path)) else ""
    if opacity is not None and opacity.min() < 1:
        values, note = _drawn(picture, opacity)
    else:
        values, coloured = luminance(picture).clamp(0, 1), (picture.amax(1) - picture.amin(1)).max() > 0.02
        note = "a colour picture: its brightness is taken" if coloured else ""
    return values, f"a map of yours{label}", note


def _drawn(picture: torch.Tensor, opacity: torch.Tensor) -> tuple[torch.Tensor, str]:
    """The map and the note of a picture on a transparent layer."""
    colors = picture.movedim(1, -1)[opacity[:, 0] >= 0.5]  # (pixels, 3); where little is drawn, its colour is rounded
    if not len(colors) or (colors.amax(0) - colors.amin(0)).max() < 0.1:
        return opacity, "drawn on a transparent layer: 1 where the brush was, 0 elsewhere"
    return luminance(picture).clamp(0, 1) * opacity, "drawn on a transparent layer: its brightness is taken, transparent is 0"


def read_array(path) -> np.ndarray:
    """The array in a .npy file; raises ImageError."""
    try:
        return np.load(expanded(path), allow_pickle=False)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {reason(error)}") from None
    except Exception as error:  # a damaged header is parsed as Python, and fails in many ways
        said = " ".join(str(error).split())[:200]
        raise ImageError(f"{path} is not an array that can be read here ({said}): save it with numpy.save") from None


def _from_array(values, name: str) -> torch.Tensor:
    values = torch.as_tensor(np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values)
    if values.is_complex() or not 2 <= values.ndim <= 4 or 0 in values.shape:
        raise SettingError(f"{name} is an array (H, W) of numbers, not {values.dtype} {tuple(values.shape)}")
    if values.ndim == 3 and values.shape[0] != 1:
        raise SettingError(f"{name} has shape {tuple(values.shape)}: give one number a pixel, (H, W)")
    return values.float().view((1,) * (4 - values.ndim) + tuple(values.shape))


def each(image: torch.Tensor, method) -> tuple[torch.Tensor, list]:
    """Apply `method`, which takes one picture (1, 3, H, W) to (map, note), to every picture of a batch."""
    image = images.check(image).detach()
    made = [method(image[i : i + 1].clamp(0, 1).cpu()) for i in range(image.shape[0])]
    notes = [note for _, note in made]
    return torch.cat([values for values, _ in made]).to(image.device), notes


def join_notes(notes) -> str:
    """The distinct, non-empty notes in order, as one line."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
