"""Several paintings in one picture: blended, dealt out over the scales, or each with a region of its own."""

import warnings
from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.errors import SettingError, check_weight, choose
from nstlab.filters import gaussian, stroke_width
from nstlab.guidance.guide import load_map
from nstlab.losses.base import Loss, shares
from nstlab.losses.region import RegionStyleLoss
from nstlab.losses.style import MIXES, StyleLoss


@dataclass(frozen=True)
class StyleMix:
    """The paintings of a run and how they share the picture: `blend` adds up to 1; `masks` are maps (1, 1, H, W) or None."""

    paintings: list[torch.Tensor]
    layers: tuple[str, ...]
    scale: float = 1.0
    blend: tuple[float, ...] = (1.0,)
    mix: str = "losses"
    masks: list[torch.Tensor] | None = None

    def style_loss(self) -> Loss:
        """The style of the whole picture."""
        if self.masks:
            regions = [(mask, painting, None) for mask, painting in zip(self.masks, self.paintings, strict=True)]
            return RegionStyleLoss(regions, layers=self.layers, scale=self.scale)
        return StyleLoss(self.paintings, self.layers, scale=self.scale, blend=self.blend, mix=self.mix)

    def style_by_regions(self, places: list[list[tuple[torch.Tensor, torch.Tensor]]]) -> Loss:
        """The style region by region: for every painting, pairs of maps, a region of the picture and where its style stands.

        What no pair covers goes after the whole painting. A region counts by its area, times its painting's share of the
        blend, or as far as it lies in its painting's mask. Raises SettingError for a mix of statistics.
        """
        if self.mix != "losses":
            raise SettingError(f"mix {self.mix} takes its statistics from whole paintings: leave regions out, or mix losses")
        regions, areas = [], []
        for number, (painting, pairs) in enumerate(zip(self.paintings, places, strict=True)):
            rest = (1 - sum(here for here, _ in pairs)).clamp_min(0) if pairs else torch.ones(1, 1, 1, 1)
            for here, there in [*pairs, (rest, None)]:
                if self.masks:
                    here = images.resize(here, tuple(self.masks[number].shape[-2:])) * self.masks[number]
                regions.append((here, painting, there))
                areas.append(float(here.mean()) * (1.0 if self.masks else self.blend[number]))
        return RegionStyleLoss(regions, layers=self.layers, weights=areas, scale=self.scale)

    def stroke_width(self) -> float:
        """Width of the strokes as a share of the picture's long side: the mean of the paintings', by their shares."""
        parts = [1.0] * len(self.paintings) if self.masks else self.blend
        widths = [part * stroke_width(painting) for part, painting in zip(parts, self.paintings, strict=True)]
        return self.scale * sum(widths) / sum(parts)

    def loss_inside(self, guide: torch.Tensor, layers) -> Loss:
        """The style inside a map (1, 1, H, W), from the same paintings."""
        maps = [guide] * len(self.paintings)
        if self.masks:
            maps = [images.resize(guide, tuple(mask.shape[-2:])) * mask for mask in self.masks]
        weights = None if self.masks else self.blend
        regions = [(each, painting, None) for each, painting in zip(maps, self.paintings, strict=True)]
        return RegionStyleLoss(regions, layers=layers, weights=weights, scale=self.scale)


def style_mix(paintings, layers, scale, blend, mix, masks, feather, size) -> StyleMix:
    """A StyleMix with everything checked.

    `blend`: a number for each painting, in proportion; what does not add up to 1 is scaled, and a warning says so. `masks`: a
    map for each painting, or for all but the last, which then has the rest; their borders are blurred by `feather` of the
    long side of `size` (H, W).
    """
    choose("mix", mix, MIXES)
    if masks:
        if blend:
            raise SettingError("masks give every painting its place and a blend mixes them everywhere: give one of the two")
        return StyleMix(paintings, tuple(layers), scale, masks=_places(masks, len(paintings), feather, size))
    parts = tuple(shares(range(len(paintings)), blend).values())
    if blend and abs(sum(blend) - 1) > 1e-6:
        said = ", ".join(f"{part:.2g}" for part in parts)
        warnings.warn(f"the blend adds up to {sum(blend):g}, not 1: taken as {said}", stacklevel=2)
    return StyleMix(paintings, tuple(layers), scale, parts, mix)


def _places(masks, count, feather, size) -> list[torch.Tensor]:
    """The masks as maps at `size`, blurred, one for each of `count` paintings."""
    if len(masks) not in (count, count - 1):
        raise SettingError(f"{len(masks)} masks for {count} paintings: give one each, or one fewer and the last has the rest")
    maps = [load_map(mask, size, f"mask {number}").map for number, mask in enumerate(masks)]
    if len(maps) < count:
        maps.append((1 - sum(maps)).clamp_min(0))
    maps = [gaussian(each, check_weight("feather", feather) * max(size)) for each in maps]
    for number, each in enumerate(maps):
        if float(each.max()) <= 0:
            raise SettingError(f"mask {number} is black everywhere: its painting would have no place; leave it out")
    return maps
