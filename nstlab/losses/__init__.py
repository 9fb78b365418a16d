"""One file per loss: a plain function on tensors, then a thin module that keeps its targets."""

from nstlab.losses.base import Loss
from nstlab.losses.content import ContentLoss, content_loss
from nstlab.losses.presets import gatys2016, johnson2016
from nstlab.losses.smoothness import SmoothnessLoss, total_variation
from nstlab.losses.style import StyleLoss, gram_loss

__all__ = [
    "ContentLoss",
    "Loss",
    "SmoothnessLoss",
    "StyleLoss",
    "content_loss",
    "gatys2016",
    "gram_loss",
    "johnson2016",
    "total_variation",
]
