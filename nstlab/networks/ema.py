"""Exponential moving average (EMA) of the weights of a network in training: smoother pictures than from any single step."""

import copy

import torch
from torch import nn

from nstlab.errors import SettingError


class Ema:
    """Exponential moving average of a module's weights (Polyak & Juditsky 1992); `module` is the averaged, frozen copy.

    At step n the decay is (1 + n) / (10 + n), at most `decay`, so that the first weights are soon forgotten. Buffers are
    copied, not averaged. Raises SettingError for a decay outside [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise SettingError(f"decay {decay}: give a number from 0 to below 1, such as 0.999")
        self.decay, self.steps = decay, 0
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Include the present weights of the module in training."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for ours, theirs in zip(self.module.parameters(), module.parameters(), strict=True):
            ours.lerp_(theirs.to(ours), 1 - decay)
        for ours, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            ours.copy_(theirs)

    def state_dict(self) -> dict:
        """{"steps": int, "module": state dict of the averaged weights}."""
        return {"steps": self.steps, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.steps = int(state["steps"])
