"""Decoders: from an encoder's features back to the picture, block by block (Huang & Belongie 2017; Li et al. 2017).

A decoder mirrors an encoder and has no normalisation inside, which would undo the statistics that carry a style. Each block
gives what the encoder has one block earlier, so one decoder serves every level. Where the encoder pools, the decoder repeats
each pixel, or puts the maxima back where they were (Li et al. 2018), or undoes the Haar transform (Yoo et al. 2019).
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.encoders.base import conv_relu
from nstlab.errors import SettingError, WeightsError, check_count, choose
from nstlab.files import expanded
from nstlab.networks import saved
from nstlab.networks.unpooling import pooled_sizes, spread, unpool_indices, unpool_wavelet

SHIPPED = Path(__file__).parent.parent / "trained"
KINDS = ("decoder", "adain")

UPSAMPLINGS = {"nearest": ("max", "average"), "indices": ("indices",), "wavelet": ("wavelet",)}  # and the poolings they undo
JOINS = ("sum", "cat5")
BEFORE_POOL = {1: "relu1_2", 2: "relu2_2", 3: "relu3_4", 4: "relu4_4"}  # the layers that VGG-19 pools


class Decoder(nn.Module):
    """Features at `layer` or above it -> the picture, for an encoder with these `channels` ({layer: number of channels}).

    `upsampling` undoes the encoder's pooling: "nearest" (max, average), "indices", or "wavelet". The latter joins the three
    bands that the pooling kept by "sum", the inverse of the Haar transform, or by "cat5", which weighs the four bands and the
    features before the pooling; these, the layers in `needs`, the encoder must then be asked for. `ranks` are those of the
    convolutions at full size, 1/2, 1/4, ...: a 3x3 convolution to so few channels and a 1x1 convolution back (None: whole
    convolutions). `fingerprint` is that of the encoder whose features it reads. Raises SettingError.
    """

    def __init__(
        self, channels: dict[str, int], layer: str = "relu4_1", upsampling: str = "nearest", join: str = "sum", ranks=None,
        fingerprint: dict | None = None,
    ):  # fmt: skip
        super().__init__()
        choose("layer", layer, [name for name in channels if name.endswith("_1")])
        self.upsampling = choose("upsampling", upsampling, UPSAMPLINGS)
        self.join, self.fingerprint = choose("join", join, JOINS), fingerprint
        self.file = ""  # that it was loaded from
        self.layers = tuple(f"relu{level}_1" for level in range(_level(layer), 0, -1))  # deepest first
        self.channels = {name: check_count("channels", channels[name]) for name in self.layers}
        ranks = list(ranks) if ranks else [None] * len(self.layers)
        if len(ranks) != len(self.layers):
            raise SettingError(f"{len(ranks)} ranks for {len(self.layers)} sizes of features: give one for each, or none")
        self.ranks = [rank and check_count("rank", rank) for rank in ranks]
        join = self.join if upsampling == "wavelet" else None
        self.blocks = nn.ModuleDict()
        for name, after in zip(self.layers, self.layers[1:]):
            level = _level(name)
            widths, block_ranks = (self.channels[name], self.channels[after]), (self.ranks[level - 1], self.ranks[level - 2])
            self.blocks[name] = _Block(*widths, *block_ranks, upsampling, join)
        self.last = Convolution(self.channels["relu1_1"], 3)
        nn.init.constant_(self.last.near.bias, 0.5)

    @property
    def options(self) -> dict:
        """What builds this decoder again, with fresh weights: the arguments of Decoder."""
        named = {"layer": self.layers[0], "upsampling": self.upsampling, "join": self.join, "ranks": self.ranks}
        return {"channels": dict(self.channels), **named, "fingerprint": self.fingerprint}

    @property
    def needs(self) -> tuple[str, ...]:
        """Layers that the encoder must be asked for beside the one to decode: those before the poolings, for "cat5"."""
        levels = range(1, len(self.layers)) if (self.upsampling, self.join) == ("wavelet", "cat5") else ()
        return tuple(BEFORE_POOL[level] for level in levels)

    def forward(
        self, features: torch.Tensor, layer: str, size: tuple[int, int], kept: dict[str, torch.Tensor] | None = None,
        edit: dict[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> dict[str, torch.Tensor]:  # fmt: skip
        """What the encoder would have on the way to `features` (N, C, h, w) at `layer`, and the picture.

        {"relu3_1": (N, C, h, w), ..., "relu1_1": ..., "image": (N, 3, H, W) float32, not clamped}, as far as they lie above
        `layer`. `size` is (H, W) of the picture. `kept` is what the encoder returned: "pool1", ... and, for "cat5", `needs`.
        `edit` = {layer: function} replaces features on the way. Raises SettingError for what does not fit.
        """
        choose("layer", layer, self.layers)
        above = self.layers[self.layers.index(layer) + 1 :]
        edit = {choose("layer", name, above): function for name, function in (edit or {}).items()}
        sizes = pooled_sizes(size, _level(layer))
        self._check(features, layer, sizes[-1])
        x = features.to(self.last.near.weight.dtype).contiguous(memory_format=torch.channels_last)
        found = {}
        for name, after in zip((layer, *above), above):
            level = _level(after)
            x = self.blocks[name](x, sizes[level - 1], self._kept(kept, level))
            x = found[after] = edit[after](x) if after in edit else x
        found["image"] = self.last(x).float()
        return found

    def _kept(self, kept, level: int) -> list[torch.Tensor]:
        """What the pooling of that level kept, and what was before it, as far as the upsampling asks for it."""
        names = [] if self.upsampling == "nearest" else [f"pool{level}"]
        names += [BEFORE_POOL[level]] if self.needs else []
        missing = [name for name in names if name not in (kept or {})]
        if missing:
            (pooling,) = UPSAMPLINGS[self.upsampling]
            raise SettingError(
                f"upsampling {self.upsampling} needs {', '.join(missing)} of an encoder with pooling {pooling}: pass as `kept`"
                " all that it returned"
            )
        return [kept[name] for name in names]

    def _check(self, features: torch.Tensor, layer: str, size: tuple[int, int]) -> None:
        wanted = (self.channels[layer], *size)
        if features.ndim != 4 or tuple(features.shape[1:]) != wanted:
            shape = ", ".join(str(side) for side in wanted)
            raise SettingError(f"features of {layer} at this size are (N, {shape}), not {tuple(features.shape)}")

    def __repr__(self) -> str:
        count = sum(weight.numel() for weight in self.parameters())
        return f"Decoder({self.layers[0]} to the image, {self.upsampling}, {count / 1e6:.2f} million weights)"


class _Block(nn.Module):
    """Features at reluK_1 -> those at relu(K-1)_1: a convolution, the upsampling, and a convolution."""

    def __init__(self, inputs: int, outputs: int, rank: int | None, rank_after: int | None, upsampling: str, join: str | None):
        super().__init__()
        self.low, self.high = Convolution(inputs, outputs, rank), Convolution(outputs, outputs, rank_after)
        self.upsampling, self.weigh = upsampling, _Weigh(outputs) if join == "cat5" else None

    def forward(self, x: torch.Tensor, size: tuple[int, int], kept: list[torch.Tensor]) -> torch.Tensor:
        x = self.low(x, relu=True)
        if self.upsampling == "nearest":
            return self.high.upsampled(x, size, relu=True)
        if self.upsampling == "indices":
            return self.high(unpool_indices(x, kept[0], size), relu=True)
        joined = unpool_wavelet(x, kept[0].to(x), size) if self.weigh is None else self.weigh(x, kept[0], kept[1], size)
        return self.high(joined, relu=True)


class _Weigh(nn.Module):
    """The unpooled four bands and the features before the pooling, each through a 1x1 convolution of its own, added up.

    The same as a 1x1 convolution of all five (Yoo et al. 2019, "cat5", have 3x3): as it commutes with unpooling, that of the
    bands is worked out at the lower resolution. At first it is the sum of the bands alone.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.bands = nn.Conv2d(4 * channels, 4 * channels, 1, groups=4, bias=False)
        self.before = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.zeros_(self.before.weight)
        with torch.no_grad():
            self.bands.weight.copy_(torch.eye(channels).repeat(4, 1)[..., None, None])

    def forward(self, x, bands, before, size):
        x, bands = self.bands(torch.cat([x, bands.to(x)], 1)).split([x.shape[1], bands.shape[1]], 1)
        return unpool_wavelet(x, bands, size) + self.before(before.to(x))


