"""Kept and painted: saliency, structure and edges beside content and style, after the survey's proposal.

Paper:  "Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation" names the terms and gives no equation;
        saliency weights after Liu et al. 2019, guided Gram after Gatys et al. 2017, edges after Li et al. 2017 (Lapstyle).
Idea:   inside what matters, keep the structure and ask for the painting's statistics there too: a face that is painted,
        not a photo pasted in, and not a face of swirls.
What we changed: everything is a reading of ours; what each term is worth is measured, see benchmarks/preservation.py.
Cost:   that of gatys and a few hundredths more.
"""

import torch

from nstlab.guidance.guide import Guide, load_map
from nstlab.losses import SmoothnessLoss, StyleLoss
from nstlab.losses.edge import EdgeLoss
from nstlab.losses.region import RegionStyleLoss
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.losses.structure import StructureLoss
from nstlab.systems.run import Run
from nstlab.systems.scene import scene, weight_factors

DEFAULTS = {"content": 1.0, "style": 60.0, "inside": 6.0, "structure": 60.0, "edges": 10.0, "smoothness": 20.0}
INSIDE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")  # deeper statistics would ask for whole stars inside a face


def plan(content, styles, *, weights: dict[str, float] | None = None, guide=None, k: float = 20.0, **options) -> Run:
    """Make a run ready; `options` are those of `scene`.

    `guide` is a map of what matters: a Guide, a file or array of yours, or None for the default saliency. `k` is how many
    times more content counts there. `weights`: the names of DEFAULTS. Raises NstlabError.
    """
    weight_factors(weights, DEFAULTS)  # before anything is loaded
    made = scene(content, styles, system="preserve", weights=weights, **options)
    found = _guide(made.photo, guide)
    made.settings |= {"k": k, "guide": found.method if guide is None or not isinstance(guide, str) else guide}
    style, layers, scale = made.paintings, made.settings["style_layers"], made.settings["style_scale"]
    losses = {
        "content": SaliencyContentLoss(made.photo, found.map, k, layers=made.settings["content_layers"]),
        "style": StyleLoss(style, layers, scale=scale),
        "inside": RegionStyleLoss([(found.map, painting, None) for painting in style], layers=INSIDE_LAYERS, scale=scale),
        "structure": StructureLoss(made.photo, found.map),
        "edges": EdgeLoss(made.photo),
        "smoothness": SmoothnessLoss(),
    }
    return made.run(losses, DEFAULTS, weights)


def _guide(photo: torch.Tensor, guide) -> Guide:
    if guide is None:
        from nstlab.guidance.saliency import saliency

        return saliency(photo)
    return load_map(guide, tuple(photo.shape[-2:]), "the guide")
