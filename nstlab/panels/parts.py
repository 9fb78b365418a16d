"""Pieces that all panels share: one look, one vocabulary."""

import io

import ipywidgets as widgets

from nstlab import images
from nstlab.plots import Picture


def png(image) -> bytes:
    """PNG bytes of an image or map tensor, for the value of an Image widget."""
    buffer = io.BytesIO()
    images.to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def view(css: str, width: int | None = None) -> widgets.Image:
    """An empty picture on the panel; its CSS class names it for browser tests. Set its `value` with `put`."""
    layout = widgets.Layout(width=f"{width}px" if width else "auto", max_width="100%", object_fit="contain")
    image = widgets.Image(format="png", layout=layout)
    return image.add_class(css)


def put(widget: widgets.Image, picture) -> None:
    """Show a tensor or a Picture in a view."""
    widget.value = picture.data if isinstance(picture, Picture) else png(picture)


def button(text: str, icon: str, css: str, action) -> widgets.Button:
    made = widgets.Button(description=text, icon=icon, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: action())
    return made.add_class(css)


def label(css: str, text: str = "") -> widgets.HTML:
    return widgets.HTML(text).add_class(css)


class Panel(widgets.VBox):
    """A column of controls with a short repr that is the same in every run."""

    def __init__(self, children=(), **options):
        super().__init__(children, **options)
        self.add_class("nstlab-panel")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
