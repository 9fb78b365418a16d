"""What the photorealistic systems share: regions that two photos have in common, and options for them."""

from dataclasses import dataclass

import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.filters import shrink
from nstlab.guidance import Segments, load_labels, match_names, match_numbers, segments
from nstlab.options import option
from nstlab.systems.pixel import Scene
from nstlab.systems.transfer import Regions, Transfer, TransferOptions

SEEN = 512  # long side in pixels at which regions are found


@dataclass(frozen=True)
class PhotoOptions(TransferOptions):
    """TransferOptions, and which regions of the content go with which of the styles.

    `segments` "things" finds regions with names (sky, water, person ...) and matches those that both have; a picture of labels
    in flat colours, with one for each style in `style_segments`, matches by the colours' order from dark to bright. A
    region that a style lacks uses the whole style.
    """

    alpha: float = option(1.0, "How much of the style: 0 is the photo, 1 is all.")
    segments: object = option("none", "Regions that go together: none, things, or a picture of labels in flat colours.")
    style_segments: object = option(None, "A style's picture of labels. Repeatable, in order.", kind="texts")


def find_regions(made: Transfer | Scene, content, styles, options) -> None:
    """Give a Transfer or a Scene its regions, and a note about them. Raises NstlabError."""
    labels = list(options.style_segments or ())
    if options.segments is None or (isinstance(options.segments, str) and options.segments == "none"):
        if labels:
            raise SettingError("style_segments without segments: give the photo's labels too")
        return
    if isinstance(options.segments, str) and options.segments == "things":
        if labels:
            raise SettingError("style_segments go with labels of your own: name those of the photo in segments")
        ours = segments(shrink(images.load(content), SEEN))
        found = [segments(shrink(images.load(style), SEEN)) for style in styles]
        pairs = [match_names(ours, theirs) for theirs in found]
        common = [sorted(ours.names[label] for label in each) for each in pairs]
        made.notes += [f"regions in common: {', '.join(names) or 'none'}" for names in common]
    else:
        if len(labels) != len(made.mix.paintings):
            raise SettingError(f"{len(labels)} pictures of labels for {len(made.mix.paintings)} styles: give one each")
        ours = load_labels(options.segments, tuple(made.content.shape[-2:]))
        sizes = [tuple(each.shape[-2:]) for each in made.mix.paintings]
        found = [load_labels(source, size) for source, size in zip(labels, sizes, strict=True)]
        matches = [match_numbers(ours, theirs) for theirs in found]
        pairs = [{label: other for label, other in match.pairs.items() if other is not None} for match in matches]
        made.notes += [match.note for match in matches if match.note]
    made.regions = [_masks(ours, theirs, each) for theirs, each in zip(found, pairs, strict=True)]


def _masks(ours: Segments, theirs: Segments, pairs: dict[int, int]) -> Regions:
    return [(ours.mask(label), theirs.mask(other)) for label, other in pairs.items()]


def within(values: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """The values clipped to the range of other values."""
    return values.clamp(limits.min(), limits.max())
