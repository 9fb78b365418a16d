"""A picture in, a painted picture out, in one pass: residual blocks, and a norm that knows several styles."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.errors import SettingError, check_count, choose

NORMS = ("instance", "batch")
UPSAMPLINGS = ("nearest", "transposed")
EPS = 1e-5


class StyleNet(nn.Module):
    """A photo painted in a style that the weights hold, or in a blend of several (Johnson et al. 2016; Ulyanov et al. 2017;
    Dumoulin et al. 2017).

    `widths`, `blocks`, `norm` and `upsampling` are those of Core. Each style adds only 2 numbers a normalised channel.
    Works in the type of its weights: `network.to(torch.bfloat16)` takes about half the time where the CPU has bf16.
    """

    def __init__(
        self, styles: int = 1, *, widths=(32, 48, 96), blocks: int = 4, norm: str = "instance", upsampling: str = "nearest"
    ):
        super().__init__()
        self.core = Core(styles, 3, widths=widths, blocks=blocks, norm=norm, upsampling=upsampling)

    @property
    def styles(self) -> int:
        """How many styles it holds."""
        return count_styles(self)

    def forward(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """The painted image (N, 3, H, W) in [0, 1] of an image of any size; `blend` as in `shares_of`."""
        image = images.check(image)
        return torch.sigmoid(self.core(image, shares_of(blend, self.styles, image)))

    def encode(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """Features (N, widths[-1], h, w) where the network is narrowest, for `style_aware_content_loss`."""
        image = images.check(image)
        return self.core.encode(image, shares_of(blend, self.styles, image))[-1].float()


class Core(nn.Module):
    """Down by stride-2 convolutions, residual blocks at the bottom, up again: (N, inputs, H, W) to (N, 3, H, W), unbounded.

    `widths`: channels at 1/2, 1/4, ... of the size; there are none at full size, where most of the time would go (the first
    convolution has stride 2 and the last one stands behind an upsampling, see Upsample). What came by on the way down is
    added on the way up (Ronneberger et al. 2015), which keeps faces; Johnson's network has nothing like it, and ends at 1/4.
    `norm`: "instance" normalises each channel of each picture, so that its contrast does not matter (Ulyanov et al. 2017);
    "batch", over the whole batch, is what the first networks had. `upsampling`: "nearest", or "transposed" convolutions,
    whose taps overlap unevenly and draw a chequer (Odena et al. 2016). Raises SettingError.
    """

    def __init__(self, styles: int, inputs: int, *, widths, blocks: int, norm: str = "instance", upsampling: str = "nearest"):
        super().__init__()
        styles, blocks = check_count("styles", styles), check_count("blocks", blocks, least=0)
        choose("norm", norm, NORMS)
        up = {"nearest": Upsample, "transposed": Transposed}[choose("upsampling", upsampling, UPSAMPLINGS)]
        widths = [check_count("width", width) for width in widths]
        if not widths:
            raise SettingError("widths (): give the channels at 1/2, 1/4, ... of the size, such as (32, 64)")
        sizes = [5] + [3] * (len(widths) - 1)
        steps = zip([inputs, *widths], widths, sizes, strict=False)
        self.multiple = 2 ** len(widths)
        self.down = nn.ModuleList(_Layer(Convolution(i, o, k, stride=2), o, styles, norm) for i, o, k in steps)
        self.blocks = nn.ModuleList(_Block(widths[-1], styles, norm) for _ in range(blocks))
        self.up = nn.ModuleList(_Layer(up(i, o), o, styles, norm) for i, o in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = up(widths[0], 3, bias=True)

    def forward(self, x: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) of x (N, inputs, H, W), in the type of x; `blend` (1 or N, styles)."""
        *passed, y = self.encode(x, blend)
        for layer, before in zip(self.up, reversed(passed), strict=True):
            y = layer(y, blend.to(y)) + before
        height, width = x.shape[-2:]
        return self.last(y)[..., :height, :width].to(x.dtype).contiguous()

    def encode(self, x: torch.Tensor, blend: torch.Tensor) -> list[torch.Tensor]:
        """Features at 1/2, 1/4, ... of the size, the last ones behind the residual blocks, in the type of the weights."""
        height, width = x.shape[-2:]
        x = images.pad(x, (0, -width % self.multiple, 0, -height % self.multiple))
        x = x.to(self.last.weight.dtype).contiguous(memory_format=torch.channels_last)
        blend, features = blend.to(x), []
        for layer in self.down:
            x = layer(x, blend)
            features.append(x)
        for block in self.blocks:
            x = block(x, blend)
        return [*features[:-1], x]


