"""Depth: what is near and what is far. Every map here is nearness, like disparity: 1 is nearest, 0 farthest.

Depth comes from a stereo pair, from the user's own map, or from a large network (an optional extra). A map made from one photo
without any of these is a guess, and its note says so.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.color import luminance
from nstlab.errors import SettingError, check_count, choose
from nstlab.filters import box, gaussian, gradient, guided_filter, shrink, stretch
from nstlab.guidance.guide import Guide, each, load_map
from nstlab.guidance.hub import DEPTH, hub_depth
from nstlab.guidance.saliency import saliency

SIZE = 320
METHODS = ("pseudo", "hub")


def depth(image: torch.Tensor, method: str = "pseudo", *, map=None, right: torch.Tensor | None = None) -> Guide:
    """Nearness of `image` (N, 3, H, W), as a Guide: 1 nearest, 0 farthest.

    `map`: the user's own map (see `load_map`). `right`: the same scene from slightly further right, for measured depth (see
    `stereo`). Otherwise `method`: "pseudo", the default, is a guess from depth cues, as its note says; "hub" is a depth
    network, an optional extra that is downloaded on first use. Raises SettingError, WeightsError.
    """
    image = images.check(image).detach().clamp(0, 1)
    if map is not None:
        return load_map(map, tuple(image.shape[-2:]), "the depth map")
    if right is not None:
        return stereo(image, right)
    choose("depth method", method, METHODS)
    if method == "hub":
        return Guide(hub_depth(image).to(image.device), f"depth network {DEPTH}", "relative: near and far, not metres")
    values, _ = each(image, lambda picture: (pseudo_depth(picture), ""))
    note = "a guess from position, haze and sharpness, not measured depth: wrong wherever far things stand low in the picture"
    return Guide(values, "pseudo-depth from cues", note)


def pseudo_depth(image: torch.Tensor) -> torch.Tensor:
    """A guess at nearness (1, 1, H, W) from one picture (1, 3, H, W), by rules of thumb that often fail.

    Low in the picture is near; hazy is far (the dark channel, He et al. 2009); sharp is nearer than blurred; salient is nearer
    than its surroundings. Smoothed by a guided filter that keeps the picture's edges.
    """
    small = shrink(image, SIZE)
    height, width = small.shape[-2:]
    low = torch.linspace(0, 1, height).view(1, 1, -1, 1).expand(1, 1, height, width)
    reach = max(1, min(height, width) // 40)
    darkest = -F.max_pool2d(F.pad(-small.amin(1, keepdim=True), (reach,) * 4, mode="replicate"), 2 * reach + 1, 1)
    clear = 1 - darkest
    grey = luminance(small)
    detail = box((grey - gaussian(grey, 2.0)).abs(), 3 * reach)
    sharp = stretch(detail, 0.05, 0.95)
    near = 0.6 * low + 0.25 * clear + 0.15 * sharp
    standing = saliency(small, "barrier").map
    near = near + 0.15 * standing
    near = stretch(guided_filter(near, small, max(2, max(height, width) // 20), 1e-2, full=image), 0.01, 0.99)
    return F.interpolate(near, image.shape[-2:], mode="bilinear", align_corners=False)


# Stereo


def motorcycle(size: int | None = None) -> tuple[torch.Tensor, torch.Tensor, Guide]:
    """A real scene with known depth: left and right picture (1, 3, H, W), and the left one's nearness (Middlebury 2014).

    The stereo pair and its true disparity ship with scikit-image. `size` is the long side in pixels. Where no disparity was
    measured, the nearest value to the left is used.
    """
    from skimage import data

    left, right, disparity = data.stereo_motorcycle()
    truth = torch.from_numpy(disparity.copy()).float()
    known = torch.isfinite(truth) & (truth > 0)
    values = stretch(_fill(truth, known)[None, None])
    share = 100 * (1 - known.float().mean().item())
    pictures = [torch.from_numpy(side.copy()).permute(2, 0, 1)[None].float() / 255 for side in (left, right)]
    guide = Guide(values, "true disparity", f"{share:.0f} % of it were not measured and are filled in from the left")
    if size is not None:
        pictures, guide = [images.resize(picture, size) for picture in pictures], guide.resized(size)
    return *pictures, guide


def stereo(left: torch.Tensor, right: torch.Tensor, most: int | None = None) -> Guide:
    """Nearness of the left picture of a rectified pair (1, 3, H, W), from the displacement of each place.

    `most` is the largest disparity searched in pixels, by default an eighth of the width. Raises SettingError for pictures of
    different sizes.
    """
    disparity, sure = match_stereo(left, right, most)
    share = sure.float().mean().item()
    values = stretch(_fill(disparity[0, 0], sure[0, 0])[None, None], 0.002, 0.998)
    note = f"{100 * share:.0f} % matched, the rest filled in from the left"
    return Guide(values, "stereo: cost volume and guided filter", note)


def match_stereo(left: torch.Tensor, right: torch.Tensor, most: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Disparity in pixels (1, 1, H, W) of the left picture, and where it can be trusted (bool, same shape).

    For every shift, the cost of a match is the difference of colours and of gradients, both truncated. A guided filter
    aggregates the costs within each object (Rhemann et al. 2011), and the cheapest shift wins. A value is trusted if matching
    from right to left confirms it. Raises SettingError for pictures of different sizes.
    """
    left, right = images.check(left).cpu(), images.check(right).cpu()
    if left.shape != right.shape or left.shape[0] != 1:
        shapes = f"{tuple(left.shape)} and {tuple(right.shape)}"
        raise SettingError(f"stereo takes one left and one right picture of the same size, not {shapes}")
    most = check_count("most", most if most is not None else max(1, round(left.shape[-1] / 8)))
    most = min(most, left.shape[-1] - 1)
    first = _winners(left, right, most)
    second = _winners(right.flip(3), left.flip(3), most).flip(3)
    columns = torch.arange(left.shape[-1]).view(1, 1, 1, -1)
    there = (columns - first.round().long()).clamp(0, left.shape[-1] - 1)
    sure = (first - second.gather(3, there)).abs() <= 1
    return first, sure


