"""Johnson, Alahi & Fei-Fei 2016: Perceptual Losses for Real-Time Style Transfer and Super-Resolution.

Paper:  ECCV 2016; instance norm after Ulyanov et al. 2017.
Idea:   train a network once to make small what Gatys et al. make small for each picture; then one pass paints any photo.
What we changed: VGG-19 and the layers of gatys; a smaller network with skips and its upsampling at low resolution; what the
        photo's guide marks is protected, as in preserve; the average of the weights paints.
Cost:   a training of hours on a CPU, once for each painting; then about a tenth of a second a picture.
"""

from nstlab.systems.feed_forward import FeedForward, Pass, one_pass

STYLES = 1  # how many paintings one network learns


def plan(content, styles=(), *, size: int = 512, checkpoint=None, colors="style", device="auto", precision="auto") -> Pass:
    """Make a pass ready through the network in `checkpoint`. Raises NstlabError."""
    return one_pass(
        "johnson", content, styles, size=size, checkpoint=checkpoint, colors=colors, device=device, precision=precision
    )


def task(paintings, **options) -> FeedForward:
    """The training of a network on one painting: ([name], [image]); `options` are those of FeedForward."""
    return FeedForward("johnson", paintings, **options)
