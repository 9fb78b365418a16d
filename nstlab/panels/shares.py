"""A slider for each style that a network has learned: the picture follows at once."""

import ipywidgets as widgets

from nstlab import images
from nstlab.panels import parts

WIDTH = 340  # of the picture on the screen


class StyleShares(parts.Panel):
    """A photo painted by a trained `generator` (systems.trained.Generator) in a blend of all its styles, one slider for each.

    `styles` are those that have a share at first, all the same; none: the first one. `blend` are the shares (styles,) and
    `picture` the image (1, 3, H, W) for them. With all sliders at 0 the last picture stays. Raises NstlabError.
    """

    def __init__(self, generator, photo, styles=()):
        self._generator, self._photo = generator, parts.single(photo, images.load, "the photo")
        shown = [generator.style(style) for style in styles] or generator.styles[:1]
        self.view = parts.view("nst-blend-picture", WIDTH)
        self.sliders = {name: self._slider(name, name in shown) for name in generator.styles}
        self._paint()
        row = widgets.Box([widgets.VBox([*self.sliders.values()]), self.view], layout=parts.wrapping())
        super().__init__([row])

    def _slider(self, name: str, share: float) -> widgets.FloatSlider:
        slider = widgets.FloatSlider(float(share), min=0, max=1, step=0.05, description=name)
        slider.style.description_width = "150px"
        slider.observe(lambda _: self._paint(), names="value")
        return slider.add_class(f"nst-blend-{name}")

    def _paint(self) -> None:
        shares = [slider.value for slider in self.sliders.values()]
        if any(shares):
            self.blend = self._generator.blend(self._generator.styles, shares)
            self.picture = self._generator(self._photo, self.blend)
            self.view.value = parts.jpeg(self.picture, quality=80)
