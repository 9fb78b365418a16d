"""Style: which features occur together, regardless of place (Gram matrices, Gatys et al. 2016)."""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError, check_weight, choose
from nstlab.losses.base import Loss, shares
from nstlab.stats import gram

MIXES = ("losses", "statistics", "scales")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def gram_loss(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between the Gram matrix of features (N, C, H, W) and a target Gram (N, C, C)."""
    return F.mse_loss(gram(features), target)


class StyleLoss(Loss):
    """Gram distance to a painting (1, 3, H, W), or to several, averaged over layers by their weights.

    Each layer's distance is divided by the mean square of the painting's Gram matrix at that layer, so that all layers have
    the same weight: 0 means the painting's statistics, 1 about those of a blank picture. `rescale(channels)` replaces this
    factor (see presets). `scale` is the painting's long side over the output's: larger paintings give larger strokes. A
    painting may have any size.

    `mix` says how several paintings are combined: "losses" adds their distances in proportion to `blend`; "statistics" uses the
    blend of their Gram matrices as the target; "scales" distributes the layers evenly, so that the first painting gives the
    finest strokes and the last one the largest forms. A blend of one 1 and zeros is exactly that one style. Raises
    SettingError for an unknown `mix`, or weights or a scale out of range.
    """

    def __init__(
        self, styles, layers=STYLE_LAYERS, layer_weights=None, scale: float = 1.0, blend=None, mix="losses", rescale=None
    ):
        super().__init__()
        self.shares = shares(layers, layer_weights)
        self.layers = tuple(self.shares)
        self.styles = [images.check(style) for style in ([styles] if isinstance(styles, torch.Tensor) else styles)]
        self.blend = tuple(shares(range(len(self.styles)), blend).values())
        self.mix = choose("mix", mix, MIXES)
        self.scale = check_weight("scale", scale)
        if self.scale == 0:
            raise SettingError("style scale 0: give the painting's long side over the output's, such as 1")
        self.rescale = rescale
        self.targets: dict[str, list[tuple[float, torch.Tensor]]] = {}

    @torch.no_grad()
    def prepare(self, encoder, size):
        grams = []
        for style in self.styles:
            style = images.resize(style, max(1, round(max(size) * self.scale)))
            features = encoder(style.to(encoder.device), self.layers)
            grams.append({layer: gram(features[layer]) for layer in self.layers})
        self.targets = {}
        for number, (layer, share) in enumerate(self.shares.items()):
            targets = [(part, painting[layer]) for part, painting in zip(self.blend, grams, strict=True) if part]
            if self.mix == "statistics":
                targets = [(1.0, sum(part * target for part, target in targets))]
            elif self.mix == "scales":
                targets = [(1.0, grams[number * len(grams) // len(self.layers)][layer])]
            self.targets[layer] = [(share * part * self._factor(target), target) for part, target in targets]

    def _factor(self, target: torch.Tensor) -> float:
        if self.rescale is not None:
            return self.rescale(target.shape[1])
        return 1 / max(target.square().mean().item(), 1e-12)

    def forward(self, features):
        total = 0.0
        for layer, targets in self.targets.items():
            ours = gram(features[layer])
            for weight, target in targets:
                total = total + weight * F.mse_loss(ours, target)
        return total
