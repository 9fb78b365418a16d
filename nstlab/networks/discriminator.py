"""Critics: networks that say, patch by patch, whether a picture looks like the real ones."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from nstlab.color import luminance
from nstlab.errors import ImageError, SettingError, check_count, choose

NORMS = ("spectral", "instance", "none")
SLOPE = 0.2  # of the leaky ReLU below 0
KERNEL = 4
SMALLEST = 4  # pixels along a side at the last convolutions, so that their kernels see something besides padding


class PatchDiscriminator(nn.Module):
    """One judgement for each patch of a picture (PatchGAN, Isola et al. 2017): `layers` 4x4 convolutions of stride 2, one more
    of stride 1, and a last one to a single channel.

    The channels are `width` after the first convolution and double each time, up to 8 times. `norm`: "spectral" holds the
    slope of each convolution down (Miyato et al. 2018), "instance" is what pix2pixHD takes. Batch norm is not offered: it
    tells which pictures came together. Spectral norm goes on from its last state whenever it is used in training; that state
    is in the state dict. A `grey` critic sees the brightness alone: it judges strokes, and no palette. A critic of several
    `styles` is told which one a picture should have: its last convolution has a channel for all and one for each of them, and
    a judgement is the sum of two. Raises SettingError.
    """

    def __init__(self, *, layers: int = 3, width: int = 32, norm: str = "spectral", grey: bool = False, styles: int = 0):
        super().__init__()
        self.layers = layers = check_count("layers", layers)
        width = check_count("width", width)
        if not isinstance(grey, bool):
            raise SettingError(f"grey {grey}: true or false")
        self.norm, self.grey = choose("norm", norm, NORMS), grey
        channels = [1 if grey else 3, *(width * 2 ** min(i, 3) for i in range(layers + 1))]
        strides = [2] * layers + [1]
        convs = [nn.Conv2d(i, o, KERNEL, s, padding=1) for i, o, s in zip(channels, channels[1:], strides, strict=False)]
        self.styles = check_count("styles", styles, least=0)
        convs.append(nn.Conv2d(channels[-1], 1 + self.styles, KERNEL, padding=1))
        self.convs = nn.ModuleList(spectral_norm(conv) if norm == "spectral" else conv for conv in convs)

    def forward(self, image: torch.Tensor, style: torch.Tensor | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits (N, 1, h, w), high where a patch looks real, and the features of every layer before them, first to last.

        `style` (N,) are the numbers of the styles, for a critic of several. Raises ImageError for a picture that is too small
        for this many layers, SettingError for a style that the critic does not know.
        """
        least = smallest_side(self.layers)
        if min(image.shape[-2:]) < least:
            size = f"{image.shape[-1]} x {image.shape[-2]}"
            raise ImageError(f"a critic of {self.layers} layers needs {least} pixels along each side, not {size}: use fewer")
        x, features = 2 * (luminance(image) if self.grey else image) - 1, []
        for number, conv in enumerate(self.convs[:-1]):
            x = conv(x)
            if self.norm == "instance" and number > 0:
                x = torch.group_norm(x, x.shape[1])
            x = F.leaky_relu(x, SLOPE)
            features.append(x)
        logits = self.convs[-1](x)
        if self.styles:
            logits = logits[:, :1] + logits[torch.arange(len(logits)), 1 + self._known(style)][:, None]
        return logits, features

    def _known(self, style: torch.Tensor | None) -> torch.Tensor:
        if style is None or int(style.min()) < 0 or int(style.max()) >= self.styles:
            asked = None if style is None else style.tolist()
            raise SettingError(f"style {asked}: the critic has styles 0 to {self.styles - 1}")
        return style


class MultiscaleDiscriminator(nn.Module):
    """Several critics of one kind, the first on the picture, each further one on a picture half as large (pix2pixHD, Wang et
    al. 2018): coarse critics see large forms, fine ones brush strokes. `options` are those of PatchDiscriminator."""

    def __init__(self, scales: int = 2, **options):
        super().__init__()
        self.critics = nn.ModuleList(PatchDiscriminator(**options) for _ in range(check_count("scales", scales)))

    def forward(self, image: torch.Tensor, style=None) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
        """(logits, features) of each scale, fine to coarse; `style` as for PatchDiscriminator. Raises ImageError where the
        smallest picture is too small."""
        least = smallest_side(self.critics[0].layers, len(self.critics))
        if min(image.shape[-2:]) < least:
            size = f"{image.shape[-1]} x {image.shape[-2]}"
            raise ImageError(
                f"{len(self.critics)} scales of {self.critics[0].layers} layers need {least} pixels along each side,"
                f" not {size}: use fewer scales or layers"
            )
        results = []
        for number, critic in enumerate(self.critics):
            image = halve(image) if number else image
            results.append(critic(image, style))
        return results


def halve(image: torch.Tensor) -> torch.Tensor:
    """Mean over 3x3 pixels, every second one: half the size, rounded up; beyond the border nothing is counted."""
    return F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)


def receptive_field(layers: int) -> int:
    """Side in pixels of the patch that one judgement of PatchDiscriminator sees: 70 for 3 layers."""
    field = 1
    for stride in [1, 1] + [2] * check_count("layers", layers):  # from the last convolution back to the picture
        field = (field - 1) * stride + KERNEL
    return field


def smallest_side(layers: int, scales: int = 1) -> int:
    """The fewest pixels along a side that a critic of so many layers and scales takes."""
    return SMALLEST * 2**layers * 2 ** (scales - 1)
