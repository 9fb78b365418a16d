"""Luan, Paris, Shechtman & Bala 2017: Deep Photo Style Transfer.

Paper:  CVPR 2017. The survey's [14] (D'Angelo et al. 2022) restyles regions to train a classifier; the transfer is this one.
Idea:   each region takes the style of the region that is like it (sky from sky), and in every small window the colours stay an
        affine function of the photo's, so that lines stay straight and nothing is painted that is not there.
What we changed: regions by nstlab.guidance, or labels of yours; the first stage, without the matting term, is the coarse scales
        and the second the last one; the final smoothing is a guided filter, which fits the same local affine maps.
Cost:   that of gatys, and two looks for regions.
"""

from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.errors import SettingError, check_count, choose
from nstlab.filters import guided_filter, shrink
from nstlab.guidance.matching import match_looks, match_numbers
from nstlab.guidance.segments import Segments, load_labels, segments
from nstlab.losses import ContentLoss, SmoothnessLoss
from nstlab.losses.matting import MattingLoss
from nstlab.options import option
from nstlab.systems import gatys
from nstlab.systems.pixel import PixelOptions, scene, weight_factors
from nstlab.systems.preserve import look
from nstlab.systems.registry import System
from nstlab.systems.run import Run

DEFAULTS = {**gatys.DEFAULTS, "matting": 10000.0}
REGIONS = ("things", "semantic", "color", "none")
FLAT = 1e-4  # variance of the photo's colours below which a window counts as flat, for the final smoothing


@dataclass(frozen=True)
class LuanOptions(PixelOptions):
    """PixelOptions, and which regions go together.

    `labels` and `style_labels` are of the user's own (see guidance.segments.load_labels): the same number, the same thing.
    """

    regions: str = option("things", "How regions are found: things (by name), semantic, color; none: all is one.")
    labels: object = option(None, "Labels of the photo's regions, a .npy file or a picture in flat colours.")
    style_labels: object = option(
        None, "Those of each style, numbered alike. Repeatable, in order.", flag="style-label", kind="texts"
    )
    smoothing: int = option(7, "Radius in pixels of the final smoothing along the photo's edges; 0: none.")


def plan(content, styles, options: LuanOptions) -> Run:
    """Make a run ready. `weights`: the names of DEFAULTS. Raises NstlabError."""
    weight_factors(options.weights, DEFAULTS)  # before anything is loaded
    choose("regions", options.regions, REGIONS)
    radius = check_count("smoothing", options.smoothing, least=0)
    made = scene("luan", content, styles, options)
    places, said = regions(look(content), [shrink(painting, 512) for painting in made.mix.paintings], options)
    made.notes += said
    colors = made.finish_image
    made.finish_image = lambda image: colors(smooth(image, made.content, radius))
    losses = {
        "content": ContentLoss(made.content, made.settings["content_layers"]),
        "style": made.mix.style_by_regions(places) if places else made.mix.style_loss(),
        "matting": MattingLoss(made.content),
        "smoothness": SmoothnessLoss(),
    }
    return made.run(losses, DEFAULTS, options.weights, late=("matting",))


def regions(photo: torch.Tensor, paintings: list[torch.Tensor], options: LuanOptions):
    """([[(region of the photo, its like on the painting), ...] for each painting], notes); no regions where all is one."""
    if options.labels is not None or options.style_labels is not None:
        theirs = options.style_labels or []
        if options.labels is None or len(theirs) != len(paintings):
            raise SettingError(f"give labels of the photo and of all {len(paintings)} styles, or none: regions are found then")
        ours = load_labels(options.labels, tuple(photo.shape[-2:]))
        others = [load_labels(each, tuple(painting.shape[-2:])) for each, painting in zip(theirs, paintings, strict=True)]
        matches = [match_numbers(ours, other) for other in others]
    else:
        if options.regions == "none":
            return [], []
        ours, *others = (segments(picture, method=options.regions, seed=options.seed) for picture in (photo, *paintings))
        matches = [match_looks(photo, ours, picture, other) for picture, other in zip(paintings, others, strict=True)]
    if sum(area > 0 for area in ours.areas()) < 2:
        return [], ["regions: the photo is one, so the whole style is taken"]
    found = [
        [(ours.mask(label), _place(other, like)) for label, like in match.pairs.items()]
        for other, match in zip(others, matches, strict=True)
    ]
    return found, [f"regions: {_names(ours)}; {match.method}" + f"; {match.note}" * bool(match.note) for match in matches]


def _place(style: Segments, label: int | None) -> torch.Tensor | None:
    return None if label is None else style.mask(label)


def _names(found: Segments) -> str:
    return ", ".join(found.names) or f"{found.count} by {found.method}"


def smooth(image: torch.Tensor, photo: torch.Tensor, radius: int) -> torch.Tensor:
    """The image (1, 3, H, W) with its colours, in windows of that radius, as affine functions of the photo's of that size."""
    if radius == 0 or min(image.shape[-2:]) < 3:
        return image
    return guided_filter(image.double(), images.resize(photo, tuple(image.shape[-2:])).double(), radius, FLAT).float()


SYSTEM = System(
    name="luan",
    paper="Luan, Paris, Shechtman & Bala 2017, Deep Photo Style Transfer",
    idea="each region takes the style of its like, and in every small window colours stay an affine function of the photo's",
    cost="that of gatys, and two looks for regions",
    label="a photo that stays a photo, in another light",
    options=LuanOptions,
    plan=plan,
)
