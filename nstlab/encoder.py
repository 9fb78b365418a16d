"""VGG by layer name: a picture in, a dict of its features out, frozen, each layer at mean activation 1."""

import functools
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from nstlab import images, samples, weights
from nstlab.devices import best_device, precision_dtype
from nstlab.errors import SettingError, WeightsError, choose, nearest
from nstlab.files import atomic_write, cache_dir
from nstlab.pocket import PocketEncoder, load_pocket

BLOCKS = {16: (2, 2, 4, 4, 4), 13: (2, 2, 3, 3, 3)}  # convolutions per block of VGG-19 and VGG-16
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)  # mean, std of the original weights' input
TORCHVISION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NAMES = ("vgg19", "pocket", "vgg19-torchvision", "vgg16-torchvision")
SCALES = Path(__file__).with_name("encoder_scales.json")
CALIBRATION_SIZE = 256  # long side in pixels of the sample pictures on which mean activations are measured


class Encoder(nn.Module):
    """A VGG without its classifier (Simonyan & Zisserman 2014), as a function from picture to features.

    `convs`: (weight OIHW, bias) of the 16 or 13 convolutions, for RGB input normalised by `mean` and `std`.
    `scales`: mean activation of each layer; features are divided by it, so that default weights mean the same for
    every encoder (Gatys et al. 2016 rescale each filter; one factor a layer keeps the balance between filters).
    `padding`: "reflect" leaves no frame along the border; "zeros" is what VGG was trained with.
    `pooling`: "max" as trained, or "average" as Gatys et al. advise.
    `precision`: "auto" is bf16 where the device has it, else fp32; features come back in that type.
    """

    def __init__(
        self, convs, normalisation=CAFFE, scales=None, *, padding="reflect", pooling="max", precision="auto", device="auto"
    ):
        super().__init__()
        self.padding = choose("padding", padding, ("reflect", "zeros"))
        self.pooling = choose("pooling", pooling, ("max", "average"))
        self.device = best_device(device)
        self.dtype = precision_dtype(precision, self.device)
        blocks = BLOCKS[len(convs)]
        self.layers = tuple(f"relu{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))
        self.scales = dict(scales or dict.fromkeys(self.layers, 1.0))
        mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in normalisation)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        before = 1.0
        for layer, (weight, bias) in zip(self.layers, convs, strict=True):
            after = self.scales[layer]  # ReLU and pooling commute with scaling, so it folds into the weights
            weight = (weight * (before / after)).to(self.device, self.dtype)
            self.register_buffer(f"{layer}_weight", weight.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"{layer}_bias", (bias / after).to(self.device, self.dtype))
            before = after

    def forward(self, image: torch.Tensor, layers) -> dict[str, torch.Tensor]:
        """Features of `image` (N, 3, H, W) at `layers`, as {"image": image, "relu1_1": (N, C, h, w), ...}.

        Stops at the deepest layer asked for. Any picture size goes; a side too short to mirror or pool is repeated or
        left as it is. Raises SettingError for a layer that this encoder does not have.
        """
        features = {"image": image}
        wanted = {choose("layer", layer, ("image", *self.layers)) for layer in layers} - {"image"}
        x = (image.to(self.device) - self.mean) / self.std
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            if not wanted:
                break
            if layer.endswith("_1") and layer != "relu1_1":
                x = self._pool(x)
            x = self._convolve(x, layer)
            if layer in wanted:
                features[layer] = x
                wanted.remove(layer)
        return features

    def _convolve(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        weight, bias = getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias")
        mirrored = self.padding == "reflect"
        if mirrored and min(x.shape[-2:]) < 2:  # nothing to mirror
            return F.relu(F.conv2d(images.pad(x, (1, 1, 1, 1)), weight, bias))
        return _FrozenConv.apply(x, weight, bias, mirrored)

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        kernel = (min(2, x.shape[-2]), min(2, x.shape[-1]))
        return F.max_pool2d(x, kernel) if self.pooling == "max" else F.avg_pool2d(x, kernel)

    def __repr__(self) -> str:
        bits = "bf16" if self.dtype == torch.bfloat16 else "fp32"
        return f"Encoder({len(self.layers)} layers, {bits}, {self.padding} padding, {self.pooling} pooling, {self.device})"


class _FrozenConv(torch.autograd.Function):
    """Pad, 3x3 convolution and ReLU that keep nothing for the gradient but their output: autograd would keep the padded
    input as well, a third more memory, though frozen weights have no use for it."""

    @staticmethod
    def forward(ctx, x, weight, bias, mirrored):
        ctx.mirrored, ctx.shape = mirrored, x.shape
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect") if mirrored else x
        y = F.conv2d(padded, weight, bias, padding=0 if mirrored else 1).relu_()
        ctx.save_for_backward(y, weight)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        y, weight = ctx.saved_tensors
        count, channels, height, width = ctx.shape

        def unwritten(*shape):  # stands for the input: only its shape and layout are looked at
            return torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last)

        margin = 1 if ctx.mirrored else 0
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        gradient = torch.ops.aten.convolution_backward(
            gradient, unwritten(count, channels, height + 2 * margin, width + 2 * margin), weight, None,
            [1, 1], [1 - margin] * 2, [1, 1], False, [0, 0], 1, [True, False, False],
        )[0]  # fmt: skip
        if ctx.mirrored:
            image = unwritten(count, channels, height, width)
            gradient = torch.ops.aten.reflection_pad2d_backward(gradient, image, [1] * 4)
        return gradient, None, None, None


