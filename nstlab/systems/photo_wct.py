"""Li, Liu, Li, Yang & Kautz 2018: A Closed-form Solution to Photorealistic Image Stylization (PhotoWCT).

Paper:  ECCV 2018. The survey's reference [19] could not be located; this is the classical method of the kind it describes.
Idea:   whitening and colouring level by level as in wct, but the decoder puts maxima back where they were, so fewer edges
        smear; then colours are evened out where the photo's own colours are even, by one linear system.
What we changed: levels share one decoder. The affinity is normalised by rows, D^-1 W, not symmetrically: it has the same
        eigenvalues, and leaves no dark frame. It is solved by conjugate gradients and never inverted. A region that the style
        lacks goes after the whole style, where the original leaves it as it is.
Cost:   that of wct, and the smoothing: seconds at 512 px, or a fraction of one with the guided filter.
"""

from dataclasses import dataclass
from functools import partial

from nstlab.errors import choose
from nstlab.feature_transforms import Whitening
from nstlab.filters import guided_filter
from nstlab.matting import check_beta, smooth
from nstlab.networks.decoder import shipped_file
from nstlab.options import option
from nstlab.systems.one_pass import Pass
from nstlab.systems.photo import PhotoOptions, find_regions
from nstlab.systems.registry import System
from nstlab.systems.transfer import transfer

LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")
SMOOTHINGS = ("matting", "guided", "none")
WINDOW, VARIANCE = 1 / 15, 1e-3  # of the guided filter: radius as a share of the long side; what counts as flat
A_PIXEL = 2200  # bytes of memory, measured with vgg19


@dataclass(frozen=True)
class PhotoWctOptions(PhotoOptions):
    """PhotoOptions, and the smoothing."""

    smoothing: str = option("matting", "matting, guided (a filter, faster), or none.")
    beta: float = option(0.9999, "How smooth, by matting: 0 leaves the picture as it is; less than 1.")


def plan(content, styles, options: PhotoWctOptions) -> Pass:
    """Make a pass ready. Raises NstlabError."""
    smoothing, beta = choose("smoothing", options.smoothing, SMOOTHINGS), check_beta(options.beta)
    made = transfer("photo_wct", content, styles, options, LEVELS, A_PIXEL, upsampling="indices")
    find_regions(made, content, styles, options)
    whitening = Whitening(made.alpha, identity=1)

    def paint(photo):
        made.describe(dict.fromkeys(LEVELS, whitening))
        image = photo
        for level in LEVELS:
            features = made.encode(image, (level,))
            features[level] = made.change(whitening, features[level], level)
            image = made.decode(features, level).clamp(0, 1)
        photo = photo.to(image.device)
        if smoothing == "matting":
            return smooth(image, photo, beta)
        radius = max(1, round(WINDOW * max(photo.shape[-2:])))
        return guided_filter(image, photo, radius, VARIANCE) if smoothing == "guided" else image

    return made.run(paint)


SYSTEM = System(
    name="photo_wct",
    paper="Li et al. 2018, A Closed-form Solution to Photorealistic Image Stylization",
    idea="whiten and colour with a decoder that puts maxima back, then even the colours out where the photo's are even",
    cost="several seconds for any style, and as many for the smoothing",
    label="a photo that stays a photo, smoothed",
    options=PhotoWctOptions,
    plan=plan,
    ready=partial(shipped_file, "vgg19", "indices"),
)
