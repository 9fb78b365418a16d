"""The objective: a weighted sum of named losses computed from one encoder pass."""

import torch

from nstlab import images
from nstlab.errors import SettingError, check_weight, choose
from nstlab.losses.base import Loss


class Objective:
    """The weighted sum of named losses, all computed from the same encoder pass.

    `weights` may be changed between calls, also during an optimisation; a loss without a weight has weight 1. Weights are not
    normalised: doubling all of them doubles the total. Raises SettingError if there is no loss, or for a weight that is
    negative or belongs to no loss.
    """

    def __init__(self, encoder, losses: dict[str, Loss], weights: dict[str, float] | None = None):
        if not losses:
            raise SettingError("an objective needs at least one loss")
        for name in weights or {}:
            choose("loss", name, losses)
        self.encoder = encoder
        self.losses = dict(losses)
        self.weights = {name: check_weight(name, (weights or {}).get(name, 1.0)) for name in losses}
        self.size: tuple[int, int] | None = None

    @property
    def layers(self) -> list[str]:
        """The layers read by any of the losses."""
        return sorted({layer for loss in self.losses.values() for layer in loss.layers})

    def prepare(self, size: tuple[int, int]) -> None:
        """Compute the targets of all losses for pictures of (H, W) pixels, unless they are up to date."""
        if self.size != tuple(size):
            for loss in self.losses.values():
                loss.prepare(self.encoder, tuple(size))
            self.size = tuple(size)

    def __call__(self, image: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(weighted total, {name: unweighted term}) of an image (1, 3, H, W), as scalar tensors."""
        self.prepare(image.shape[-2:])
        features = self.encoder(image, self.layers)
        terms = {name: loss(features) for name, loss in self.losses.items()}
        weighted = [check_weight(name, self.weights[name]) * term for name, term in terms.items() if self.weights[name]]
        return sum(weighted, torch.zeros((), device=self.encoder.device)), terms

    @torch.no_grad()
    def judge(self, image: torch.Tensor) -> tuple[float, dict[str, float]]:
        """(total, {name: term}) as floats, for the picture as it would be saved: clipped and rounded to 8 bits."""
        total, terms = self(images.eight_bit(image))
        return total.item(), {name: term.item() for name, term in terms.items()}

    def __repr__(self) -> str:
        terms = ", ".join(f"{self.weights[name]:g} {name}" for name in self.losses)
        return f"Objective({terms})"
