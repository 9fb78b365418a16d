"""The objective of a network in training: the terms of pixel optimisation, for a batch of photos and a blend for each.

Content and style after Johnson et al. 2016; the other terms are those of the system "preserve": what matters, by a graded guide
of each photo, is kept above the width of the painting's strokes and painted below it. (Only "preserve" holds small faces finer:
it has to find them in the photo.) One encoder pass over the batch serves all of them.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import SettingError, check_weight, choose
from nstlab.filters import at_size, blocks, stroke_width
from nstlab.losses.presets import KEPT
from nstlab.losses.region import FEWEST, INSIDE_LAYERS, GuidedGram, painted_places
from nstlab.losses.saliency import mean_one_weights, weighted_content_loss
from nstlab.losses.smoothness import total_variation
from nstlab.losses.structure import BLOCK, ssim_map
from nstlab.losses.style import STYLE_LAYERS
from nstlab.stats import gram, single

CONTENT_LAYER = "relu4_2"  # of "content", and of "semantic" inside
WEIGHTS = {"content": 1.0, "style": 30.0, "smoothness": 20.0, **KEPT}
GUIDED = ("inside", "structure", "semantic")  # terms of which nothing is left without a guide


class PerceptualObjective:
    """Terms by name of a batch of pictures, against their photos and a list of paintings.

    `weights` are like WEIGHTS and may change between two calls; a term with weight 0 is not computed. `k` is how many times
    more content counts where the guide is 1. `style_scale` is the painting's long side over the picture's. Raises SettingError.
    """

    def __init__(
        self, encoder, paintings, weights: dict[str, float] | None = None, *, k: float = 0.0, style_scale: float = 1.0
    ):
        for name in weights or {}:
            choose("weight", name, WEIGHTS)
        self.encoder, self.paintings = encoder, [images.check(painting) for painting in paintings]
        self.weights = {name: check_weight(name, (weights or {}).get(name, WEIGHTS[name])) for name in WEIGHTS}
        self.k, self.style_scale = check_weight("k", k), check_weight("style scale", style_scale)
        if not self.style_scale:
            raise SettingError("style scale 0: give the painting's long side over the picture's, such as 1")
        self.strokes = [self.style_scale * stroke_width(painting) for painting in self.paintings]  # of the picture's long side
        self.size, self.targets = 0, []

    @torch.no_grad()
    def prepare(self, size: int) -> None:
        """Take the paintings' Gram matrices for pictures of `size` x `size` pixels, if they are not there yet."""
        if size != self.size:
            self.targets = []
            for painting in self.paintings:
                painting = images.resize(painting, max(1, round(size * self.style_scale)))
                features = self.encoder(painting.to(self.encoder.device), STYLE_LAYERS)
                self.targets.append({layer: gram(features[layer]) for layer in STYLE_LAYERS})
            self.size = size

    def __call__(self, output, photo, blend, guides=None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(total, {name: term}) of output and photo (B, 3, H, W), blend (B, styles) and guides (B, 1, H, W) or None.

        Terms are without their weights, and means over the batch of what each picture alone has. A picture whose guide marks
        nothing has 0 for those of GUIDED.
        """
        self.prepare(max(output.shape[-2:]))
        weights = {name: check_weight(name, self.weights[name]) for name in WEIGHTS}
        wanted = [name for name in WEIGHTS if weights[name] and (guides is not None or name not in GUIDED)]
        layers = {
            "content": {CONTENT_LAYER}, "semantic": {CONTENT_LAYER}, "style": set(STYLE_LAYERS), "inside": set(INSIDE_LAYERS),
        }  # fmt: skip
        ours = self.encoder(output, set().union(*(layers.get(name, ()) for name in wanted)))
        with torch.no_grad():
            theirs = self.encoder(photo, set().union(*(layers[name] for name in ("content", "semantic") if name in wanted)))
        terms = {
            "content": lambda: self._content(ours, theirs, guides),
            "style": lambda: self._style(ours, blend, STYLE_LAYERS),
            "smoothness": lambda: total_variation(output),
            "inside": lambda: self._style(ours, blend, INSIDE_LAYERS, painted_places(guides)),
            "structure": lambda: self._structure(output, photo, blend, guides),
            "semantic": lambda: _inside(_error(ours, theirs, CONTENT_LAYER), guides),
        }
        found = {name: terms[name]() for name in wanted}
        return sum((weights[name] * term for name, term in found.items()), 0 * output.mean()), found

    def _content(self, ours, theirs, guides):
        target = single(theirs[CONTENT_LAYER])
        if guides is None or not self.k:
            return F.mse_loss(single(ours[CONTENT_LAYER]), target)
        weights = mean_one_weights(guides, target.shape[-2:], self.k)
        return weighted_content_loss(ours[CONTENT_LAYER], target, weights)

    def _style(self, features, blend, layers, guides=None):
        """Gram distance of each picture to its paintings, by its blend; each over the painting's mean square."""
        numbers = blend.any(0).nonzero().flatten().tolist()  # paintings that any of the pictures has a share of
        total = blend.new_zeros(())
        if guides is not None:  # a picture whose guide marks nothing has no share of any
            blend = blend * (guides.mean((1, 2, 3)) > FEWEST)[:, None]
        for layer in layers:
            found = features[layer]
            guided = gram if guides is None else GuidedGram(at_size(guides, found.shape[-2:]), checked=False)
            grams = guided(found)
            for number in numbers:
                target = self.targets[number][layer]
                distances = (grams - target).square().mean((1, 2)) / target.square().mean().clamp_min(1e-12)
                total = total + (blend[:, number] * distances).sum()
        return total / (len(layers) * len(blend))

    def _structure(self, output, photo, blend, guides):
        """1 - SSIM of the luminance of blocks where the guides are, as wide as the strokes of each picture's paintings ask."""
        found = []
        for number, shares in enumerate(blend.tolist()):
            one, width = slice(number, number + 1), sum(s * stroke for s, stroke in zip(shares, self.strokes, strict=True))
            block = BLOCK * width * max(output.shape[-2:])
            alike = ssim_map(*(blocks(luminance(each[one]), block) for each in (output, photo)))
            found.append(_inside(1 - alike, guides[one]))
        return sum(found) / len(found)


def _error(ours, theirs, layer: str) -> torch.Tensor:
    """Mean squared difference of the features (B, C, h, w) at each place, (B, 1, h, w)."""
    return (single(ours[layer]) - single(theirs[layer])).square().mean(1, keepdim=True)


def _inside(error: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
    """Mean of a map (B, 1, h, w) where the guides (B, 1, H, W) are, of each picture; then over the pictures."""
    places = at_size(guides, error.shape[-2:])
    return ((error * places).sum((1, 2, 3)) / places.sum((1, 2, 3)).clamp_min(1e-6)).mean()
