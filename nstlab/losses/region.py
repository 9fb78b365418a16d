"""Style by region: Gram matrices over the places marked by a guide (Gatys et al. 2017)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError
from nstlab.filters import at_size
from nstlab.losses.base import Loss, shares
from nstlab.losses.style import STYLE_LAYERS
from nstlab.stats import gram, places_first, product

INSIDE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # deeper statistics would ask for whole stars inside a face
PAINTED = 0.4  # importance from which a place is painted as much as any: of bodies and of things
FEWEST = 1e-3  # share of the picture; a region smaller than this has no statistics worth matching


def painted_places(guide: torch.Tensor) -> torch.Tensor:
    """The map (N, 1, H, W) in which every place of importance `PAINTED` or more has weight 1, and less important ones less."""
    return (guide / PAINTED).clamp(0, 1)


def guided_gram(features: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """Gram matrix (N, C, C) over the places marked by a guide T (1 or N, 1, h, w): sum_p T_p^2 f_p f_p^T / (C sum T^2).

    For a mask of zeros and ones, it is the Gram matrix of the masked places; for a uniform guide, it is `gram`. Raises
    SettingError for a guide that is 0 everywhere. For repeated use of a guide, create a GuidedGram.
    """
    return GuidedGram(guide)(features)


class GuidedGram:
    """`guided_gram` for a fixed guide (1 or N, 1, h, w), which is checked once, so that calls do not synchronise with a GPU.

    With `checked` False the guide is not checked: a uniform guide is no special case, and one that is 0 everywhere gives 0.
    """

    def __init__(self, guide: torch.Tensor, checked: bool = True):
        energy = guide.square().sum((1, 2, 3)).view(-1, 1, 1)
        self.guide, self.energy = guide, energy if checked else energy.clamp_min(1e-12)
        if checked and not bool(energy.min() > 0):
            raise SettingError("a guide that is 0 everywhere marks no region: leave its style out")
        self.uniform = checked and bool((guide == guide.flatten()[0]).all())

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """The Gram matrices (N, C, C) of features (N, C, h, w)."""
        if self.uniform:
            return gram(features)
        rows = places_first(features) * places_first(self.guide.to(features.dtype))
        return product(rows) / (features.shape[1] * self.energy)


class RegionStyleLoss(Loss):
    """A style for each region: the weighted sum of the Gram distances between regions of the picture and their paintings.

    `regions` is a list of (guide (1, 1, H, W) on the picture, painting (1, 3, H, W), guide on the painting, or None for the
    whole painting). `weights` has one number per region; by default they are proportional to the areas. If a region is almost
    empty on its painting, the whole painting is used and `notes` says so. One region with a uniform guide equals StyleLoss.
    """

    def __init__(self, regions, layers=STYLE_LAYERS, layer_weights=None, weights=None, scale: float = 1.0):
        super().__init__()
        self.shares = shares(layers, layer_weights)
        self.layers = tuple(self.shares)
        self.regions = [(guide.float(), images.check(style), there) for guide, style, there in regions]
        areas = [float(guide.mean()) for guide, _, _ in self.regions]
        self.parts = tuple(shares(range(len(self.regions)), areas if weights is None else weights).values())
        self.scale, self.notes = scale, []
        self.targets: list[dict[str, torch.Tensor]] = []
        self.grams: list[dict[str, GuidedGram]] = []  # of the layers where the region has a place

    @torch.no_grad()
    def prepare(self, encoder, size):
        self.targets, self.grams, self.notes = [], [], []
        here = encoder(torch.zeros(1, 3, *size, device=encoder.device), self.layers)
        for number, (guide, style, there) in enumerate(self.regions):
            features = encoder(images.resize(style, max(1, round(max(size) * self.scale))).to(encoder.device), self.layers)
            if there is not None and float(there.mean()) < FEWEST:
                self.notes.append(f"region {number} is missing in its painting: the whole painting is used")
                there = None
            whole = torch.ones(1, 1, 1, 1) if there is None else there
            guide, whole = guide.to(encoder.device), whole.to(encoder.device)
            self.targets.append({x: guided_gram(features[x], at_size(whole, features[x].shape[-2:])) for x in self.layers})
            placed = {x: at_size(guide, here[x].shape[-2:]) for x in self.layers}
            self.grams.append({x: GuidedGram(places) for x, places in placed.items() if float(places.sum()) > 0})

    def forward(self, features):
        total = torch.zeros((), device=features[self.layers[0]].device)
        for part, targets, grams in zip(self.parts, self.targets, self.grams, strict=True):
            for layer, guided in grams.items() if part else ():
                distance = F.mse_loss(guided(features[layer]), targets[layer])
                total = total + part * self.shares[layer] * distance / targets[layer].square().mean().clamp_min(1e-12)
        return total


class DampedStyleLoss(RegionStyleLoss):
    """Style with reduced weight inside the salient region S: the guide is T = 1 - d S. d = 0 is exactly StyleLoss."""

    def __init__(self, style: torch.Tensor, guide: torch.Tensor, d: float = 0.5, **options):
        if not 0 <= d <= 1:
            raise SettingError(f"damping {d}: give a number from 0 (none) to 1 (no style inside)")
        super().__init__([(1 - d * guide.float(), style, None)], weights=(1,), **options)