class Convolution(nn.Module):
    """3x3 convolution with mirrored borders; with a `rank` one to so few channels and a 1x1 convolution behind it."""

    # rows: which two old pixels, the one before and this one, or this one and the next; columns: the 3 taps; one table for even
    # new pixels, one for odd ones
    TAPS = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))

    def __init__(self, inputs: int, outputs: int, rank: int | None = None):
        super().__init__()
        self.near = nn.Conv2d(inputs, rank or outputs, 3, bias=rank is None)
        self.wide = nn.Conv2d(rank, outputs, 1) if rank else None
        for layer in (self.near, self.wide):
            if layer is not None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear" if rank and layer is self.near else "relu")
        self.register_buffer("taps", torch.tensor(self.TAPS, dtype=torch.float32), persistent=False)

    def forward(self, x: torch.Tensor, relu: bool = False) -> torch.Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w); what is below 0 becomes 0 with `relu`."""
        x = images.pad(x, (1, 1, 1, 1))
        if self.wide is None:
            return conv_relu(x, self.near.weight, self.near.bias) if relu else self.near(x)
        return self._widened(self.near(x), relu)

    def _widened(self, x: torch.Tensor, relu: bool) -> torch.Tensor:
        return conv_relu(x, self.wide.weight, self.wide.bias) if relu else self.wide(x)

    def upsampled(self, x: torch.Tensor, size: tuple[int, int], relu: bool = False) -> torch.Tensor:
        """The same as of `spread(x, size)`, worked out at the lower resolution.

        Each of four new pixels sees the same 2x2 old ones, some of them through several taps of the kernel. Adding those taps
        first gives four 2x2 kernels: less than half the work.
        """
        if any(side < 2 * old for side, old in zip(size, x.shape[-2:])):  # a side of one pixel that stays as it is
            return self(spread(x, size), relu)
        height, width = (-(-side // 2) for side in size)
        x = images.pad(x, (1, 1 + width - x.shape[-1], 1, 1 + height - x.shape[-2]), mirrored=False)
        folded = torch.einsum("pay,qbx,oiyx->pqoiab", self.taps, self.taps, self.near.weight).flatten(0, 2)
        bias = None if self.near.bias is None else self.near.bias.repeat(4)
        early = relu and self.wide is None
        found = _Interleaved.apply(conv_relu(x, folded, bias) if early else F.conv2d(x, folded, bias))
        found = found[..., : size[0], : size[1]]
        return found if self.wide is None else self._widened(found, relu)


class _Interleaved(torch.autograd.Function):
    """Features (N, 4 C, h + 1, w + 1) of four kernels as (N, C, 2 h, 2 w): two alternate along the rows, two along the columns.

    The second of two kernels begins one place later. By slices alone, autograd would fill as many tensors with zeros.
    """

    @staticmethod
    def forward(ctx, four):
        count, channels, height, width = four.shape
        shape = (count, channels // 4, 2 * (height - 1), 2 * (width - 1))
        found = torch.empty(shape, dtype=four.dtype, device=four.device, memory_format=torch.channels_last)
        _Interleaved.move(four, found, back=False)
        return found

    @staticmethod
    def backward(ctx, gradient):
        count, channels, height, width = gradient.shape
        shape = (count, 4 * channels, height // 2 + 1, width // 2 + 1)
        four = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last).zero_()
        _Interleaved.move(four, gradient, back=True)
        return four

    @staticmethod
    def move(four, found, back: bool) -> None:
        """Copy what belongs together, from the four to the one or `back`."""
        height, width = (side - 1 for side in four.shape[-2:])
        for number, part in enumerate(four.chunk(4, 1)):
            row, column = divmod(number, 2)
            parts = part[..., row : row + height, column : column + width], found[..., row::2, column::2]
            parts[not back].copy_(parts[back])


def _level(layer: str) -> int:
    return int(layer[4])


def shipped_file(encoder: str, upsampling: str = "nearest", kind: str = "decoder") -> Path:
    """The file of the decoder that ships for the encoder of that name. Raises WeightsError if none does."""
    choose("kind of decoder", kind, KINDS)
    suffix = "" if upsampling == "nearest" else f"_{choose('upsampling', upsampling, UPSAMPLINGS)}"
    path = SHIPPED / f"{kind}_{encoder}{suffix}.safetensors"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in SHIPPED.glob(f"{kind}_*.safetensors"))) or "none"
        raise WeightsError(f"no {path.stem} ships with the package (there are {there}): train one and name its file")
    return path


def load_decoder(encoder, upsampling: str | None = None, kind: str = "decoder", file=None) -> Decoder:
    """The trained decoder that ships for an encoder, frozen, on its device and in its type.

    `upsampling` follows the encoder's pooling if None. `kind` is "decoder", trained to give pictures back, or "adain", trained
    on from there to paint; `file` is another file to load. Raises WeightsError for an encoder without a decoder, and for a
    decoder of another encoder.
    """
    if upsampling is None:
        upsampling = next(name for name, poolings in UPSAMPLINGS.items() if encoder.pooling in poolings)
    path = shipped_file(encoder.name, upsampling, kind) if file is None else expanded(file)
    tensors, info = saved.read(path)
    if info["network"].get("builder") != "Decoder":
        raise WeightsError(f"{path} is a checkpoint of {info['system']}, not a decoder: train one (nstlab train decoder)")
    if info["network"].get("fingerprint") != encoder.fingerprint:
        name = (info["network"].get("fingerprint") or {}).get("name", "unknown")
        raise WeightsError(
            f"{path} decodes features of the encoder {name} with other weights or scales than this {encoder.name}: load the"
            " encoder that it was trained with, or train another decoder"
        )
    decoder = built(info["network"], path)
    saved.fill(decoder, saved.part(tensors, "ema"), path)
    if decoder.upsampling != upsampling:
        raise WeightsError(f"{path} upsamples by {decoder.upsampling}, not by {upsampling}: name another file")
    decoder.file = str(path)
    return decoder.eval().requires_grad_(False).to(encoder.device, encoder.dtype, memory_format=torch.channels_last)


def built(described: dict, source) -> Decoder:
    """A decoder with fresh weights from its options as a file has them. Raises WeightsError."""
    try:
        return Decoder(**{name: value for name, value in described.items() if name != "builder"})
    except (TypeError, KeyError, AttributeError, SettingError) as error:
        raise WeightsError(f"{source} is of a decoder that cannot be built here ({error}): train it anew") from None
