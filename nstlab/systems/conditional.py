"""Dumoulin, Shlens & Kudlur 2017: A Learned Representation for Artistic Style.

Paper:  ICLR 2017.
Idea:   one network for many paintings: all weights are shared but the scale and shift after each normalisation, and these
        can be mixed.
What we changed: as in johnson.
Cost:   a training of hours on a CPU; then about a tenth of a second a picture, in any blend of its styles.
"""

from functools import partial

from nstlab.systems.feed_forward import FeedForward
from nstlab.systems.registry import System
from nstlab.systems.trained import BlendOptions, plan


def task(paintings, **options) -> FeedForward:
    """The training of one network on several paintings: (names, images); `options` are those of FeedForward."""
    return FeedForward("conditional", paintings, **options)


SYSTEM = System(
    name="conditional",
    paper="Dumoulin, Shlens & Kudlur 2017, A Learned Representation for Artistic Style",
    idea="one network for many paintings: only the scale and shift after each normalisation differ, and they can be mixed",
    cost="hours of training for all paintings; then a tenth of a second",
    label="at once, in paintings it has learned",
    options=BlendOptions,
    plan=partial(plan, "conditional"),
    styles="learned",
    task=task,
)
