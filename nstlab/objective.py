"""Named, weighted losses over one encoder pass."""

import torch

from nstlab import images
from nstlab.errors import SettingError, check_weight, choose
from nstlab.losses.base import Loss


class Objective:
    """The sum of named losses, each times its weight; every loss reads from the same encoder pass.

    `weights` may be changed between two calls, also while an optimisation runs; a name without a weight has weight 1.
    Weights are relative to the losses as they are, not shares: doubling all of them doubles the total.
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
        """The layers that any of the losses reads."""
        return sorted({layer for loss in self.losses.values() for layer in loss.layers})

    def prepare(self, size: tuple[int, int]) -> None:
        """Make every loss's targets for pictures of (H, W) pixels, if they are not made yet."""
        if self.size != tuple(size):
            for loss in self.losses.values():
                loss.prepare(self.encoder, tuple(size))
            self.size = tuple(size)

    def __call__(self, image: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(total, {name: term}) of an image (1, 3, H, W): the total weighted, the terms as they are."""
        self.prepare(image.shape[-2:])
        features = self.encoder(image, self.layers)
        terms = {name: loss(features) for name, loss in self.losses.items()}
        weighted = [check_weight(name, self.weights[name]) * term for name, term in terms.items() if self.weights[name]]
        return sum(weighted, torch.zeros((), device=self.encoder.device)), terms

    @torch.no_grad()
    def judge(self, image: torch.Tensor) -> tuple[float, dict[str, float]]:
        """(total, {name: term}) as numbers, of the picture as it would be saved: clipped and rounded to 8 bits."""
        total, terms = self(images.eight_bit(image))
        return total.item(), {name: term.item() for name, term in terms.items()}

    def __repr__(self) -> str:
        terms = ", ".join(f"{self.weights[name]:g} {name}" for name in self.losses)
        return f"Objective({terms})"
