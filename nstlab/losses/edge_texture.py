"""Edge texture: transfers the texture of the painting's edges to the photo's edges, and that of its areas to the areas between.

The survey cites "Structure-aware style transfer based on multi-scale and edge texture" (AL-Mekhlafi & Liu 2025). Its text could
not be located, so this is an interpretation: guided Gram matrices on edges and between them, at several scales.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import check_count
from nstlab.filters import gaussian, sobel
from nstlab.losses.base import Loss, shares
from nstlab.losses.region import GuidedGram, guided_gram
from nstlab.stats import gram

LEAST = 0.02  # share of a picture that must be edge for its edges to have statistics of their own
LAYERS = ("relu1_1", "relu2_1", "relu3_1")


def edge_mask(image: torch.Tensor, share: float = 0.2, faintest: float = 0.05) -> torch.Tensor:
    """Mask (1, 1, H, W) of the pixels with the strongest `share` of gradients, dilated by one pixel: 1 on edges, else 0.

    The image is blurred by a pixel first, so that noise is not taken for edges. Gradients below `faintest` are no edges.
    """
    strength = sobel(gaussian(image, 1.0))
    least = torch.quantile(strength.flatten()[:: 1 + strength.numel() // 10_000_000], 1 - share).clamp_min(faintest)
    return F.max_pool2d((strength > least).float(), 3, 1, 1)


class EdgeTextureLoss(Loss):
    """Gram distance on edges (share `eta`) and off them (1 - `eta`), summed over scales with weights 1, 1/2, 1/4.

    `scales` are the factors by which the picture is downsampled, 1 first. `guides` = (mask on the photo, mask on the painting)
    replaces the detected edges. A painting with hardly any edges is matched as a whole, and `notes` says so. With masks of
    ones, one scale and the layers of StyleLoss, it equals StyleLoss.
    """

    def __init__(self, content, style, *, eta: float = 0.5, layers=LAYERS, scales=(1, 2, 4), guides=None):
        super().__init__()
        self.eta_shares = tuple(shares(("edges", "fills"), (eta, 1 - eta)).values())
        self.shares = shares(layers)
        self.layers = tuple(self.shares)
        self.content, self.style = images.check(content), images.check(style)
        self.scales = tuple(check_count("scale", scale) for scale in scales)
        self.guides, self.notes = guides, []
        self.targets: list[tuple[float, int, dict]] = []

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.encoder, self.targets, self.notes = encoder, [], []
        for number, scale in enumerate(self.scales):
            if min(size) // scale < 16 and number:  # too small to have edges
                continue
            photo = F.avg_pool2d(images.resize(self.content, size), scale)
            painting = images.resize(self.style, max(1, max(size) // scale))
            here, there = self.guides or (edge_mask(photo), edge_mask(painting))
            if float(there.float().mean()) < LEAST:
                there = torch.ones_like(there)
                self.notes.append(f"at 1/{scale} size the painting has next to no edges: it is matched as a whole")
            features, ours = encoder(painting.to(encoder.device), self.layers), encoder(photo.to(encoder.device), self.layers)
            parts = {layer: self._parts(here, there, ours[layer], features[layer]) for layer in self.layers}
            self.targets.append((0.5**number, scale, parts))

    def _parts(self, here, there, ours, theirs) -> list:
        """[(share, guided Gram of the picture, the painting's Gram matrix), ...] of one layer: edges, then areas between."""
        edges, drawn = _place(here, ours), _place(there, theirs)
        pairs = [(share, *masks) for share, masks in zip(self.eta_shares, ((edges, drawn), (1 - edges, 1 - drawn))) if share]
        pairs = [pair for pair in pairs if float(pair[1].sum()) > 0]  # what the photo has none of is left out
        whole = sum(share for share, _, _ in pairs)
        return [
            (share / whole, GuidedGram(mask), guided_gram(theirs, other) if float(other.sum()) > 0 else gram(theirs))
            for share, mask, other in pairs
        ]

    def forward(self, features):
        total = 0.0
        for weight, scale, parts in self.targets:
            seen = features if scale == 1 else self.encoder(F.avg_pool2d(features["image"], scale), self.layers)
            for layer, pairs in parts.items():
                for share, guided, target in pairs:
                    distance = F.mse_loss(guided(seen[layer]), target)
                    total = total + weight * share * self.shares[layer] * distance / target.square().mean().clamp_min(1e-12)
        return total


def _place(mask: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """The mask at the resolution of a layer: a place is marked if any of its pixels is."""
    return F.adaptive_max_pool2d(mask.to(features.device).float(), features.shape[-2:])
