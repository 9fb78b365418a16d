"""Pairs regions of a photo with regions of a painting: by number, by name, or by appearance."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from nstlab import images
from nstlab.filters import shrink
from nstlab.guidance.segments import SIZE, Segments, describe
from nstlab.networks.saliency_head import NAMES

APART = 1e3  # larger than any distance
ALIKE = "likeness of features, colour and position"


@dataclass(frozen=True)
class Match:
    """`pairs` maps each label of the content to a label of the style, or to None if the style has no such region."""

    pairs: dict[int, int | None]
    method: str
    note: str = ""


def match_numbers(content: Segments, style: Segments, least: float = 0.001) -> Match:
    """Pair equal numbers, for labels drawn by the user on both. A label on less than the share `least` counts as missing."""
    there = {label for label, area in enumerate(style.areas()) if area >= least}
    pairs = {label: label if label in there else None for label, area in enumerate(content.areas()) if area > 0}
    lacking = [label for label, other in pairs.items() if other is None]
    note = f"the style lacks label {', '.join(map(str, lacking))}: its global statistics serve there" if lacking else ""
    return Match(pairs, "same numbers", note)


def match_names(content: Segments, style: Segments) -> dict[int, int]:
    """{content's label: style's label} of the regions with the same name in both; unnamed background is left out."""
    there = {name: label for label, name in enumerate(style.names) if style.areas()[label] > 0}
    named = [(label, name) for label, name in enumerate(content.names) if content.areas()[label] > 0]
    return {label: there[name] for label, name in named if name in there and name != NAMES[0]}


def match_looks(content_image, content: Segments, style_image, style: Segments, one_to_one: bool = False) -> Match:
    """Pair each region of the content with the style's region of the same name, the others with the most similar remaining one.

    Similarity is in deep features, colour and position. With `one_to_one`, no style region is used twice if there are enough.
    """
    same = match_names(content, style)
    ours, theirs = _signatures(content_image, content), _signatures(style_image, style)
    labels, others = list(ours), list(theirs)
    distance = torch.cdist(torch.stack(list(ours.values())), torch.stack(list(theirs.values())))
    for label, other in same.items():
        if label in labels and other in others:
            distance[:, others.index(other)] += APART  # the others take it only if nothing else is left
            distance[labels.index(label), others.index(other)] = -APART
    pairs: dict[int, int | None] = {label: others[int(distance[i].argmin())] for i, label in enumerate(labels)}
    note = ""
    if one_to_one:
        rows, columns = linear_sum_assignment(distance.numpy())
        pairs |= {labels[i]: others[j] for i, j in zip(rows, columns, strict=True)}
        if len(others) < len(labels):
            note = f"the style has {len(others)} regions for {len(labels)}: some serve twice"
    return Match(dict(sorted(pairs.items())), "names, then likeness of features, colour and position" if same else ALIKE, note)


@torch.no_grad()
def _signatures(image: torch.Tensor, found: Segments) -> dict[int, torch.Tensor]:
    """The mean of `describe` over each non-empty region of the first picture."""
    small = shrink(images.check(image)[:1].detach().clamp(0, 1).cpu(), SIZE)
    places = describe(small, (1.0, 1.0, 0.5))
    masks = F.interpolate(found.masks()[:1].cpu(), places.shape[-2:], mode="area")[0].flatten(1)
    total = masks.sum(1, keepdim=True)
    means = masks @ places[0].flatten(1).T / total.clamp_min(1e-9)
    return {label: means[label] for label in range(len(means)) if total[label] > 1e-6}