class Convolution(nn.Module):
    """k x k convolution with mirrored borders (zeros would draw a frame) and, as a norm follows, no bias."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1):
        super().__init__()
        self.stride, self.margin = stride, size // 2
        self.weight = _weight(outputs, inputs, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        return F.conv2d(images.pad(x, (self.margin,) * 4), self.weight, stride=self.stride)


class Upsample(nn.Module):
    """Nearest-neighbour upsampling by 2 and a 5x5 convolution, worked out at the lower resolution.

    Each of the four new pixels sees the same 3x3 old ones, some of them through several taps of the kernel. Adding those
    taps first gives four 3x3 kernels: less than half the work, and the result is the same.
    """

    # rows: which of the old pixels before, here, after; columns: the 5 taps; one table for even new pixels, one for odd ones
    TAPS = (((1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (0, 0, 0, 0, 1)), ((1, 0, 0, 0, 0), (0, 1, 1, 0, 0), (0, 0, 0, 1, 1)))

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.weight = _weight(outputs, inputs, 5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("taps", torch.tensor(self.TAPS, dtype=torch.float32), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        folded = torch.einsum("aky,blx,oiyx->oabikl", self.taps, self.taps, self.weight).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return F.pixel_shuffle(F.conv2d(images.pad(x, (1, 1, 1, 1)), folded, bias), 2)


class Transposed(nn.Module):
    """Transposed 3x3 convolution of stride 2: the upsampling of the first networks, and their chequer."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.weight = _weight(inputs, outputs, 3)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        return F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1, output_padding=1)


class Norm(nn.Module):
    """Conditional normalisation (Dumoulin et al. 2017): mean 0 and deviation 1, then a scale and shift of the style's own.

    A blend of styles is scaled and shifted by the weighted sum of theirs.
    """

    def __init__(self, styles: int, channels: int, kind: str = "instance"):
        super().__init__()
        self.kind = kind
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))
        if kind == "batch":
            self.register_buffer("mean", torch.zeros(channels))
            self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """x (N, C, H, W) normalised, in the blend (1 or N, styles)."""
        scale, shift = blend @ self.scale, blend @ self.shift
        groups = x.shape[1]  # one group per channel is instance norm, and torch's fastest way to it
        if self.kind == "batch":
            x = F.batch_norm(x, self.mean, self.variance, training=self.training, eps=EPS)
        elif len(blend) == 1 and (x.requires_grad or not torch.is_grad_enabled()):  # else torch 2.13's backward crashes
            return torch.group_norm(x, groups, scale[0], shift[0], EPS)  # the same as below, in one pass over x
        else:
            x = torch.group_norm(x, groups, eps=EPS)
        return torch.addcmul(shift[:, :, None, None], x, scale[:, :, None, None])


class _Layer(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, convolution: nn.Module, channels: int, styles: int, norm: str):
        super().__init__()
        self.convolution, self.norm = convolution, Norm(styles, channels, norm)

    def forward(self, x, blend):
        return F.relu(self.norm(self.convolution(x), blend))


class _Block(nn.Module):
    """Residual block (He et al. 2016): what two convolutions add to what comes in."""

    def __init__(self, channels: int, styles: int, norm: str):
        super().__init__()
        self.first = _Layer(Convolution(channels, channels), channels, styles, norm)
        self.second, self.norm = Convolution(channels, channels), Norm(styles, channels, norm)

    def forward(self, x, blend):
        return x + self.norm(self.second(self.first(x, blend)), blend)


def shares_of(blend: torch.Tensor | None, styles: int, image: torch.Tensor) -> torch.Tensor:
    """The blend as (1 or N, styles): weights of the styles that should add up to 1, (styles,) or (N, styles).

    None will do for a network of one style. Raises SettingError.
    """
    if blend is None:
        if styles == 1:
            return image.new_ones(1, 1)
        raise SettingError(f"a network of {styles} styles: give a blend, {styles} weights that add up to 1")
    shares = torch.as_tensor(blend, dtype=image.dtype, device=image.device)
    shares = shares[None] if shares.ndim == 1 else shares
    if shares.ndim != 2 or shares.shape[1] != styles or shares.shape[0] not in (1, image.shape[0]):
        raise SettingError(
            f"a blend of shape {tuple(shares.shape)}: give {styles} weights, one per style, or as many for each of the"
            f" {image.shape[0]} pictures"
        )
    return shares


class Staged(nn.Module):
    """What networks have in common that paint a draft and then add `revisions`, a ModuleList, coarse to fine."""

    @property
    def styles(self) -> int:
        """How many styles it holds."""
        return count_styles(self)

    @property
    def scales(self) -> int:
        """How many sizes it paints at, or was trained to."""
        return 1 + len(self.revisions)


def count_styles(network: nn.Module) -> int:
    """How many styles a network with conditional norms holds."""
    return next(len(module.scale) for module in network.modules() if isinstance(module, Norm))


def style_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The scales and shifts of the norms, (styles, channels) each: all that is to be trained for a new style.

    A one-hot blend gives the rows of the other styles a gradient of 0, so Adam leaves them as they are.
    """
    return [table for module in network.modules() if isinstance(module, Norm) for table in (module.scale, module.shift)]


@torch.no_grad()
def new_style(network: nn.Module, like: int | None = None) -> nn.Module:
    """A copy of the network with one style more, the last one; the others paint as before (Dumoulin et al. 2017).

    It starts as the mean of all styles, or as style `like`. Raises SettingError.
    """
    styles = count_styles(network)
    if like is not None and not 0 <= like < styles:
        raise SettingError(f"style {like}: the network has styles 0 to {styles - 1}")
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, Norm):
            for name in ("scale", "shift"):
                table = getattr(module, name)
                row = table.mean(0) if like is None else table[like]
                setattr(module, name, nn.Parameter(torch.cat([table, row[None]])))
    return network


def _weight(outputs: int, inputs: int, size: int) -> nn.Parameter:
    weight = torch.empty(outputs, inputs, size, size)
    return nn.Parameter(nn.init.kaiming_uniform_(weight, a=5**0.5))
