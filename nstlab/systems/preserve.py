"""Kept and painted: saliency, structure and edges beside content and style, after the survey's proposal.

Paper:  "Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation" names the terms and gives no equation;
        saliency weights after Liu et al. 2019, guided Gram after Gatys et al. 2017. Lapstyle (Li et al. 2017) compares the
        Laplacians of both pictures; here only outlines that get lost are counted, as notebook 07 says why.
Idea:   inside what matters, keep the structure and ask for the painting's statistics there too: a face that is painted,
        not a photo pasted in, and not a face of swirls.
What we changed: everything is a reading of ours; what each term is worth is measured, see benchmarks/preservation.py.
Cost:   that of gatys and about a fifth more.
"""

import warnings
from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.filters import shrink
from nstlab.guidance.guide import Guide, load_map
from nstlab.guidance.saliency import saliency
from nstlab.guidance.segments import segments
from nstlab.losses import SmoothnessLoss
from nstlab.losses.edge import OutlineLoss
from nstlab.losses.region import INSIDE_LAYERS
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.losses.semantic import SemanticLoss
from nstlab.losses.structure import StructureLoss
from nstlab.options import option
from nstlab.systems import gatys
from nstlab.systems.pixel import PixelOptions, scene, weight_factors
from nstlab.systems.registry import System
from nstlab.systems.run import Run

DEFAULTS = {**gatys.DEFAULTS, "inside": 6.0, "structure": 4.0, "semantic": 1.5, "edges": 120.0}
PROTECTED = 0.5  # mean of the guide in a region from which on the region is protected


@dataclass(frozen=True)
class PreserveOptions(PixelOptions):
    """PixelOptions, and what is protected.

    `guide` is a map of what matters: a Guide, a file or array, or None for the default saliency. `k` is how many times more the
    content counts there. `regions` are those that `region_priorities` finds, if they are known already or others are wanted:
    (labels (1, H, W), {label: priority}).
    """

    guide: object = option(None, "Map of what matters: a picture, white is kept. Found in the photo if left out.")
    k: float = option(20.0, "How many times more the content counts where the guide is white.")
    regions: object = option(None, "Regions and priorities.", kind="python")


def plan(content, styles, options: PreserveOptions) -> Run:
    """Make a run ready. `weights`: the names of DEFAULTS.

    A guide that is the same everywhere singles nothing out: then this is "gatys", and a warning says so. With k = 0 and the
    weights inside, structure, semantic and edges 0 it is "gatys" too. Raises NstlabError.
    """
    weight_factors(options.weights, DEFAULTS)  # before anything is loaded
    made = scene("preserve", content, styles, options)
    seen = look(content)
    found = saliency(seen) if options.guide is None else load_map(options.guide, tuple(seen.shape[-2:]), "the guide")
    made.notes += [f"guide: {found.method}", *([found.note] if found.note else [])]
    losses = {
        "content": SaliencyContentLoss(made.content, found.map, options.k, layers=made.settings["content_layers"]),
        "style": made.mix.style_loss(),
    }
    if found.uniform:
        warnings.warn(f"the guide ({found.method}) is the same everywhere: nothing is protected, as in gatys", stacklevel=3)
    else:
        losses |= _protection(made, found)
        wanted = (options.weights or {}).get("semantic", 1) > 0
        regions = (options.regions or region_priorities(seen, found)) if wanted else None
        if regions:
            losses["semantic"] = SemanticLoss(made.content, *regions, layers=("relu3_1",))
    return made.run({**losses, "smoothness": SmoothnessLoss()}, DEFAULTS, options.weights)


def look(content) -> torch.Tensor:
    """The photo (1, 3, H, W) as guides are made from it: at its own size but at most 512 px, whatever size is painted."""
    return shrink(images.load(content), 512)


def _protection(made, guide: Guide) -> dict:
    """What keeps and paints the inside of the guide, and the outlines everywhere."""
    return {
        "inside": made.mix.loss_inside(guide.map, INSIDE_LAYERS),
        "structure": StructureLoss(made.content, guide.map),
        "edges": OutlineLoss(made.content),
    }


def region_priorities(photo: torch.Tensor, guide: Guide) -> tuple[torch.Tensor, dict[int, float]] | None:
    """The photo's regions as labels (1, H, W), and {label: mean of the guide} of those that the guide marks mostly; or None."""
    labels = segments(photo, method="semantic").labels
    marked = images.resize(guide.map, tuple(labels.shape[-2:]))
    means = {int(label): marked[(labels == label)[:, None]].mean().item() for label in labels.unique()}
    chosen = {label: mean for label, mean in means.items() if mean >= PROTECTED}
    return (labels, chosen) if chosen else None


SYSTEM = System(
    name="preserve",
    paper="after the proposal of the survey Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation",
    idea="inside what matters keep the structure, and ask for the painting's statistics there too",
    cost="that of gatys and about a fifth more",
    label="keep what matters, and paint it too",
    options=PreserveOptions,
    plan=plan,
)
