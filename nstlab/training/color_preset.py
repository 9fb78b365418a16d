"""The training of a PresetNet without labels: one photo in two looks, which are to be told apart from what it shows."""

import math

import torch
import torch.nn.functional as F

from nstlab.data import color_presets
from nstlab.errors import check_weight, choose
from nstlab.networks import Ema, PresetNet
from nstlab.training.task import Task, add, check_lr, to_device

WEIGHTS = {"same": 1.0, "swap": 10.0, "own": 5.0}


class PresetTask(Task):
    """Two drawn presets of each photo; the losses are means over pixels.

    "same": both without their look must be one picture (mean squared difference over its variance, or else a fainter picture
    would do); "swap": either, with the code of the other, must become the other; "own": and with its own, itself (mean
    absolute differences). `info` describes the network; `weights` replace those of WEIGHTS.
    """

    def __init__(self, system: str, info: dict, network: PresetNet, *, weights=None, lr: float = 1e-3, decay: float = 0.998):
        self.system, self.info, self.settings = system, info, {"lr": check_lr(lr), "decay": decay}
        self.generator, self.networks = network, {"generator": network}
        self.optimizers = {"generator": torch.optim.Adam(network.parameters(), lr)}
        self.ema = Ema(network, decay)
        self.kept, self.views = {"ema": self.ema}, {}
        self.weights = WEIGHTS | {choose("weight", name, WEIGHTS): check_weight(name, w) for name, w in (weights or {}).items()}

    def lr_factor(self, index: int, steps: int) -> float:
        """Up over the first 50 steps, then down to 0 along a cosine (Loshchilov & Hutter 2017)."""
        return min(1.0, (index + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * index / steps))

    def step(self, index: int, batches: list, training) -> dict[str, torch.Tensor]:
        """One change of the network."""
        sums: dict[str, torch.Tensor] = {}
        with training.update("generator") as backward:
            for (batch, _), seeds in zip(batches, training.draw(2**31, index), strict=True):
                photo, _ = to_device(batch, training.device)
                looks = torch.cat([color_presets.drawn((seeds + half).tolist())(photo) for half in (0, 2**31)])
                found = training.wrapped["generator"].forward_all(looks)
                self.views = {"photo": looks[len(photo) :][:1], "picture": found["swapped"][:1].detach().clamp(0, 1)}
                terms = losses(looks, found)
                total = sum(self.weights[name] * value for name, value in terms.items())
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        self.ema.update(self.generator)
        return sums


def losses(looks: torch.Tensor, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The terms of PresetTask from what `PresetNet.forward_all` found in the looks (2N, 3, H, W) of N pictures."""
    one, other = found["normal"].chunk(2)
    spread = found["normal"].var((1, 2, 3)).mean().detach().clamp_min(1e-4)
    return {
        "same": F.mse_loss(one, other) / spread,
        "swap": F.l1_loss(found["swapped"], looks),
        "own": F.l1_loss(found["own"], looks),
    }
