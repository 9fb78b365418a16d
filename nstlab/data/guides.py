"""Guides of the pictures one trains on: a second's work each, so done once and kept on disk."""

import hashlib
import warnings

import torch

from nstlab import images
from nstlab.data.crops import to_bytes
from nstlab.data.pictures import Pictures
from nstlab.errors import ImageError, SettingError
from nstlab.files import cache_dir

SIDE = 512  # long side in pixels at which guides are made and kept, for crops of every size
PROBE = ("astronaut", 96)  # sample and size by whose guide a guide function is known


class Guides:
    """The guide of each picture: the set's own if it has one, else what `function` makes of the picture.

    `function` takes an image (1, 3, H, W) to a map (1, 1, H, W) in [0, 1]. What it makes is kept in the folder `guides`
    of the user's cache, under a name that holds for these bytes of the picture and this function.
    """

    def __init__(self, pictures: Pictures, function):
        self.pictures, self.function = pictures, function
        self._known_by = None

    def get(self, index: int, shape: tuple[int, int]) -> torch.Tensor:
        """The guide of a picture in 8 bits, (1, 1, H, W) of the `shape` (H, W) asked for. Raises SettingError for no map."""
        own = self.pictures.guide(index)
        values = self._kept(index) if own is None else checked(own, self.pictures.names[index])
        return to_bytes(images.resize(values, shape))

    def _kept(self, index: int) -> torch.Tensor:
        key = hashlib.sha256(f"{self.pictures.digest(index)} {self.known_by} {SIDE}".encode()).hexdigest()
        path = cache_dir() / "guides" / f"{key[:40]}.png"
        try:
            return images.load(path)[:, :1]
        except ImageError:  # not there, or damaged: made anew
            values = to_bytes(self._made(index)).float().div(255)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            images.save(values, path, {"guide": self.known_by})
        except (OSError, ImageError):
            warnings.warn(f"guides cannot be kept in {path.parent}: they will be made anew each time", stacklevel=2)
        return values

    def _made(self, index: int) -> torch.Tensor:
        image = self.pictures.load(index)
        if max(image.shape[-2:]) > SIDE:
            image = images.resize(image, SIDE)
        return checked(self.function(image), self.pictures.names[index])

    @property
    def known_by(self) -> str:
        """What tells guide functions apart: the name, and as every lambda has the same, the guide of a sample in 64 parts."""
        if self._known_by is None:
            answer = checked(self.function(images.load(*PROBE)), PROBE[0])
            parts = torch.nn.functional.adaptive_avg_pool2d(answer, 8).mul(100).round().int().flatten()
            name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
            self._known_by = f"{name} {' '.join(str(part) for part in parts.tolist())}"
        return self._known_by


def checked(values, name: str) -> torch.Tensor:
    """The tensor as one map (1, 1, H, W) on the CPU, or a SettingError that says how it breaks the contract."""
    values = images.check_map(values, f"the guide of {name}")
    if len(values) != 1:
        raise SettingError(f"the guide of {name} is one map (1, 1, H, W), not {len(values)} of them")
    return values.cpu()
