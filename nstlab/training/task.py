"""What a training trains: networks, optimisers, and what one step does."""

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from nstlab.training.loop import Training


class Task:
    """What is trained and how: subclasses say what one step does.

    `networks` are trained by the optimisers of the same names; `kept` are objects with state_dict and load_state_dict that go
    into checkpoints too, such as gates, and averages with the weights of their `module`. `info` says what it takes to build the
    network again; `settings` whatever else a continuation must have in common. `weights` are those of the losses and may
    change between two steps. Random numbers come from `Training.draw`.
    """

    system: str
    info: dict
    settings: dict
    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    kept: dict[str, object]
    weights: dict[str, float]
    views: dict[str, torch.Tensor]  # pictures and maps of the last step, for panels; "picture" among them
    style_scale = 1.0  # the long side of a critic's paintings over the squares' side: strokes are as large as the style's
    least = 8  # side in pixels of the smallest squares it can be trained on

    def step(self, index: int, batches: list, training: "Training") -> dict[str, torch.Tensor]:
        """Make step `index` with these (photos, paintings or None), as many as add up to it; fill `views` and return the
        losses by name, "total" among them."""
        raise NotImplementedError
