"""Before and after in one place: two images of a run with a line between them."""

import torch

from nstlab.filters import shrink
from nstlab.panels import kit, parts


class Swipe(kit.Swipe):
    """Two images (1, 3, H, W) of one size: `before` at the left of a line that is dragged across them, `after` at its right.

    They are shown with at most `width` pixels on their long side. `css` begins the name of the CSS class (-swipe). `alt` are
    the words that describe the two.
    """

    def __init__(self, css: str, width: int = 640, alt=("the photo", "the picture as painted so far")):
        super().__init__(position=0.0, alt=alt, long_side=width)
        self.add_class(f"{css}-swipe")

    def show(self, before: torch.Tensor, after: torch.Tensor | None = None) -> None:
        """Show a pair, or one image only: then there is nothing to swipe. The line begins at the left."""
        with self.hold_sync():
            self.before = self._small(before)
            self.after = b"" if after is None else self._small(after)
            self.position = 0.0

    def update(self, after: torch.Tensor) -> None:
        """Another image at the right."""
        self.after = self._small(after)

    def _small(self, image: torch.Tensor) -> bytes:
        return parts.jpeg(shrink(image, self.long_side))
