"""Kept and painted: the semantics and the structure of what is salient beside content and style, after the survey's proposal.

Paper:  "Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation" names terms and gives no equation; guided
        Gram after Gatys et al. 2017.
Idea:   a painter keeps what is coarser than the brush and paints what is finer. So light and dark and deep features of what
        matters are kept, and only above the width of the painting's strokes; below it, and all over what is kept, the
        painting's statistics are asked for. Faces count most, and small ones are held finer.
What we changed: everything is a reading of ours; what each term is worth is measured, see benchmarks/preservation.py. Two of
        the survey's are left out, as they added nothing at matched style: a loss of outlines (notebook 07), which structure
        holds already, and content weighted by saliency (notebook 05; `k`), which "semantic" asks for already.
Cost:   that of gatys and about a quarter more.
"""

import warnings
from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.filters import shrink
from nstlab.guidance.faces import faces, head_map
from nstlab.guidance.guide import Guide, load_map
from nstlab.guidance.importance import importance
from nstlab.losses import SmoothnessLoss
from nstlab.losses.presets import KEPT
from nstlab.losses.region import INSIDE_LAYERS, painted_places
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.losses.semantic import InsideContentLoss
from nstlab.losses.structure import BLOCK, StructureLoss
from nstlab.options import option
from nstlab.systems import gatys
from nstlab.systems.pixel import PixelOptions, scene, weight_factors
from nstlab.systems.registry import System
from nstlab.systems.run import Run

DEFAULTS = {**gatys.DEFAULTS, **KEPT}
FACE = 18  # blocks along the height of a face


@dataclass(frozen=True)
class PreserveOptions(PixelOptions):
    """PixelOptions, and what is protected.

    `guide` is a map of what matters: a Guide, a file or array, or None for `nstlab.guidance.importance`. `k` is how
    many times more the content counts there, beside what the term "semantic" asks for.
    """

    guide: object = option(None, "Map of what matters: a picture, white is kept. Found in the photo if left out.")
    k: float = option(0.0, "How many times more the content counts where the guide is white.")


def plan(content, styles, options: PreserveOptions) -> Run:
    """Make a run ready. `weights`: the names of DEFAULTS.

    A guide that is the same everywhere singles nothing out: then this is "gatys", and a warning says so. With the
    weights inside, structure and semantic 0 it is "gatys" too. Raises NstlabError.
    """
    weight_factors(options.weights, DEFAULTS)  # before anything is loaded
    made = scene("preserve", content, styles, options)
    seen = look(content)
    found = importance(seen) if options.guide is None else load_map(options.guide, tuple(seen.shape[-2:]), "the guide")
    made.notes += [f"guide: {found.method}", *([found.note] if found.note else [])]
    losses = {
        "content": SaliencyContentLoss(made.content, found.map, options.k, layers=made.settings["content_layers"]),
        "style": made.mix.style_loss(),
    }
    if found.uniform:
        warnings.warn(f"the guide ({found.method}) is the same everywhere: nothing is protected, as in gatys", stacklevel=3)
    else:
        block = BLOCK * made.mix.stroke_width()
        finer = finer_places(seen, found, block)
        losses |= {
            "inside": made.mix.loss_inside(painted_places(found.map), INSIDE_LAYERS),
            "structure": StructureLoss(made.content, found.map, block, finer),
            "semantic": InsideContentLoss(made.content, found.map),
        }
    return made.run({**losses, "smoothness": SmoothnessLoss()}, DEFAULTS, options.weights)


def look(content) -> torch.Tensor:
    """The photo (1, 3, H, W) as guides are made from it: at its own size but at most 512 px, whatever size is painted."""
    return shrink(images.load(content), 512)


def finer_places(photo: torch.Tensor, guide: Guide, block: float) -> list[tuple[torch.Tensor, float]]:
    """[(map, block)] of the faces inside the guide that are too small for blocks of a share `block` of the long side."""
    long, size, places = max(photo.shape[-2:]), tuple(photo.shape[-2:]), []
    marked = images.resize(guide.map, size)
    for box in faces(photo):
        needed = box.height / FACE / long
        if needed < block:
            places.append((head_map(box, size) * marked, needed))
    return [(places_, needed) for places_, needed in places if float(places_.sum()) > 0]


SYSTEM = System(
    name="preserve",
    paper="after the proposal of the survey Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation",
    idea="inside what matters keep the structure, and ask for the painting's statistics there too",
    cost="that of gatys and about a quarter more",
    label="keep what matters, and paint it too",
    options=PreserveOptions,
    plan=plan,
)