def load_encoder(name: str = "vgg19", **options) -> "Encoder | PocketEncoder":
    """An encoder by name, or from a file of the user's own (a VGG-16 or VGG-19 state dict, torchvision's input).

    "vgg19" is the original of 2014 that Gatys et al. used; "vgg19-torchvision" and "vgg16-torchvision" are retrained and
    downloaded on first use. "pocket" approximates vgg19 to relu5_1 and is nearly three times as fast (see pocket.py).
    `options` go to Encoder. Raises WeightsError.
    """
    if name == "pocket":
        for option in ("padding", "pooling"):
            if option in options:
                raise SettingError(f"the pocket encoder has no choice of {option}: leave it out, or take vgg19")
        return load_pocket(**options)
    if name == "vgg19":
        path, normalisation = weights.find(name), CAFFE
        convs = weights.original_vgg19()
    elif name in NAMES:
        path, normalisation = weights.fetch(name), TORCHVISION
        convs = weights.state_dict_convs(path)
    elif Path(name).suffix in (".safetensors", ".pth", ".pt", ".bin"):
        path, normalisation = Path(name), TORCHVISION
        convs = weights.state_dict_convs(path)
    else:
        raise SettingError(f"unknown encoder '{name}': {nearest(name, NAMES)} or name a file of weights")
    return Encoder(convs, normalisation, _scales(path, convs, normalisation), **options)


def _scales(path: Path, convs, normalisation) -> dict[str, float]:
    """Scales of a weights file by its hash: from the table that ships, the user's cache, or measured now and kept."""
    key = _digest(path, path.stat().st_mtime_ns)
    table = json.loads(SCALES.read_text()) if SCALES.exists() else {}
    if key in table:
        return table[key]["scales"]
    kept = cache_dir() / "scales" / f"{key}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    scales = measure_scales(convs, normalisation)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(kept) as temporary:
            temporary.write_text(json.dumps(scales))
    except OSError:
        pass  # without a cache they are measured again next time
    return scales


@functools.cache
def _digest(path: Path, modified: int) -> str:
    return weights.digest(path)


@torch.no_grad()
def measure_scales(convs, normalisation) -> dict[str, float]:
    """Mean activation of each layer over all channels, places, and sample pictures, in fp32."""
    encoder = Encoder(convs, normalisation, precision="fp32", device="cpu")
    sums = dict.fromkeys(encoder.layers, 0.0)
    for name in samples.names():
        features = encoder(images.load(name, CALIBRATION_SIZE), encoder.layers)
        for layer in encoder.layers:
            sums[layer] += features[layer].mean().item()
    scales = {layer: round(total / len(samples.names()), 6) for layer, total in sums.items()}
    if min(scales.values()) <= 0:
        raise WeightsError("these weights leave a layer without any activation: they are not a trained VGG")
    return scales


def remake_scales() -> None:
    """Measure the scales of every named encoder whose weights are here, and rewrite the table that ships."""
    table = json.loads(SCALES.read_text()) if SCALES.exists() else {}
    for name in (name for name in NAMES if name != "pocket"):
        try:
            path = weights.find(name)
        except WeightsError as error:
            print(f"left as it is: {error}")
            continue
        convs = weights.original_vgg19() if name == "vgg19" else weights.state_dict_convs(path)
        scales = measure_scales(convs, CAFFE if name == "vgg19" else TORCHVISION)
        table[weights.digest(path)] = {"encoder": name, "scales": scales}
        print(f"{name}: {scales}")
    with atomic_write(SCALES) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    remake_scales()
