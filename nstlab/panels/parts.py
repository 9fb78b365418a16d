"""Pieces that all panels share: one look, one vocabulary."""

import html
import io
from dataclasses import replace

import ipywidgets as widgets

from nstlab import images
from nstlab.errors import NstlabError, SettingError
from nstlab.guidance.guide import Guide
from nstlab.panels.kit import Picture
from nstlab.plots import COLORS
from nstlab.plots import Picture as Plot


def png(image) -> bytes:
    """PNG bytes of an image or map tensor, for the value of an Image widget."""
    buffer = io.BytesIO()
    images.to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(image, quality: int = 90) -> bytes:
    """JPEG bytes of an image tensor: what is kept in the notebook, or sent again and again, should be small."""
    buffer = io.BytesIO()
    images.to_pil(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def view(css: str, width: int = 0, alt: str = "") -> Picture:
    """An empty picture on the panel, `width` pixels wide or as it comes; `alt` describes it.

    Its CSS class names it for browser tests. Set its `value` with `put`.
    """
    return Picture(alt=alt, width=width).add_class(css)


def put(widget: Picture, picture) -> None:
    """Show a tensor or a plot in a view."""
    widget.value = picture.data if isinstance(picture, Plot) else png(picture)


def button(text: str, icon: str, css: str, action) -> widgets.Button:
    made = widgets.Button(description=text, icon=icon, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: action())
    return made.add_class(css)


def label(css: str, text: str = "") -> widgets.HTML:
    return widgets.HTML(text).add_class(css)


def wrapping(**more) -> widgets.Layout:
    """The layout of a row whose parts go below one another where the window is narrow."""
    return widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 12px", **more)


def red(error: Exception | str) -> str:
    """An error, or its message, for a label, marked in red; with its kind where the message was not written for people."""
    kind = "" if isinstance(error, NstlabError | str) else f"{type(error).__name__}: "
    mark = f"border-left:4px solid {COLORS[1]};padding-left:6px"  # as text, that red is too pale on white
    return f'<span style="{mark}">{html.escape(f"{kind}{error}")}</span>'


def left(seconds: float) -> str:
    """How long that is, in the words of somebody who waits."""
    for unit, size, enough in (("hour", 3600, 5400), ("minute", 60, 90)):
        if seconds >= enough:
            return f"about {round(seconds / size)} {unit}s left"
    return f"about {max(5, 5 * round(seconds / 5))} seconds left"


def single(source, load, name: str):
    """A single photo or guide, on the CPU; raises NstlabError."""
    if source is None or isinstance(source, (bool, int, float)):
        raise SettingError(f"{name} is a file, an array or a tensor, not {type(source).__name__}")
    found = load(source)
    values = (found.map if isinstance(found, Guide) else found).detach().cpu()
    if len(values) != 1:
        raise SettingError(f"{name} holds {len(values)} pictures: one at a time can be painted on")
    return replace(found, map=values) if isinstance(found, Guide) else values


class Panel(widgets.VBox):
    """A column of controls with a short repr that is the same in every run."""

    def __init__(self, children=(), **options):
        super().__init__(children, **options)
        self.add_class("nstlab-panel")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