def _winners(image: torch.Tensor, other: torch.Tensor, most: int) -> torch.Tensor:
    costs = []
    slope, other_slope = gradient(luminance(image))[0], gradient(luminance(other))[0]
    for shift in range(most + 1):
        moved = F.pad(other, (shift, 0, 0, 0), mode="replicate")[..., : image.shape[-1]]
        moved_slope = F.pad(other_slope, (shift, 0, 0, 0), mode="replicate")[..., : image.shape[-1]]
        color = (image - moved).abs().mean(1, keepdim=True).clamp_max(0.03)
        costs.append(0.11 * color + 0.89 * (slope - moved_slope).abs().clamp_max(0.01))
    volume = guided_filter(torch.cat(costs, 1), image, max(2, image.shape[-1] // 80), 1e-4)
    best = volume.argmin(1, keepdim=True)
    before, after = (volume.gather(1, (best + side).clamp(0, volume.shape[1] - 1)) for side in (-1, 1))
    bend = (before + after - 2 * volume.gather(1, best)).clamp_min(1e-9)
    inside = (best > 0) & (best < volume.shape[1] - 1)
    return best + torch.where(inside, (before - after) / (2 * bend), torch.zeros_like(bend)).clamp(-0.5, 0.5)


def _fill(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Fill unknown places of (H, W) with the nearest known value to the left, or to the right if there is none."""
    columns = torch.arange(values.shape[1]).expand_as(values)
    before = torch.where(known, columns, torch.full_like(columns, -1)).cummax(1).values
    after = torch.where(known, columns, torch.full_like(columns, values.shape[1])).flip(1).cummin(1).values.flip(1)
    source = torch.where(before >= 0, before, after)
    missing = source >= values.shape[1]  # a row without any
    filled = values.gather(1, source.clamp(0, values.shape[1] - 1))
    return torch.where(missing, values[known].median() if known.any() else torch.tensor(0.0), filled)
