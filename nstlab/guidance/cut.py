"""GrabCut: from a rough map to an outline, with two colour models and a minimum cut (Rother et al. 2004)."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, sparse
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from nstlab.filters import guided_filter, rgb_to_lab, shrink

SIZE = 144  # long side in pixels of the graph; the guided filter brings the outline to full size
BINS = 20  # of the colour histograms, along each axis of Lab
UNIT = 50  # the flow is integer: this many units make 1


def grab_cut(
    prior: torch.Tensor, image: torch.Tensor, rounds: int = 4, bond: float = 12.0, full=None,
    *, color: float = 1.0, least: float = 0.12,
) -> torch.Tensor:  # fmt: skip
    """Object mask (1, 1, H, W) with soft edges, from a prior (1, 1, H, W) in [0, 1] and its picture (1, 3, H, W).

    Each round computes colour histograms inside and outside, then the cheapest cut of the pixel grid: a pixel costs what its
    colour and the prior say against its side, and a separated pair of neighbours costs `bond` times its similarity. If `full`,
    the same picture at full size, is given, the mask has that size. `color` is the weight of the colours relative to the prior.
    Connected parts with less than the share `least` of the prior of the heaviest part are dropped.
    """
    small = shrink(image, SIZE)
    lab = rgb_to_lab(small)[0].double().numpy()
    before = F.interpolate(prior, small.shape[-2:], mode="bilinear", antialias=True)[0, 0].double().numpy()
    pairs, likeness = _neighbours(lab, bond)
    mask = before
    for _ in range(rounds):
        evidence = color * log_ratio(lab, mask).clip(-3, 3) + np.log((before + 0.02) / (1.02 - before))
        cut = minimum_cut(evidence, pairs, likeness)
        if cut.all() or not cut.any() or (cut != (mask > 0.5)).mean() < 0.002:
            break
        mask = cut.astype(float)
    mask = largest_parts(mask > 0.5, before, least)
    coarse = F.interpolate(torch.from_numpy(mask).float()[None, None], image.shape[-2:], mode="bilinear")
    return guided_filter(coarse, image, max(2, max(image.shape[-2:]) // 80), 1e-3, full).clamp(0, 1)


def log_ratio(lab: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """log p(colour | inside) - log p(colour | outside) at each pixel, from histograms weighted by `inside` in [0, 1]."""
    unit = lab / np.array([100, 200, 200]).reshape(3, 1, 1) + np.array([0, 0.5, 0.5]).reshape(3, 1, 1)
    index = np.ravel_multi_index((unit * BINS).astype(int).clip(0, BINS - 1).reshape(3, -1), (BINS,) * 3)

    def histogram(weights):
        counts = np.bincount(index, weights.ravel(), BINS**3).reshape((BINS,) * 3)
        return ndimage.gaussian_filter(counts, 1.0) / max(counts.sum(), 1e-9) + 1e-5

    return (np.log(histogram(inside)) - np.log(histogram(1 - inside))).ravel()[index].reshape(inside.shape)


def _neighbours(lab: np.ndarray, bond: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (2, P) of the 8-connected grid, and the cost of separating each."""
    height, width = lab.shape[1:]
    number = np.arange(height * width).reshape(height, width)
    pairs, costs = [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width + min(0, right))
        pairs.append(np.stack([number[here].ravel(), number[there].ravel()]))
        costs.append(((lab[:, *here] - lab[:, *there]) ** 2).sum(0).ravel())
    distance = np.repeat([1, 1, 2**0.5, 2**0.5], [part.shape[1] for part in pairs])
    costs = np.concatenate(costs)
    usual = max(costs.mean(), 1e-6) if costs.size else 1.0
    return np.concatenate(pairs, 1), bond * np.exp(-costs / (2 * usual)) / distance + 0.5


def minimum_cut(evidence: np.ndarray, pairs: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Mask (H, W) of least cost: -evidence summed over the mask, plus the costs of the neighbours that it separates."""
    count = evidence.size
    source, sink, pixels = count, count + 1, np.arange(count)
    rows = np.concatenate([pairs[0], pairs[1], np.full(count, source), pixels])
    columns = np.concatenate([pairs[1], pairs[0], pixels, np.full(count, sink)])
    flat = evidence.ravel()
    capacity = np.concatenate([costs, costs, flat.clip(0, None), (-flat).clip(0, None)])
    graph = sparse.csr_matrix(((capacity * UNIT).astype(np.int32), (rows, columns)), shape=(count + 2,) * 2)
    left = graph - maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    mask = np.zeros(count + 2, bool)
    mask[breadth_first_order(left, source, return_predecessors=False)] = True
    return mask[:count].reshape(evidence.shape)


def largest_parts(mask: np.ndarray, prior: np.ndarray, share: float = 0.12) -> np.ndarray:
    """The connected parts of a mask (H, W) whose squared prior is at least `share` of the largest, as floats."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask.astype(float)
    weight = ndimage.sum(prior**2, labels, range(1, count + 1))
    return np.isin(labels, 1 + np.flatnonzero(weight >= share * weight.max())).astype(float)
