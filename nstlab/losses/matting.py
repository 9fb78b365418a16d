"""Photorealism: in every 3x3 window, the colours should be an affine function of the photo's (Luan et al. 2017)."""

import torch

from nstlab import images
from nstlab.losses.base import Loss
from nstlab.matting import EPS, matting_energy, window_model


class MattingLoss(Loss):
    """`matting_energy` relative to the photo, divided by 9 C H W: the mean variance that no local recolouring explains."""

    def __init__(self, content: torch.Tensor, eps: float = EPS):
        super().__init__()
        self.content, self.eps = images.check(content), eps

    @torch.no_grad()
    def prepare(self, encoder, size):
        exact = torch.float32 if encoder.device.type == "mps" else torch.float64
        self.target = images.resize(self.content, size).to(encoder.device, exact)
        self.model = window_model(self.target, self.eps) if min(size) >= 3 else None

    def forward(self, features):
        image = features["image"]
        if self.model is None:  # no window fits into a picture this thin
            return image.new_zeros(())
        energy = matting_energy(image.to(self.target.dtype), self.target, self.model)
        return (energy / (9 * image.numel())).float()
