"""Segments: which things a picture holds, as labels, and which of a painting's regions goes with which."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from nstlab import images
from nstlab.encoders import weights
from nstlab.encoders.efficientnet import load_lite0
from nstlab.errors import SettingError, WeightsError, check_count, check_seed, choose
from nstlab.filters import gaussian, guided_filter, rgb_to_lab, shrink
from nstlab.guidance.guide import read_array

SIZE = 320  # long side in pixels at which regions are found
SMALLEST = 32  # a smaller picture is enlarged for the purpose
MOST = 64  # distinct labels in a labels file
SHARES = {"semantic": (1.0, 0.5, 0.35), "color": (0.0, 1.0, 0.5)}  # of deep features, colour, position
DEEPLAB = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "television",
)  # fmt: skip
METHODS = ("semantic", "color", "deeplab")


@dataclass(frozen=True)
class Segments:
    """Labels (N, H, W), int64, 0 to `count` - 1, the largest region first unless they have `names` or numbers of their own.

    `method` names how they were made; `note` says what the user should know, and is empty if there is nothing.
    """

    labels: torch.Tensor
    method: str
    note: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self):
        labels = self.labels
        if labels.ndim != 3 or labels.is_floating_point() or 0 in labels.shape or labels.min() < 0:
            raise SettingError(f"labels are whole numbers from 0 in (N, H, W), not {labels.dtype} {tuple(labels.shape)}")
        object.__setattr__(self, "labels", labels.long())

    @property
    def count(self) -> int:
        """One more than the highest label; some may mark no pixel."""
        return max(int(self.labels.max()) + 1, len(self.names))

    def areas(self) -> list[float]:
        """Share of the picture that each label marks."""
        return (torch.bincount(self.labels.flatten(), minlength=self.count).double() / self.labels.numel()).tolist()

    def mask(self, label: int, feather: float = 0.0) -> torch.Tensor:
        """Map (N, 1, H, W) of one label; `feather` blurs its border by so many pixels."""
        return gaussian((self.labels == label)[:, None].float(), feather)

    def masks(self, feather: float = 0.0) -> torch.Tensor:
        """Maps (N, count, H, W) of all labels; they add up to 1 everywhere."""
        return gaussian(F.one_hot(self.labels, self.count).movedim(-1, 1).float(), feather)

    def resized(self, size: int | tuple[int, int]) -> "Segments":
        """The labels for a picture of another size; each pixel takes the label at its centre."""
        target = images.fit(tuple(self.labels.shape[-2:]), size)
        return replace(self, labels=_nearest(self.labels, target))

    def __repr__(self) -> str:
        height, width = self.labels.shape[-2:]
        return f"Segments({self.count} labels, {self.method}, {width} x {height}{', ' + self.note if self.note else ''})"


def segments(image: torch.Tensor, k: int = 5, method: str = "semantic", *, labels=None, seed: int = 0) -> Segments:
    """At most `k` regions of `image` (N, 3, H, W), as Segments.

    "semantic", the default: k-means on features of EfficientNet-Lite0 at three strides, colour, and position, its borders
    laid on the picture's edges. "color": the same without the network. "deeplab": DeepLabV3's 21 named classes, downloaded
    on first use (`k` does not count). `labels`: labels of the user's own instead (see `load_labels`).
    """
    image = images.check(image).detach()
    size = tuple(image.shape[-2:])
    if labels is not None:
        return load_labels(labels, size)
    choose("segments method", method, METHODS)
    k = check_count("k", k)
    pictures = [image[i : i + 1].clamp(0, 1).cpu() for i in range(image.shape[0])]
    if method == "deeplab":
        found = torch.cat([_deeplab(picture) for picture in pictures])
        return Segments(found.to(image.device), "DeepLabV3 (MobileNetV3), VOC classes", names=DEEPLAB)
    found = torch.cat([_cluster(picture, k, SHARES[method], seed) for picture in pictures])
    count = int(found.max()) + 1
    what = "k-means on EfficientNet-Lite0 features, colour, position" if method == "semantic" else "k-means on colour, position"
    note = f"only {count} of {k} regions: the picture holds no more" if count < k else ""
    return Segments(found.to(image.device), f"{what} -> guided filter", note)


def load_labels(source, size: tuple[int, int] | None = None) -> Segments:
    """Labels of the user's own, fitted to `size` (H, W) without mixing neighbours.

    `source` is a .npy file or an array of whole numbers, which are the labels; a picture file in flat colours, whose colours
    are numbered from dark to bright; or Segments. A picture of brush-soft or JPEG-blurred borders has too many colours: an
    error says so.
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
    """What each place of one picture is like, (1, C, h, w) at an eighth of its size: deep features, colour and position.

    Deep features of each stride have length 1 at each place; the three parts count as `shares` say.
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
    small = shrink(picture, SIZE)
    if min(small.shape[-2:]) < SMALLEST:
        small = images.resize(small, tuple(max(side, SMALLEST) for side in small.shape[-2:]))
    places = describe(small, shares)
    points = places[0].flatten(1).T
    centers, _ = k_means(points, min(k, len(points)), seed)
    squares = torch.cdist(points, centers).square()
    belief = torch.softmax(-squares / squares.amin(1).mean().clamp_min(1e-6) * 2, 1).T.view(1, -1, *places.shape[-2:])
    belief = F.interpolate(belief, small.shape[-2:], mode="bilinear", align_corners=False)
    fine = guided_filter(belief, small, max(2, max(small.shape[-2:]) // 40), 1e-3, full=picture)
    if fine.shape[-2:] != picture.shape[-2:]:
        fine = F.interpolate(fine, picture.shape[-2:], mode="bilinear", align_corners=False)
    labels = fine.argmax(1)
    areas = torch.bincount(labels.flatten(), minlength=len(centers))
    rank = areas.argsort(descending=True, stable=True).argsort()
    return rank[labels]


# Which region goes with which


@dataclass(frozen=True)
class Match:
    """`pairs` gives for each label of the content the style's label, or None where the style has nothing like it."""

    pairs: dict[int, int | None]
    method: str
    note: str = ""


