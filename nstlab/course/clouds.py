"""Drawings of statistics: histograms that slide over each other, and clouds of points with the ellipse of their covariance."""

import math

import torch
from matplotlib.patches import Ellipse

from nstlab import plots

BINS = 40


def histograms(panels: dict[str, dict[str, torch.Tensor]], *, xlabel="", size=(2.5, 1.9)) -> plots.Picture:
    """Panels side by side, {title: {name: values of any shape}}: how often which value comes, on the same axes everywhere."""
    everything = torch.cat([values.flatten().float() for rows in panels.values() for values in rows.values()])
    low, high = torch.quantile(everything, torch.tensor([0.001, 0.999])).tolist()
    edges = torch.linspace(low, max(high, low + 1e-6), BINS + 1)
    fig = plots.new_figure(size[0] * len(panels), size[1])
    for number, (ax, (title, rows)) in enumerate(
        zip(fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0], panels.items(), strict=True)
    ):
        for color, (name, values) in zip(plots.COLORS, rows.items(), strict=False):
            counts = torch.histogram(values.flatten().float().cpu(), edges).hist / values.numel()
            ax.stairs(counts, edges, color=color, label=name, lw=1.4)
            ax.stairs(counts, edges, color=color, fill=True, alpha=0.15)
        ax.set(title=title, xlabel=xlabel, ylabel="" if number else "share of places")
        plots.tidy(ax)
        if not number:
            ax.legend(fontsize=8, frameon=False)
    fig.tight_layout(pad=0.5)
    return plots.render(fig, "histograms: " + ", ".join(panels))


def clouds(series: dict[str, torch.Tensor], *, size: float = 1.75) -> plots.Picture:
    """Clouds of points (2, n) by name, side by side on the same axes, each with the ellipse two deviations wide.

    In all but the last cloud a point keeps its colour, which says in which direction it lay in the first. The last one, what
    they should become like, is black.
    """
    first = next(iter(series.values()))
    across, up = (first - first.mean(1, keepdim=True)) / first.std(1, keepdim=True)
    hues = torch.atan2(up, across)
    everything = torch.cat(list(series.values()), 1)
    low, high = everything.amin(1), everything.amax(1)
    middle, reach = (low + high) / 2, 0.53 * (high - low).max()
    fig = plots.new_figure(size * len(series), size + 0.25)
    for number, (ax, (name, points)) in enumerate(
        zip(fig.subplots(1, len(series), sharex=True, sharey=True, squeeze=False)[0], series.items(), strict=True)
    ):
        last = number == len(series) - 1
        ax.scatter(*points, s=5, lw=0, **({"color": "black"} if last else {"c": hues, "cmap": "hsv"}))
        ax.add_patch(_ellipse(points))
        ax.axhline(0, color="0.8", lw=0.6, zorder=0)
        ax.axvline(0, color="0.8", lw=0.6, zorder=0)
        ax.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal")
        ax.set_title(name)
        plots.tidy(ax)
    fig.tight_layout(pad=0.4)
    return plots.render(fig, "clouds: " + ", ".join(series))


def _ellipse(points: torch.Tensor) -> Ellipse:
    """The line two standard deviations from the middle of points (2, n)."""
    values, vectors = torch.linalg.eigh(torch.cov(points.double(), correction=0))
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    long, short = 4 * values.clamp_min(0).sqrt().flip(0)
    return Ellipse(points.mean(1).tolist(), float(long), float(short), angle=angle, fill=False, ec=plots.COLORS[1], lw=1.3)
