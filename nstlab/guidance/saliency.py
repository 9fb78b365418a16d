"""Saliency: what stands out in a photo. A trained head by default, and six maps that need no training on outlines."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from nstlab import images
from nstlab.encoders.efficientnet import load_lite0
from nstlab.errors import choose
from nstlab.filters import gaussian, rgb_to_lab, shrink, stretch
from nstlab.guidance.cut import grab_cut
from nstlab.guidance.faces import frontal_faces, person_map
from nstlab.guidance.guide import Guide, each, join_notes, load_map
from nstlab.guidance.hub import SALIENCY, hub_saliency
from nstlab.guidance.things import FLAT, Things, things

SIZE = 320  # long side in pixels at which the maps are made
MARGIN = 32  # pixels mirrored around the picture for the network, whose zero padding would cause a frame
SMALLEST = 32  # a smaller picture is enlarged first
PRESENT = 0.5  # an object is present if the highest probabilities of the head exceed this
FILLED = 0.9  # an outline that covers more than this share of the picture singles nothing out
GRADED = 0.6  # lowest value in an object that fills the picture and is therefore graded
LANDSCAPES = (970, 972, *range(974, 981))  # ImageNet's alp, cliff, geyser, lakeside, ..., valley, volcano
LANDSCAPE = 0.25  # probability of these from which a picture without objects is a landscape
CONTRAST = 0.5  # weight of the mixed map's logit relative to the head's; chosen by cross-validation, as GrabCut's settings


def saliency(image: torch.Tensor, method: str = "objects", *, map=None) -> Guide:
    """Map of what stands out in `image` (N, 3, H, W), as a Guide.

    `method`: "objects", the default, is a head trained on outlines of people, animals, vehicles, food, furniture and other
    things (see `things`), combined with "mix" and turned into an outline by GrabCut. If the head finds nothing, contrast
    decides and the note says so: an outline if it is clear, else a soft map; in a landscape 0.5 everywhere. "classical" needs
    no trained head: a mix of two classical maps with class activations and faces, turned into an outline by GrabCut. "mix" is
    the same without GrabCut, a soft map. "activation", "barrier", "connectivity", "frequency", "spectral" and "center" are
    single methods. "hub" is a larger network (an optional extra). `map`: the user's own map instead (see `load_map`). Raises
    SettingError, and WeightsError if weights are missing.
    """
    if map is not None:
        return load_map(map, tuple(image.shape[-2:]), "the saliency map")
    choose("saliency method", method, METHODS)
    maker, what = METHODS[method]

    def one(picture):
        small = shrink(picture, SIZE)
        height, width = small.shape[-2:]
        if min(height, width) < SMALLEST:
            small = images.resize(small, (max(height, SMALLEST), max(width, SMALLEST)))
        made = maker(small, picture) if maker in (object_map, classical_map) else maker(small)
        values, note = made if isinstance(made, tuple) else (made, "")
        return images.resize(values.clamp(0, 1), tuple(picture.shape[-2:])), note

    values, notes = each(image, one)
    return Guide(values, what, join_notes(notes))


# Classical maps: image (1, 3, H, W) -> map (1, 1, H, W)


def center_prior(image: torch.Tensor) -> torch.Tensor:
    """A Gaussian at the centre, a third of each side wide: photographers tend to place their subject there."""
    rows, columns = (torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1) for side in image.shape[-2:])
    return torch.exp(-(rows.view(-1, 1).square() + columns.square()) / (2 * (2 / 3) ** 2))[None, None]


def spectral_residual(image: torch.Tensor) -> torch.Tensor:
    """What is unusual in the spectrum (Hou & Zhang 2007): log amplitude minus its local mean, with the original phase."""
    grey = images.resize(image, 64).mean(1, keepdim=True)
    spectrum = torch.fft.fft2(grey)
    log = (spectrum.abs() + 1e-8).log()
    local = F.avg_pool2d(F.pad(log, (1, 1, 1, 1), mode="circular"), 3, 1)
    back = torch.fft.ifft2(torch.polar((log - local).exp(), spectrum.angle()))
    flat = grey.max() - grey.min() < 1e-4
    values = torch.zeros_like(grey) if flat else stretch(gaussian(back.abs().square(), 2.5), 0, 0.995)
    return _enlarge(values, image)


def frequency_tuned(image: torch.Tensor) -> torch.Tensor:
    """Distance of each colour, slightly blurred, from the mean colour, in Lab (Achanta et al. 2009)."""
    lab = rgb_to_lab(image)
    distance = (lab.mean((2, 3), keepdim=True) - gaussian(lab, 1.0)).norm(dim=1, keepdim=True)
    return stretch(distance, 0, 0.995)


def barrier_distance(image: torch.Tensor, rounds: int = 3) -> torch.Tensor:
    """Minimum barrier distance to the border (Zhang et al. 2015), in Lab.

    The cost of a path is the range of the colours along it, summed over channels; a pixel is salient if every path from the
    border to it crosses an edge. Computed by sweeps down, right, up and left, one row or column at a time.
    """
    small = shrink(image, SIZE // 2)
    values = gaussian(rgb_to_lab(small), 1.0)[0].numpy()
    height, width = values.shape[1:]
    cost = np.full((height, width), np.inf, np.float32)
    cost[[0, -1]] = cost[:, [0, -1]] = 0
    highest, lowest = values.copy(), values.copy()
    lines = [((i - 1, slice(None)), (i, slice(None))) for i in range(1, height)]
    lines += [((slice(None), j - 1), (slice(None), j)) for j in range(1, width)]
    for _ in range(rounds):
        for start, end in lines + [pair[::-1] for pair in reversed(lines)]:
            up = np.maximum(highest[:, *start], values[:, *end])
            down = np.minimum(lowest[:, *start], values[:, *end])
            new = (up - down).sum(0)
            better = new < cost[end]
            cost[end] = np.where(better, new, cost[end])
            highest[:, *end] = np.where(better, up, highest[:, *end])
            lowest[:, *end] = np.where(better, down, lowest[:, *end])
    return _enlarge(stretch(torch.from_numpy(cost)[None, None], 0, 0.98), image)


def boundary_connectivity(image: torch.Tensor, pieces: int = 250) -> torch.Tensor:
    """Contrast with regions that are well connected to the border (Zhu et al. 2014).

    The picture is divided into superpixels (SLIC). The region of a superpixel is what can be reached from it without much
    change of colour; if a large part of it, relative to its size, lies on the border, it is background. What differs from
    nearby background is salient.
    """
    from skimage.segmentation import slic

    parts = slic(image[0].permute(1, 2, 0).contiguous().numpy(), pieces, compactness=12, start_label=0)
    count, flat = int(parts.max()) + 1, parts.ravel()
    area = np.bincount(flat, minlength=count).clip(1)

    def mean(channel):
        return np.bincount(flat, channel.ravel(), count) / area

    color = np.stack([mean(channel) for channel in rgb_to_lab(image)[0].numpy()], 1)
    place = np.stack([mean(axis) for axis in np.indices(parts.shape)], 1) / max(parts.shape)
    apart = np.linalg.norm(color[:, None] - color, axis=-1)
    border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    touching = np.zeros((count, count), bool)
    touching[parts[:, 1:], parts[:, :-1]] = touching[parts[1:], parts[:-1]] = True
    touching[np.ix_(border, border)] = True  # the border holds together
    touching = (touching | touching.T) & ~np.eye(count, dtype=bool)
    if not touching.any() or apart.max() < 1e-3:
        return torch.zeros(1, 1, *image.shape[-2:])
    usual = np.where(touching, apart, np.inf).min(1)
    usual = usual[np.isfinite(usual)].mean()  # a step this small is no step
    steps = np.where(touching, np.maximum(apart - usual, 1e-6), 0)
    near = np.exp(-(dijkstra(sparse.csr_matrix(steps), directed=False) ** 2) / (2 * 10**2))
    connectivity = near[:, border].sum(1) / np.sqrt(near.sum(1))
    background = 1 - np.exp(-(connectivity**2) / 2)
    nearby = np.exp(-(np.linalg.norm(place[:, None] - place, axis=-1) ** 2) / (2 * 0.25**2))
    contrast = (apart * nearby * background).sum(1)
    return stretch(torch.from_numpy(contrast[parts]).float()[None, None], 0, 0.98)


# Maps from networks


@torch.no_grad()
def class_activation(image: torch.Tensor, classes: int = 8) -> torch.Tensor:
    """Class activation of EfficientNet-Lite0 (Zhou et al. 2016), averaged over two sizes and their mirror images.

    One half is the activation of the likeliest classes, weighted by their probabilities. The other half is the activation of
    any of the thousand classes, which includes a second thing of another kind. The square root reduces the peaks, since a
    classifier attends to faces more than to bodies.
    """
    network = load_lite0()
    weight, bias = network.classifier.weight[:, :, None, None], network.classifier.bias
    likely, which = load_lite0(fine=False)(shrink(image, SIZE))["logits"].softmax(1)[0].topk(classes)
    likely = (likely / likely.sum()).view(1, -1, 1, 1)
    named, any_class = 0.0, 0.0
    for size in (1.0, 1.4):
        sides = tuple(max(1, round(side * size)) for side in image.shape[-2:])
        for mirrored in (False, True):
            picture = images.resize(image, sides)
            picture = picture.flip(3) if mirrored else picture
            answer = F.conv2d(network(images.pad(picture, (MARGIN,) * 4))["head"], weight, bias)
            answer = _without_margin(answer.flip(3) if mirrored else answer, picture)
            top = answer[:, which].clamp_min(0)
            top = (likely * top / top.amax((2, 3), keepdim=True).clamp_min(1e-6)).sum(1, keepdim=True)
            named = named + _enlarge(top, image)
            any_class = any_class + _enlarge(answer.logsumexp(1, keepdim=True), image)
    return (stretch(named) / 2 + stretch(any_class) / 2).sqrt()


def _without_margin(answer: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """Activations without those in the mirrored margin around the picture."""
    sides = [side + 2 * MARGIN for side in picture.shape[-2:]]
    answer = F.interpolate(answer, [side // 4 for side in sides], mode="bilinear", align_corners=False)
    cut = MARGIN // 4
    return answer[:, :, cut : answer.shape[2] - cut, cut : answer.shape[3] - cut]


def mixed_map(image: torch.Tensor) -> torch.Tensor:
    """Class activation, barrier distance and boundary connectivity, combined; people with faces have priority.

    ImageNet has no class for people, so faces are detected separately.
    """
    mix = 0.55 * class_activation(image) + 0.25 * barrier_distance(image) + 0.2 * boundary_connectivity(image)
    mix = (mix / torch.quantile(mix, 0.98).clamp_min(0.5)).clamp(0, 1)
    boxes = frontal_faces(image)
    for box in boxes:
        if box.height >= 0.5 * boxes[0].height:
            mix = torch.maximum(0.6 * mix, person_map(box, image.shape[-2:]))
    return mix


def object_map(image: torch.Tensor, full: torch.Tensor, seen: Things | None = None, mix=None) -> tuple[torch.Tensor, str]:
    """Objects found by the trained head and by contrast, turned into an outline by GrabCut on the picture at full size.

    Furniture next to other things counts little, as a table under food. Objects that fill the picture are graded by the mixed
    map, from `GRADED` to 1. If the head finds nothing, contrast decides. `seen` is the output of `things` and `mix` the mixed
    map, if they are already known.
    """
    if (image.amax((2, 3)) - image.amin((2, 3))).max() < FLAT:
        return _nothing(full)
    seen = seen or things(full)
    if seen.presence < PRESENT:
        return contrast_map(image, full, mix)
    mix, size = mixed_map(image) if mix is None else mix, tuple(full.shape[-2:])
    sure = F.interpolate(seen.salient, image.shape[-2:], mode="bilinear", align_corners=False)
    logit = torch.logit(sure, 1e-4) + CONTRAST * torch.logit(mix, 0.02)
    mask = images.resize(grab_cut(logit.sigmoid(), image, 2, 4.0, full, color=0.6, least=0.0), size)
    if mask.mean().item() <= FILLED:
        return mask, ""
    graded = mask * (GRADED + (1 - GRADED) * images.resize(mix, size))
    return graded, "objects fill the picture: graded by what a classifier looks at"


def contrast_map(image: torch.Tensor, full: torch.Tensor, mix=None) -> tuple[torch.Tensor, str]:
    """The map for a picture in which the head finds nothing.

    In a landscape it is uniform; otherwise an outline if contrast gives a clear one, else the soft mixed map.
    """
    likely = load_lite0(fine=False)(image)["logits"].softmax(1)[0]
    if likely[list(LANDSCAPES)].sum().item() > LANDSCAPE:
        return _nothing(full)
    mix, unknown = mixed_map(image) if mix is None else mix, "no person, animal or thing that the head knows"
    mask = grab_cut(mix, image, full=full)
    inside = images.resize(mask, tuple(mix.shape[-2:])) > 0.5
    if not 0.003 < mask.mean().item() < FILLED or _along_border(inside) > 0.2 or _apart(mix, inside) < 0.3:
        return images.resize(mix, tuple(full.shape[-2:])), f"{unknown}, and no clear outline: the map is soft"
    return mask, f"{unknown}: the outline is by contrast alone"


def _nothing(full: torch.Tensor) -> tuple[torch.Tensor, str]:
    return torch.full((1, 1, *full.shape[-2:]), 0.5), "nothing stands out: the map is the same everywhere"


def classical_map(image: torch.Tensor, full: torch.Tensor, mix=None) -> tuple[torch.Tensor, str]:
    """The mixed map, turned into an outline by GrabCut on the picture at full size; the soft map if nothing stands out."""
    mix = mixed_map(image) if mix is None else mix
    mask = grab_cut(mix, image, full=full)
    if not 0.003 < mask.mean().item() < FILLED:
        return images.resize(mix, tuple(full.shape[-2:])), "no object stands out: the map is soft"
    inside = images.resize(mask, tuple(mix.shape[-2:])) > 0.5
    if _along_border(inside) > 0.4 and _apart(mix, inside) < 0.3:
        return mask, "it stands out little and reaches far along the border: look at the map before you rely on it"
    return mask, ""


def _along_border(inside: torch.Tensor) -> float:
    """Share of the picture's border that lies inside a mask."""
    border = torch.cat([inside[..., 0, :], inside[..., -1, :], inside[..., 0], inside[..., -1]], -1)
    return border.float().mean().item()


def _apart(values: torch.Tensor, inside: torch.Tensor) -> float:
    """Difference of the means of a map inside and outside a mask."""
    return (values[inside].mean() - values[~inside].mean()).item()


def _enlarge(values: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(values, image.shape[-2:], mode="bicubic", align_corners=False).clamp_min(0)


METHODS = {
    "objects": (object_map, "head trained on outlines + classical maps + class activation -> GrabCut -> guided filter"),
    "classical": (classical_map, "classical maps + class activation + faces -> GrabCut -> guided filter"),
    "mix": (mixed_map, "classical maps + class activation + faces"),
    "activation": (class_activation, "class activation of EfficientNet-Lite0"),
    "barrier": (barrier_distance, "minimum barrier distance"),
    "connectivity": (boundary_connectivity, "boundary connectivity"),
    "frequency": (frequency_tuned, "frequency-tuned contrast"),
    "spectral": (spectral_residual, "spectral residual"),
    "center": (center_prior, "centre prior"),
    "hub": (hub_saliency, f"saliency network {SALIENCY}"),
}
