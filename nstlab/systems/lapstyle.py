"""Lin et al. 2021: Drafting and Revision: Laplacian Pyramid Network for Fast High-Quality Artistic Style Transfer.

Paper:  CVPR 2021 ("LapStyle"; another method than Lapstyle, Li et al. 2017).
Idea:   draft the whole picture small, by the statistics of features, and add details at each finer scale, as the bands of a
        Laplacian pyramid.
What we changed: the paper trains a draft, revisions and critics anew for each painting. Here the draft is `adain`, as it ships,
        and one network revises for several paintings; it sees the photo's coarser parts too, not the band alone (see
        networks/revision.py); the terms are those of preserve, and the critics are told which painting it should be.
Cost:   a training of an hour on a CPU; then a sixth of a second a picture of 512 px.
"""

from functools import partial

from nstlab.encoders import load_encoder
from nstlab.networks import RevisionNet, load_decoder
from nstlab.systems.checkpoint import describe
from nstlab.systems.registry import System
from nstlab.systems.trained import BlendOptions, plan
from nstlab.training.revision import CoarseToFine

DRAFT_ENCODER = "pocket"  # a draft is small and soft: the approximation will do
A_PIXEL = 400  # bytes of memory, measured in fp32 at 1024 px
WEIGHTS = {"matching": 1.0}  # the task's own


def task(paintings, *, network=None, **options) -> CoarseToFine:
    """The training of revisions for one or several paintings: (names, images); `network` are the options of RevisionNet,
    `options` those of CoarseToFine. The draft is `adain` with its decoder for the pocket encoder."""
    names, pictures = paintings
    decoder = load_decoder(load_encoder(DRAFT_ENCODER, device="cpu", precision="fp32"), kind="adain")
    network = {**(network or {}), "decoder": decoder.options}
    info, made = describe("RevisionNet", names, network), RevisionNet(len(names), **network)
    made.draft.learn(decoder, pictures)
    weights = WEIGHTS | (options.pop("weights", None) or {})
    return CoarseToFine("lapstyle", info, made, paintings, weights=weights, matched=True, vary=True, **options)


SYSTEM = System(
    name="lapstyle",
    paper="Lin et al. 2021, Drafting and Revision: Laplacian Pyramid Network for Fast High-Quality Artistic Style Transfer",
    idea="draft the picture small by AdaIN, and add the painting's strokes at each finer scale",
    cost="an hour of training for all paintings; then a sixth of a second",
    label="at once, a draft and revisions",
    options=BlendOptions,
    plan=partial(plan, "lapstyle", a_pixel=A_PIXEL),
    styles="learned",
    task=task,
    critic=True,
)
