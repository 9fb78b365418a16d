"""Segments: the regions of a picture, as labels; with names if a network recognises them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.errors import SettingError, check_count, check_seed, choose
from nstlab.filters import gaussian, guided_filter, rgb_to_lab, shrink
from nstlab.guidance.deeplab import DEEPLAB, deeplab_labels
from nstlab.guidance.guide import read_array
from nstlab.guidance.hub import SEGMENTER, hub_segments
from nstlab.guidance.things import Things, things
from nstlab.networks.saliency_head import NAMES, STUFF

SIZE = 320  # long side in pixels at which regions are found
SMALLEST = 32  # a smaller picture is enlarged first
MOST = 64  # distinct labels in a labels file
SHARES = {"semantic": (1.0, 0.5, 0.35), "color": (0.0, 1.0, 0.5)}  # of deep features, colour, position
METHODS = ("things", "semantic", "color", "deeplab", "hub")
REGIONS = (*NAMES[1:], *STUFF, NAMES[0])  # the names of regions
UNKNOWN = 0.4  # background stays unnamed unless a kind of it is likelier than this
CLUSTERED = "k-means on EfficientNet-Lite0 features, colour, position -> guided filter"
LEAST = 0.005  # share of the picture below which a named region is merged with its neighbours


@dataclass(frozen=True)
class Segments:
    """Labels (N, H, W), int64, 0 to `count` - 1, ordered from the largest region to the smallest unless they are predefined.

    `method` says how they were made; `note` holds what the user should know about them and is often empty. `names` has the
    name of each label and `scores` its confidence in [0, 1], if the method provides them. Raises SettingError for other labels.
    """

    labels: torch.Tensor
    method: str
    note: str = ""
    names: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()

    def __post_init__(self):
        labels = self.labels
        if labels.ndim != 3 or labels.is_floating_point() or 0 in labels.shape or labels.min() < 0:
            raise SettingError(f"labels are whole numbers from 0 in (N, H, W), not {labels.dtype} {tuple(labels.shape)}")
        object.__setattr__(self, "labels", labels.long())

    @property
    def count(self) -> int:
        """One more than the highest label; some labels may have no pixel."""
        return max(int(self.labels.max()) + 1, len(self.names))

    def areas(self) -> list[float]:
        """Share of the picture that each label marks."""
        return (torch.bincount(self.labels.flatten(), minlength=self.count).double() / self.labels.numel()).tolist()

    def mask(self, label: int, feather: float = 0.0) -> torch.Tensor:
        """Map (N, 1, H, W) of one label, blurred by `feather` pixels."""
        return gaussian((self.labels == label)[:, None].float(), feather)

    def masks(self, feather: float = 0.0) -> torch.Tensor:
        """Maps (N, count, H, W) of all labels, blurred by `feather` pixels; they add up to 1 everywhere."""
        return gaussian(F.one_hot(self.labels, self.count).movedim(-1, 1).float(), feather)

    def resized(self, size: int | tuple[int, int]) -> "Segments":
        """The labels at another size; each pixel has the label at its centre."""
        target = images.fit(tuple(self.labels.shape[-2:]), size)
        return replace(self, labels=_nearest(self.labels, target))

    def __repr__(self) -> str:
        height, width = self.labels.shape[-2:]
        return f"Segments({self.count} labels, {self.method}, {width} x {height}{', ' + self.note if self.note else ''})"


def segments(image: torch.Tensor, k: int = 5, method: str = "things", *, labels=None, seed: int = 0) -> Segments:
    """Regions of `image` (N, 3, H, W), as Segments.

    `method`: "things", the default, gives regions with names and scores from a trained head: person, animal, vehicle, food,
    furniture, other thing; sky, water, plants, ground, building, room; background for the rest. The `k` largest of each picture
    are kept, and a label has the same name in all pictures. If only one name is found, k-means is used and the note says so.
    "semantic" gives at most `k` regions by k-means on features of EfficientNet-Lite0 at three strides, colour and position,
    with borders aligned to the picture's edges; "color" is the same without the network. "deeplab" gives the 21 named classes
    of DeepLabV3 (downloaded on first use), "hub" 150 named classes of a larger network (an optional extra); both ignore `k`.
    `labels`: the user's own labels instead (see `load_labels`). Raises SettingError, WeightsError.
    """
    image = images.check(image).detach()
    size = tuple(image.shape[-2:])
    if labels is not None:
        return load_labels(labels, size)
    choose("segments method", method, METHODS)
    k = check_count("k", k)
    pictures = [image[i : i + 1].clamp(0, 1).cpu() for i in range(image.shape[0])]
    if method == "things":
        return named_regions(pictures, k, seed, image.device)
    if method == "deeplab":
        found = torch.cat([deeplab_labels(picture) for picture in pictures])
        return Segments(found.to(image.device), "DeepLabV3 (MobileNetV3), VOC classes", names=DEEPLAB)
    if method == "hub":
        found, names = hub_segments(image.clamp(0, 1))
        return Segments(found.to(image.device), f"segmenter {SEGMENTER}", names=names)
    found = torch.cat([_cluster(picture, k, SHARES[method], seed) for picture in pictures])
    count = int(found.max()) + 1
    note = f"only {count} of {k} regions: the picture holds no more" if count < k else ""
    what = CLUSTERED if method == "semantic" else "k-means on colour, position -> guided filter"
    return Segments(found.to(image.device), what, note)


def load_labels(source, size: tuple[int, int] | None = None) -> Segments:
    """The user's own labels, resized to `size` (H, W) by nearest neighbour.

    `source` is a .npy file or an array of whole numbers, which are the labels; a picture file in flat colours, which are
    numbered from dark to bright; or Segments. Raises SettingError, for example for a picture with too many colours, such as
    one with soft brushes or JPEG compression.
    """
    if isinstance(source, Segments):
        found = source
    elif isinstance(source, (np.ndarray, torch.Tensor)):
        found = Segments(_whole(source), "labels of yours")
    elif isinstance(source, (str, Path)) and Path(source).suffix == ".npy":
        found = Segments(_whole(read_array(source)), f"labels of yours, {Path(source).name}")
    else:
        label = f", {Path(source).name}" if isinstance(source, (str, Path)) else ""
        found = Segments(_flat_colors(images.load(source), label), f"labels of yours{label}")
    height, width = found.labels.shape[-2:]
    if size is None or (height, width) == tuple(size):
        return found
    note = f"resized from {width} x {height} to {size[1]} x {size[0]} pixels"
    return replace(found, labels=_nearest(found.labels, tuple(size)), note="; ".join(filter(None, (found.note, note))))


def _whole(values) -> torch.Tensor:
    values = torch.as_tensor(values)
    if values.is_floating_point() and torch.equal(values, values.round()):
        values = values.long()
    values = values[:, 0] if values.ndim == 4 and values.shape[1] == 1 else values
    if values.ndim not in (2, 3) or values.is_floating_point() or values.is_complex() or values.numel() == 0:
        raise SettingError(f"labels are whole numbers (H, W), not {values.dtype} {tuple(values.shape)}")
    if values.min() < 0 or values.max() >= MOST:
        low, high = int(values.min()), int(values.max())
        raise SettingError(f"labels from {low} to {high}: number the regions from 0, {MOST - 1} at most")
    return values.long() if values.ndim == 3 else values.long()[None]


def _flat_colors(picture: torch.Tensor, label: str) -> torch.Tensor:
    codes = (picture[0].mul(255).round().long() * torch.tensor([1000, 1000**2, 1]).view(3, 1, 1)).sum(0)
    colors, labels = torch.unique(codes, return_inverse=True)  # green counts first: from dark to bright, nearly
    if len(colors) > MOST:
        raise SettingError(
            f"the labels picture{label} has {len(colors)} colours, which would be as many regions:"
            f" paint with a hard brush in at most {MOST} flat colours and save it as PNG"
        )
    return labels[None]


def _nearest(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(labels[:, None].double(), size, mode="nearest-exact")[:, 0].long()


# Clusters


@torch.no_grad()
def describe(image: torch.Tensor, shares=SHARES["semantic"]) -> torch.Tensor:
    """A description (1, C, h, w) of each place of one picture, at an eighth of its size: deep features, colour and position.

    Deep features of each stride have length 1 at each place; `shares` are the weights of the three parts.
    """
    deep_share, color_share, place_share = shares
    grid = [-(-side // 8) for side in image.shape[-2:]]
    rows, columns = (torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1) for side in grid)
    scale = max(image.shape[-2:])
    place = torch.stack(torch.meshgrid(rows * image.shape[-2] / scale, columns * image.shape[-1] / scale, indexing="ij"))[None]
    color = F.interpolate(rgb_to_lab(image) / 50, grid, mode="bilinear", antialias=True)
    parts = [color_share * color, place_share * place]
    if deep_share:
        features = load_lite0()(image)
        for stride in ("stride8", "stride16", "stride32"):
            here = F.interpolate(features[stride], grid, mode="bilinear", align_corners=False)
            parts.append(deep_share * F.normalize(here - here.mean((2, 3), keepdim=True)))
    return torch.cat(parts, 1)


def k_means(points: torch.Tensor, k: int, seed: int = 0, starts: int = 4, rounds: int = 30):
    """Centres (k, C) and labels (n,) of points (n, C): the best of several seeded starts (k-means++, Arthur 2007)."""
    generator = torch.Generator().manual_seed(check_seed(seed))
    best = None
    for _ in range(starts):
        centers = points[torch.randint(len(points), (1,), generator=generator)]
        while len(centers) < k:
            squares = torch.cdist(points, centers).amin(1).square()
            if squares.sum() < 1e-9:
                break  # fewer different points than clusters
            centers = torch.cat([centers, points[torch.multinomial(squares, 1, generator=generator)]])
        for _ in range(rounds):
            labels = torch.cdist(points, centers).argmin(1)
            member = F.one_hot(labels, len(centers)).to(points.dtype)
            size = member.sum(0)[:, None]
            moved = torch.where(size > 0, member.T @ points / size.clamp_min(1), centers)
            still = torch.allclose(moved, centers, atol=1e-5)
            centers = moved
            if still:
                break
        distance, labels = torch.cdist(points, centers).min(1)
        if best is None or distance.square().sum() < best[0]:
            best = (distance.square().sum(), centers, labels)
    return best[1], best[2]


def _cluster(picture: torch.Tensor, k: int, shares, seed: int) -> torch.Tensor:
    """Labels (1, H, W) of one picture, the largest region first."""
    small = working_size(picture)
    places = describe(small, shares)
    points = places[0].flatten(1).T
    centers, _ = k_means(points, min(k, len(points)), seed)
    squares = torch.cdist(points, centers).square()
    belief = torch.softmax(-squares / squares.amin(1).mean().clamp_min(1e-6) * 2, 1).T.view(1, -1, *places.shape[-2:])
    labels = refined(belief, small, picture).argmax(1)
    areas = torch.bincount(labels.flatten(), minlength=len(centers))
    rank = areas.argsort(descending=True, stable=True).argsort()
    return rank[labels]


def working_size(picture: torch.Tensor) -> torch.Tensor:
    """The picture at the size at which regions are computed."""
    small = shrink(picture, SIZE)
    if min(small.shape[-2:]) < SMALLEST:
        small = images.resize(small, tuple(max(side, SMALLEST) for side in small.shape[-2:]))
    return small


def refined(belief: torch.Tensor, small: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """Coarse maps (1, C, h, w) at the size of the picture, with borders aligned to its edges."""
    belief = F.interpolate(belief, small.shape[-2:], mode="bilinear", align_corners=False)
    fine = guided_filter(belief, small, max(2, max(small.shape[-2:]) // 40), 1e-3, full=picture)
    if fine.shape[-2:] != picture.shape[-2:]:
        fine = F.interpolate(fine, picture.shape[-2:], mode="bilinear", align_corners=False)
    return fine


# Regions with names


def named_regions(pictures: list[torch.Tensor], k: int, seed: int, device) -> Segments:
    """Named Segments of pictures (1, 3, H, W) of equal size, at most `k` each; by k-means if there is only one name."""
    found = [named_masks(picture, k) for picture in pictures]
    areas = {name: sum(regions[name][0].sum().item() for regions in found if name in regions) for name in REGIONS}
    names = sorted((name for name in REGIONS if areas[name]), key=lambda name: -areas[name])
    if len(names) == 1 and k > 1:
        divided = torch.cat([_cluster(picture, k, SHARES["semantic"], seed) for picture in pictures])
        note = f"no names are told apart, all is {names[0]}: the regions are by k-means"
        return Segments(divided.to(device), CLUSTERED, note)
    labels = torch.cat([sum(names.index(name) * mask.long() for name, (mask, _) in regions.items()) for regions in found])
    weighed = lambda name: sum(mask.sum().item() * score for mask, score in (r[name] for r in found if name in r))
    scores = tuple(round(weighed(name) / areas[name], 3) for name in names)
    note = "" if set(names) & set(NAMES[1:]) else "no thing was recognised: all regions are background"
    return Segments(labels.to(device), "head trained on outlines -> guided filter", note, tuple(names), scores)


def named_masks(
    picture: torch.Tensor, k: int = len(REGIONS), seen: Things | None = None
) -> dict[str, tuple[torch.Tensor, float]]:
    """{name of `REGIONS`: (mask (1, H, W), mean probability)} of one picture; the masks are disjoint and cover it.

    Background is what is no thing and of no known kind. Regions of less than `LEAST` of the picture, and all but the `k`
    largest, are merged with their neighbours. `seen` is the output of `things`, if it is already known.
    """
    seen = seen or things(picture)
    unknown = torch.full_like(seen.objects, UNKNOWN)
    belief = torch.cat([seen.names[:, 1:], seen.names[:, :1] * torch.cat([seen.stuff, unknown], 1)], 1)
    belief = refined(belief / belief.sum(1, keepdim=True), working_size(picture), picture)
    areas = torch.bincount(belief.argmax(1).flatten(), minlength=len(REGIONS)) / belief[:, 0].numel()
    small = (areas < LEAST) & (areas < areas.max())
    small[areas.argsort(descending=True, stable=True)[k:]] = True
    labels = belief.masked_fill(small.view(1, -1, 1, 1), -1).argmax(1)
    masks = {number: labels == number for number in labels.unique().tolist()}
    return {REGIONS[n]: (mask, belief[0, n][mask[0]].mean().clamp(0, 1).item()) for n, mask in masks.items()}
