"""What a training trains: networks, optimisers, and what one step does."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from nstlab.encoders import load_encoder
from nstlab.errors import SettingError, check_weight

if TYPE_CHECKING:
    from nstlab.training.loop import Training


LR_WARMUP_STEPS = 50  # until the learning rates are at their height


class Task:
    """What is trained and how: subclasses say what one step does.

    A task needs no styles, no discriminator and no second set of pictures: what the loop asks of it stands here. `networks` are
    trained by the optimisers of the same names, and `ema`, if there is one, averages the first; `kept` are objects with
    state_dict and load_state_dict that go into checkpoints too, such as gates, and moving averages with the weights of their
    `module`. `info` says what it takes to build the network again; `settings` whatever else a continuation must have in common.
    `weights` are those of the losses and may change between two steps. Random numbers come from `Training.draw` and
    `Training.generator`.
    """

    system: str
    info: dict
    settings: dict
    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    kept: dict[str, object]
    weights: dict[str, float]
    views: dict[str, torch.Tensor]  # pictures and maps of the last step, for panels; "picture" among them
    # the long side of the second set's pictures over the crops' side, so that strokes are as large as the style's; None: crops
    # of any size
    style_scale: float | None = 1.0
    fresh = True  # whether the weights come from no other training
    least = 8  # side in pixels of the smallest crops it can be trained on
    clip = 10.0  # longest gradient of a network: longer ones are shortened to it

    def lr_factor(self, index: int, steps: int) -> float:
        """The factor of all learning rates at step `index` (from 0) of `steps`: they rise over the first LR_WARMUP_STEPS (a
        tenth of a short training) and fall to a twentieth over the last 30 %."""
        rise = (index + 1) / min(LR_WARMUP_STEPS, max(1, steps // 10))
        fall = (steps - index) / max(1.0, 0.3 * steps)
        return min(1.0, rise, max(0.05, fall))

    def step(self, index: int, batches: list, training: "Training") -> dict[str, torch.Tensor]:
        """Make step `index` (from 0) with these (photos, paintings or None), each a Batch, as many as add up to it: change
        weights within `Training.update` alone, fill `views`, and return the losses by name, "total" among them."""
        raise NotImplementedError


def open_encoder(encoder, device, **options) -> torch.nn.Module:
    """The encoder of that name on the device, with these options, or the encoder itself."""
    return load_encoder(encoder, device=device, **options) if isinstance(encoder, (str, Path)) else encoder


def check_lr(lr) -> float:
    """A learning rate: over 0, at most 1."""
    if not 0 < check_weight("learning rate", lr) <= 1:
        raise SettingError(f"learning rate {lr}: give a number over 0, at most 1, such as 0.001")
    return float(lr)


def to_device(batch, device):
    """Images and guides of a batch on a device."""
    return batch.images.to(device), None if batch.guides is None else batch.guides.to(device)


def add(sums: dict, terms: dict, parts: int) -> None:
    """Add a part of each term to the sums."""
    for key, value in terms.items():
        sums[key] = sums.get(key, 0.0) + value.detach() / parts
