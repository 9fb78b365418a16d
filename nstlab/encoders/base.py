"""Base class of encoders: frozen networks that map a picture to features by layer name."""

import hashlib
import json
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn

from nstlab.devices import best_device, native_bf16, precision_dtype
from nstlab.errors import choose

POOLINGS = ("max", "average", "wavelet", "indices")
FUSED = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
Edit = dict[str, Callable[[torch.Tensor], torch.Tensor]]


class Encoder(nn.Module):
    """Base class of the encoders; subclasses define `normalize` and `convolve`.

    `layers` are named block by block, starting with "relu1_1"; `channels` and `strides` give for each layer the number of
    channels and the distance in pixels between neighbouring places. Features are divided by `scales`, the mean activation of
    each layer, so that a weight means the same for every encoder (one factor per layer; Gatys et al. 2016 rescale each filter).

    `pooling` between blocks is "max", "average" (Gatys et al. 2016), "wavelet" (the average, keeping the other three bands of
    the Haar transform; Yoo et al. 2019), or "indices" (max, keeping the positions of the maxima; Li et al. 2018). What pooling
    keeps is returned as "pool1", "pool2", ... with the features. `precision` "auto" means bf16 if the device computes it
    natively, else fp32; features have that type. `digest` is the hash of the file of weights, if there is one.
    """

    layers: tuple[str, ...]
    channels: dict[str, int]
    name: str

    def __init__(self, name: str, *, scales=None, digest="", pooling="max", precision="auto", device="auto"):
        super().__init__()
        self.name, self.digest = name, digest
        self.pooling = choose("pooling", pooling, POOLINGS)
        self.register_buffer("_place", torch.empty(0, device=best_device(device)), persistent=False)
        self.dtype = precision_dtype(precision, self.device)
        self.scales = dict(scales or dict.fromkeys(self.layers, 1.0))

    @property
    def device(self) -> torch.device:
        """The device of the weights; follows `to()`."""
        return self._place.device

    @property
    def strides(self) -> dict[str, int]:
        """{layer: distance in pixels between neighbouring places}."""
        return {layer: 2 ** (int(layer[4]) - 1) for layer in self.layers}

    @property
    def fingerprint(self) -> dict:
        """{"name", "weights": hash, "scales": hash}: identifies the features, for decoders trained on them."""
        scales = hashlib.sha256(json.dumps(self.scales, sort_keys=True).encode()).hexdigest()
        return {"name": self.name, "weights": (self.digest or self._hash())[:16], "scales": scales[:16]}

    def _hash(self) -> str:
        found = hashlib.sha256()
        for key, value in self.state_dict().items():
            rounded = value.detach().to(torch.bfloat16).float()  # the same whatever the precision
            found.update(key.encode() + rounded.cpu().numpy().tobytes())
        return found.hexdigest()

    def forward(self, image: torch.Tensor, layers: Iterable[str], edit: Edit | None = None) -> dict[str, torch.Tensor]:
        """Features of `image` (N, 3, H, W) at `layers`, as {"image": image, "relu1_1": (N, C, h, w), ...}.

        Stops at the deepest of these layers. `edit` = {layer: function} replaces the features of a layer; deeper layers are
        computed from the replacement. Any size works: if a side is too short, the edge is repeated instead of mirrored, and
        pooling leaves that side unchanged. Raises SettingError for a layer that this encoder does not have.
        """
        features, edit = {"image": image}, edit or {}
        wanted = {choose("layer", layer, ("image", *self.layers)) for layer in (*layers, *edit)} - {"image"}
        x = self.normalize(image.to(self.device)).to(self.dtype).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            if not wanted:
                break
            if layer.endswith("_1") and layer != "relu1_1":
                x, kept = pool(x, self.pooling)
                if kept is not None:
                    features[f"pool{int(layer[4]) - 1}"] = kept
            x = self.convolve(x, layer)
            x = edit[layer](x) if layer in edit else x
            if layer in wanted:
                features[layer] = x
                wanted.remove(layer)
        return features

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """The image (N, 3, H, W), sRGB in [0, 1], normalised as the first layer expects it."""
        raise NotImplementedError

    def convolve(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """The features of `layer` from those of the previous layer, which are pooled already between blocks."""
        raise NotImplementedError

    def __repr__(self) -> str:
        bits = "bf16" if self.dtype == torch.bfloat16 else "fp32"
        return f"{type(self).__name__}({len(self.layers)} layers, {bits}, {self.pooling} pooling, {self.device})"


def conv_relu(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding: int = 0) -> torch.Tensor:
    """Convolution and ReLU, fused on the CPU where oneDNN supports it and no gradient is required."""
    fitting = x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and native_bf16(x.device))
    plain = x.device.type != "cpu" or x.dtype != weight.dtype or not fitting
    if plain or asks_gradient(x, weight) or not FUSED or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return F.relu_(F.conv2d(x, weight, bias, padding=padding))
    pair = lambda value: [value, value]
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, pair(padding), pair(1), pair(1), 1, "relu", [], "")


def asks_gradient(*tensors: torch.Tensor) -> bool:
    """Whether autograd records operations on these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _maxima(x: torch.Tensor, kernel: tuple[int, int]) -> torch.Tensor:
    """Max pooling in a third of the time of torch's, which also records the position of each maximum."""
    for dim, step in zip((-2, -1), kernel):
        if step == 2:
            even = x.narrow(dim, 0, x.shape[dim] // 2 * 2)
            index = lambda start, dim=dim: (..., slice(start, None, 2), *[slice(None)] * (-1 - dim))
            x = torch.maximum(even[index(0)], even[index(1)])
    return x


def pool(x: torch.Tensor, pooling: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features (N, C, h, w) at half the size, and what `pooling` keeps: indices, Haar bands (N, 3C, h/2, w/2), or None.

    A side of one pixel is left unchanged; the last row or column of an odd side is dropped, as in VGG.
    """
    kernel = (min(2, x.shape[-2]), min(2, x.shape[-1]))
    if pooling == "max":
        return (F.max_pool2d(x, kernel) if asks_gradient(x) else _maxima(x, kernel)), None
    if pooling == "average":
        return F.avg_pool2d(x, kernel), None
    if pooling == "indices":
        return F.max_pool2d(x, kernel, return_indices=True)
    x = x[..., : x.shape[-2] // kernel[0] * kernel[0], : x.shape[-1] // kernel[1] * kernel[1]]
    upper, lower = x[..., :: kernel[0], :], x[..., kernel[0] - 1 :: kernel[0], :]
    corners = [half[..., start :: kernel[1]] for half in (upper, lower) for start in (0, kernel[1] - 1)]
    a, b, c, d = corners
    return (a + b + c + d) / 4, torch.cat([(a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4], 1)
