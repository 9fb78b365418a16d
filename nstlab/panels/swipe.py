"""Before and after in one place: a slider says how much of each is seen."""

import itertools

import ipywidgets as widgets
import torch

from nstlab.filters import shrink
from nstlab.panels import parts

_NUMBERS = itertools.count(1)


class Swipe(widgets.VBox):
    """Two images (1, 3, H, W) of one size, one upon the other: `before` at the left of a line, `after` at its right.

    They are shown with at most `width` pixels on their long side. `css` begins the names of the CSS classes (-before, -after,
    -swipe). Nothing is computed when the line moves.
    """

    def __init__(self, css: str, width: int = 640):
        self._width, self._name = width, f"nst-swipe-{next(_NUMBERS)}"
        self.before, self.after = parts.view(f"{css}-before"), parts.view(f"{css}-after")
        self.before.layout = self.after.layout = widgets.Layout(grid_area="1 / 1", width="100%", margin="0")
        for view in (self.before, self.after):
            view.format = "jpeg"
        self._stack = widgets.GridBox([self.before, self.after]).add_class(self._name)
        self.slider = widgets.FloatSlider(0, min=0, max=100, step=1, description="before", readout=False)
        self.slider.layout, self.slider.style.description_width = widgets.Layout(width="auto", flex="1 1 100px"), "50px"
        self.slider.add_class(f"{css}-swipe")
        self._css = widgets.HTML(layout=widgets.Layout(display="none"))
        self._row = widgets.HBox([self.slider, widgets.Label("after")])
        super().__init__([self._stack, self._row, self._css], layout=widgets.Layout(max_width="100%"))
        self.slider.observe(lambda _: self._cut(), names="value")
        self.show(torch.ones(1, 3, 3, 4))

    def show(self, before: torch.Tensor, after: torch.Tensor | None = None) -> None:
        """Show a pair, or one image only: then there is nothing to swipe."""
        height, width = before.shape[-2:]
        size = self._width if width >= height else round(self._width * width / height)
        self._stack.layout = self._row.layout = widgets.Layout(width=f"{size}px", max_width="100%", overflow="hidden")
        self.before.value = self._small(before)
        self.update(before if after is None else after)
        self.slider.value = 0
        self._row.layout.display = "none" if after is None else ""

    def update(self, after: torch.Tensor) -> None:
        """Another image at the right."""
        self.after.value = self._small(after)
        self._row.layout.display = ""

    def _small(self, image: torch.Tensor) -> bytes:
        return parts.jpeg(shrink(image, self._width))

    def _cut(self) -> None:
        at = self.slider.value
        line = f"content: ''; position: absolute; left: {at}%; top: 0; bottom: 0; width: 2px; background: white;"
        self._css.value = (
            f"<style>.{self._name} {{ position: relative }} .{self._name} > :nth-child(2) {{ clip-path: inset(0 0 0 {at}%) }}"
            + (f" .{self._name}::after {{ {line} box-shadow: 0 0 3px black }}" if at else "")
            + "</style>"
        )
