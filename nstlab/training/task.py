"""What a training trains: networks, optimisers, and what one step does."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from nstlab.encoders import load_encoder
from nstlab.errors import SettingError, check_weight

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


def open_encoder(encoder, device) -> torch.nn.Module:
    """The encoder of that name on the device, or the encoder itself."""
    return load_encoder(encoder, device=device) if isinstance(encoder, (str, Path)) else encoder


def check_rate(rate) -> float:
    """A learning rate: over 0, at most 1."""
    if not 0 < check_weight("learning rate", rate) <= 1:
        raise SettingError(f"learning rate {rate}: give a number over 0, at most 1, such as 0.001")
    return float(rate)


def to_device(batch, device):
    """Images and guides of a batch on a device."""
    return batch.images.to(device), None if batch.guides is None else batch.guides.to(device)


def add(sums: dict, terms: dict, parts: int) -> None:
    """Add a part of each term to the sums."""
    for key, value in terms.items():
        sums[key] = sums.get(key, 0.0) + value.detach() / parts
