"""Johnson, Alahi & Fei-Fei 2016: Perceptual Losses for Real-Time Style Transfer and Super-Resolution.

Paper:  ECCV 2016; instance norm after Ulyanov et al. 2017.
Idea:   train a network once to make small what Gatys et al. make small for each picture; then one pass paints any photo.
What we changed: VGG-19 and the layers of gatys; a smaller network with skips and its upsampling at low resolution; what the
        photo's guide marks is protected, as in preserve; the average of the weights paints.
Cost:   a training of hours on a CPU, once for each painting; then about a tenth of a second a picture.
"""

from functools import partial

from nstlab.systems.feed_forward import FeedForward
from nstlab.systems.registry import System
from nstlab.systems.trained import TrainedOptions, plan


def task(paintings, **options) -> FeedForward:
    """The training of a network on one painting: ([name], [image]); `options` are those of FeedForward."""
    return FeedForward("johnson", paintings, **options)


SYSTEM = System(
    name="johnson",
    paper="Johnson, Alahi & Fei-Fei 2016, Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
    idea="train a network once on the losses of Gatys et al.; then one pass paints any photo",
    cost="hours of training for each painting; then a tenth of a second",
    label="at once, in one painting it has learned",
    options=TrainedOptions,
    plan=partial(plan, "johnson"),
    styles="learned",
    task=task,
    most_styles=1,
)
