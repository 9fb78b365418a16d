"""Pictures and curves for notebooks. Every figure is small, at real proportions, and closes behind itself."""

import io
import textwrap

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image

from nstlab import images

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # told apart by colour-blind eyes
DPI = 90


class Picture:
    """PNG or JPEG bytes that Jupyter shows; what every function here returns."""

    def __init__(self, data: bytes, caption: str = ""):
        self.data, self.caption = data, caption

    def _repr_mimebundle_(self, include=None, exclude=None):
        kind = "image/png" if self.data[:4] == b"\x89PNG" else "image/jpeg"
        return {kind: self.data, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<{self.caption or 'picture'}>"


def show(pictures, titles=None, *, height: float = 2.6, columns: int | None = None, cmap="gray", caption="") -> Picture:
    """Images (1, 3, H, W) and maps (1, 1, H, W) or (H, W) side by side, all at the same height (in inches).

    `columns` breaks them into rows. Maps are drawn in `cmap` from 0 to 1 if they lie there, else from their own least to
    most. A `caption` says what to look at.
    """
    pictures = [pictures] if isinstance(pictures, torch.Tensor) else list(pictures)
    titles = [titles] if isinstance(titles, str) else list(titles or [""] * len(pictures))
    columns = columns or len(pictures)
    rows = [range(i, min(i + columns, len(pictures))) for i in range(0, len(pictures), columns)]
    arrays = [_array(picture) for picture in pictures]
    ratios = [a.shape[1] / a.shape[0] for a in arrays]
    title_height = 0.3 if any(titles) else 0.03
    width = max(sum(ratios[i] * height + 0.08 for i in row) for row in rows)
    lines = textwrap.wrap(caption, max(20, int(width * 14)))
    note = 0.08 + 0.17 * len(lines) if lines else 0.0
    total = len(rows) * (height + title_height) + note
    fig = new_figure(width, total)
    for r, row in enumerate(rows):
        left = (width - sum(ratios[i] * height + 0.08 for i in row)) / 2
        for i in row:
            bottom = total - (r + 1) * (height + title_height)
            ax = fig.add_axes((left / width, bottom / total, ratios[i] * height / width, height / total))
            left += ratios[i] * height + 0.08
            limits = {"vmin": 0, "vmax": 1} if arrays[i].min() >= 0 and arrays[i].max() <= 1 else {}
            ax.imshow(arrays[i], cmap=cmap, interpolation="lanczos" if max(arrays[i].shape[:2]) > 64 else "nearest", **limits)
            ax.set_title(titles[i], fontsize=9, pad=3)
            ax.set_axis_off()
    if caption:
        fig.text(0.5, 0.02 / total, "\n".join(lines), ha="center", va="bottom", fontsize=9, style="italic")
    return render(fig, caption=f"{len(pictures)} pictures: " + ", ".join(t for t in titles if t) if any(titles) else "picture")


def _array(picture) -> np.ndarray:
    if isinstance(picture, torch.Tensor) and picture.ndim == 4 and picture.shape[1] == 3:
        return np.asarray(images.to_pil(picture))
    array = picture.detach().float().cpu().numpy() if isinstance(picture, torch.Tensor) else np.asarray(picture)
    return array.squeeze() if array.ndim > 3 or (array.ndim == 3 and array.shape[-1] != 3) else array


def curves(
    series: dict, *, x=None, ticks=None, xlabel="step", ylabel="", log=True, marker="", ylim=None, band=(), beside=False,
    size=(4.2, 2.6), title="",
) -> Picture:  # fmt: skip
    """Named lines in one plot. A value of `series` is a list of y, or a pair (list of x, list of y).

    `log` True makes the y axis logarithmic, "both" the x axis too. `ticks` names the points, which then lie at equal
    distances; `marker` "o" draws them. `band` (low, high, name) is a grey strip across. The legend stands `beside` the plot
    where it would hide a line.
    """
    fig = new_figure(*size)
    ax = fig.subplots()
    if band:
        ax.axhspan(*band[:2], color="0.9", label=band[2])
    for number, (name, values) in enumerate(series.items()):
        across, up = values if isinstance(values, tuple) else (x or range(len(values)), values)
        color, dashes = COLORS[number % len(COLORS)], ("-", "--")[number // len(COLORS) % 2]
        ax.plot(across, up, label=name, color=color, lw=1.6, ls=dashes, marker=marker, ms=4)
    if log:
        ax.set_yscale("log")
    if log == "both":
        ax.set_xscale("log")
        for axis in (ax.xaxis, ax.yaxis):  # a range of less than a factor of ten has marks too
            axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
    if ticks:
        ax.set_xticks(range(len(ticks)), ticks)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **({"ylim": ylim} if ylim else {}))
    if len(series) > 1 or band:
        ax.legend(fontsize=8, frameon=False, **({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if beside else {}))
    tidy(ax)
    return render(fig, caption="curves of " + ", ".join(series))


def bars(panels: dict, *, ylabel="", line=None, size=(7.2, 3.0)) -> Picture:
    """Bars side by side: {title of a panel: {name: (height, number of its colour)}}, with a dotted line at `line`."""
    fig = new_figure(*size)
    widths = [len(rows) for rows in panels.values()]
    for number, (ax, (title, rows)) in enumerate(
        zip(fig.subplots(1, len(panels), sharey=True, width_ratios=widths, squeeze=False)[0], panels.items())
    ):
        ax.bar(range(len(rows)), [height for height, _ in rows.values()], color=[COLORS[color] for _, color in rows.values()])
        if line is not None:
            ax.axhline(line, color="0.4", lw=0.8, ls=":")
        ax.set_xticks(range(len(rows)), list(rows), rotation=60, ha="right")
        ax.set(title=title, ylabel="" if number else ylabel)
        tidy(ax)
        ax.tick_params(axis="x", labelsize=7)
    fig.tight_layout()
    return render(fig, "bars of " + ", ".join(panels))


def history_curves(history: list[dict], names=None, **options) -> Picture:
    """The loss curves of a run's history, one a term, over its steps."""
    names = names or [key for key in history[0] if key not in ("index", "scale")]
    steps = [row["index"] for row in history]
    return curves({name: (steps, [max(row[name], 1e-9) for row in history]) for name in names}, **options)


def heatmap(matrix, labels, *, size=(4.6, 4.2), title="", cmap="viridis_r", numbers=False) -> Picture:
    """A square table of numbers as colours, with the same labels along both sides."""
    matrix = np.asarray(matrix, dtype=float)
    fig = new_figure(*size)
    ax = fig.subplots()
    drawn = ax.imshow(matrix, cmap=cmap)
    ax.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=7)
    ax.set_yticks(range(len(labels)), labels, fontsize=7)
    ax.set_title(title, fontsize=9)
    if numbers:
        for (row, column), value in np.ndenumerate(matrix):
            ax.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=6, color="white")
    fig.colorbar(drawn, ax=ax, shrink=0.8)
    return render(fig, caption="table of " + (title or ", ".join(labels)))


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches that belongs to no global state, so it may be drawn in a thread."""
    fig = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(fig)
    return fig


def tidy(ax) -> None:
    """Small type, no box: the look of every plot here."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_size(9)
    ax.yaxis.label.set_size(9)
    ax.title.set_size(9)


def render(fig: Figure, caption: str = "") -> Picture:
    """The figure as a Picture: tight, as JPEG where it is mostly photographs, else as PNG with 256 colours."""
    buffer = io.BytesIO()
    photographic = any(ax.images and ax.images[0].get_array().ndim == 3 for ax in fig.axes)
    with matplotlib.rc_context({"savefig.bbox": "tight", "savefig.pad_inches": 0.04}):
        fig.savefig(buffer, format="png", facecolor="white")
    picture = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    out = io.BytesIO()
    if photographic:
        picture.save(out, "JPEG", quality=88)
    else:
        picture.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return Picture(out.getvalue(), caption)
