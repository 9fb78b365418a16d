"""A small head that tells from frozen features which kinds of things a picture holds, and where their outlines run.

It reads EfficientNet-Lite0 at strides 8, 16 and 16 and its last layer (the last two computed at stride 16 with dilated
filters). Each map is projected to a few channels. Those of stride 16 see their neighbourhood and, through their mean, the
whole picture (Liu et al. 2015); then the finer ones of stride 8 are added, as in a feature pyramid (Lin et al. 2017).
"""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nstlab.encoders import weights
from nstlab.errors import WeightsError

FILE = Path(__file__).with_name("saliency_head.safetensors")
NAMES = ("background", "person", "animal", "vehicle", "food", "furniture", "other thing")
STUFF = ("sky", "water", "plants", "ground", "building", "room")  # what a background can be; "room" is walls indoors
CHANNELS = {"stride8": 40, "stride16": 112, "stride32": 320, "head": 1280}  # of the features that it reads


class SaliencyHead(nn.Module):
    """Features (N, C, h, w) by name -> logits (N, 14, h, w) at the resolution of "stride8".

    The first seven are those of the `NAMES`, to be compared by softmax; the eighth says whether a person's head is there; the
    last six are those of `STUFF`, to be compared by softmax where the background is.
    `width` is the number of channels in which the maps meet, `fine` that at stride 8; `dropout` the share of projected
    channels left out at random during training.
    """

    def __init__(self, width: int = 48, fine: int = 32, dropout: float = 0.2):
        super().__init__()
        projected = {"stride8": fine // 2, "stride16": width // 2, "stride32": width // 2, "head": width}
        self.project = nn.ModuleDict({name: nn.Conv2d(CHANNELS[name], count, 1) for name, count in projected.items()})
        self.norm = nn.GroupNorm(4, 2 * width)
        self.dropout = nn.Dropout2d(dropout)
        self.whole = nn.Linear(2 * width, width)
        self.near = _conv(2 * width, width, 1)
        self.far = _conv(width, width, 2)
        self.fine = _conv(width + fine // 2, fine, 1)
        self.last = nn.Conv2d(fine, len(NAMES) + 1 + len(STUFF), 1)

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        maps = {name: layer(features[name].float()) for name, layer in self.project.items()}
        x = self.dropout(self.norm(torch.cat([maps[name] for name in ("stride16", "stride32", "head")], 1)))
        x = F.gelu(self.near(x) + self.whole(x.mean((2, 3)))[:, :, None, None])
        x = x + F.gelu(self.far(x))
        x = F.interpolate(x, maps["stride8"].shape[-2:], mode="bilinear", align_corners=False)
        x = F.gelu(self.fine(torch.cat([x, F.gelu(maps["stride8"])], 1)))
        return self.last(x)


def _conv(inputs: int, outputs: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, padding_mode="replicate")


def object_logit(logits: torch.Tensor) -> torch.Tensor:
    """Logit (N, 1, h, w) of "not background", from the logits of the names."""
    names = logits[:, : len(NAMES)]
    return names[:, 1:].logsumexp(1, keepdim=True) - names[:, :1]


@functools.cache
def load_saliency_head(file: Path = FILE) -> SaliencyHead:
    """The trained head, frozen, loaded once. Raises WeightsError for a file of other weights."""
    head = SaliencyHead()
    try:
        head.load_state_dict({name: value.float() for name, value in weights.load_state(file).items()})
    except RuntimeError as error:
        raise WeightsError(f"{file} does not hold the weights of the saliency head: {str(error).splitlines()[-1]}") from None
    return head.eval().requires_grad_(False)
