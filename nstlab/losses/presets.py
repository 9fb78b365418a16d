"""Losses and weights exactly as in two papers, and the weights of the preserving losses.

The papers normalise differently from our losses, which use Gram matrices over C N and mean squares.
"""

import torch

from nstlab.losses.base import Loss
from nstlab.losses.content import ContentLoss
from nstlab.losses.style import StyleLoss

KEPT = {"inside": 40.0, "structure": 32.0, "semantic": 4.0}  # weights of the preserving losses, with content 1


def gatys2016(content: torch.Tensor, style: torch.Tensor, ratio: float = 1e-3) -> tuple[dict[str, Loss], dict[str, float]]:
    """Losses and weights of Gatys, Ecker & Bethge 2016: alpha L_content + beta L_style with alpha / beta = `ratio`.

    L_content = 1/2 sum (F - P)^2 at relu4_2; L_style = 1/5 sum_l sum (G - A)^2 / (4 C^2 N^2) with G = F F^T, over
    relu1_1 to relu5_1, where N is each picture's own number of places. beta is 1.
    """
    losses = {
        "content": ContentLoss(content, rescale=lambda channels, places: channels * places / 2),
        "style": StyleLoss(style, rescale=lambda channels: channels**2 / 4),
    }
    return losses, {"content": ratio, "style": 1.0}


def johnson2016(content: torch.Tensor, style: torch.Tensor) -> tuple[dict[str, Loss], dict[str, float]]:
    """Losses and weights of Johnson, Alahi & Fei-Fei 2016, with VGG-16's layers: content 1, style 5.

    Content: sum (F - P)^2 / (C H W) at relu3_3. Style: sum over relu1_2, 2_2, 3_3, 4_3 of the squared Frobenius distance
    of G = F F^T / (C H W). Their total variation term (1e-6) is left to the caller: add a SmoothnessLoss.
    """
    layers = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    losses = {
        "content": ContentLoss(content, layers=("relu3_3",)),
        "style": StyleLoss(style, layers=layers, rescale=lambda channels: len(layers) * channels**2),
    }
    return losses, {"content": 1.0, "style": 5.0}
