"""The survey's proposed system: multi-scale painting, protection of what matters, and a critic that keeps results realistic.

Paper:  "Enhancing Neural Style Transfer for Multi-Style and Semantic Preservation" names these parts and gives no equation.
        Draft and revisions after LapStyle (Lin et al. 2021); critics after pix2pixHD (Wang et al. 2018).
Idea:   a network paints from coarse to fine under the losses of preserve, and must also pass, patch by patch, for a painting.
What we changed: all scales are trained at once; a gate on the critic's success rate replaces tuning of its learning rate.
Cost:   a training of hours on a CPU; then about a tenth of a second a picture.
"""

from functools import partial

from nstlab.networks import MultiscaleNet
from nstlab.systems.checkpoint import describe
from nstlab.systems.registry import System
from nstlab.systems.trained import BlendOptions, plan
from nstlab.training.revision import CoarseToFine


def task(paintings, *, network=None, **options) -> CoarseToFine:
    """The training of one network on one or several paintings: (names, images); `network` are the options of MultiscaleNet,
    `options` those of CoarseToFine."""
    names, network = paintings[0], {"scales": 2, **(network or {})}
    info, made = describe("MultiscaleNet", names, network), MultiscaleNet(len(names), **network)
    return CoarseToFine("multiscale_gan", info, made, paintings, **options)


SYSTEM = System(
    name="multiscale_gan",
    paper="the survey's proposed system, after Lin et al. 2021 (LapSTYLE) and Wang et al. 2018 (pix2pixHD)",
    idea="paint from coarse to fine under the losses of preserve, and pass for a painting patch by patch",
    cost="hours of training for all paintings; then a tenth of a second",
    label="at once, from coarse to fine",
    options=BlendOptions,
    plan=partial(plan, "multiscale_gan"),
    styles="learned",
    task=task,
    critic=True,
)
