"""Dumoulin, Shlens & Kudlur 2017: A Learned Representation for Artistic Style.

Paper:  ICLR 2017.
Idea:   one network for many paintings: all weights are shared but the scale and shift after each normalisation, and these
        can be mixed.
What we changed: as in johnson.
Cost:   a training of hours on a CPU; then about a tenth of a second a picture, in any blend of its styles.
"""

from nstlab.systems.feed_forward import FeedForward, Pass, one_pass

STYLES = None  # any number


def plan(
    content, styles=(), *, size: int = 512, checkpoint=None, blend=None, colors="style", device="auto", precision="auto"
) -> Pass:
    """Make a pass ready: `styles` are names of paintings that the network learned, mixed by `blend`. Raises NstlabError."""
    options = {"size": size, "checkpoint": checkpoint, "colors": colors, "device": device, "precision": precision}
    return one_pass("conditional", content, styles, blend=blend, **options)


def task(paintings, **options) -> FeedForward:
    """The training of one network on several paintings: (names, images); `options` are those of FeedForward."""
    return FeedForward("conditional", paintings, **options)