def match_numbers(content: Segments, style: Segments, least: float = 0.001) -> Match:
    """Same number, same thing: for labels the user drew on both. A label that marks less than `least` counts as lacking."""
    there = {label for label, area in enumerate(style.areas()) if area >= least}
    pairs = {label: label if label in there else None for label, area in enumerate(content.areas()) if area > 0}
    lacking = [label for label, other in pairs.items() if other is None]
    note = f"the style lacks label {', '.join(map(str, lacking))}: its global statistics serve there" if lacking else ""
    return Match(pairs, "same numbers", note)


def match_looks(content_image, content: Segments, style_image, style: Segments, one_to_one: bool = False) -> Match:
    """Each region of the content with the style's region most like it, in deep features, colour and position.

    `one_to_one` uses no style region twice, as long as there are enough.
    """
    ours, theirs = _signatures(content_image, content), _signatures(style_image, style)
    labels, others = list(ours), list(theirs)
    distance = torch.cdist(torch.stack(list(ours.values())), torch.stack(list(theirs.values())))
    pairs: dict[int, int | None] = {label: others[int(distance[i].argmin())] for i, label in enumerate(labels)}
    note = ""
    if one_to_one:
        rows, columns = linear_sum_assignment(distance.numpy())
        pairs |= {labels[i]: others[j] for i, j in zip(rows, columns, strict=True)}
        if len(others) < len(labels):
            note = f"the style has {len(others)} regions for {len(labels)}: some serve twice"
    return Match(dict(sorted(pairs.items())), "likeness of features, colour and position", note)


@torch.no_grad()
def _signatures(image: torch.Tensor, found: Segments) -> dict[int, torch.Tensor]:
    """The mean description of each region of a picture's first item, for regions that mark anything."""
    small = shrink(images.check(image)[:1].detach().clamp(0, 1).cpu(), SIZE)
    places = describe(small, (1.0, 1.0, 0.5))
    masks = F.interpolate(found.masks()[:1].cpu(), places.shape[-2:], mode="area")[0].flatten(1)
    total = masks.sum(1, keepdim=True)
    means = masks @ places[0].flatten(1).T / total.clamp_min(1e-9)
    return {label: means[label] for label in range(len(means)) if total[label] > 1e-6}


# A network with names for things


@torch.no_grad()
def _deeplab(picture: torch.Tensor) -> torch.Tensor:
    network = load_deeplab()
    small = shrink(picture, 520)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    scores = network((small - mean) / std)["out"]
    return F.interpolate(scores, picture.shape[-2:], mode="bilinear", align_corners=False).argmax(1)


def load_deeplab():
    """torchvision's DeepLabV3 on MobileNetV3, downloaded on first use. Raises WeightsError where that fails."""
    models = weights.import_torchvision().models.segmentation
    pretrained = models.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    try:
        state = pretrained.get_state_dict(check_hash=True, progress=False)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip("<>") or type(error).__name__
        raise WeightsError(
            f"the weights of deeplab could not be downloaded ({reason}):"
            " connect to the network once, or take method='semantic', which needs none"
        ) from None
    network = models.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
