"""Loss curves of a run that is under way: each loss in the colour of its slider, and a grey line where a weight changed."""

import numpy as np

from nstlab import plots

HEIGHT = 2.45  # of the losses, in inches
GAME = ("adversarial", "critic")  # losses of a game between two networks: they may be negative, and falling is not winning
GOOD = (0.55, 0.95)  # where the accuracy of a critic should lie: above, it is too strong to learn from; below, it guesses
MOST = 400  # points of a curve


def loss_curves(history: list[dict], names, changes=(), *, smooth: int = 1, width: float = 3.6) -> plots.Picture:
    """The losses without their weights, over the steps in the rows of `history`; `changes` are steps where a weight changed.

    `names` gives them their order and so their colours. Each value is the mean of up to `smooth` steps. Where the rows hold
    the "accuracy" of a critic it has axes of its own beneath, with the band shaded where it should lie, and the losses of
    that game beside it.
    """
    game = any("accuracy" in row for row in history)
    fig = plots.new_figure(width, HEIGHT * (1.75 if game else 1))
    axes = fig.subplots(1 + game, 1, sharex=True, squeeze=False, height_ratios=[1.5, 1][: 1 + game])[:, 0]
    fig.subplots_adjust(hspace=0.14)
    for number, name in enumerate(names):
        if not (game and name in GAME) and (not history or any(name in row for row in history)):
            axes[0].plot(*_points(history, name, smooth, positive=True), **_look(number, name))
    axes[0].set_yscale("log")
    axes[0].set(ylabel="loss before its weight")
    if game:
        _draw_game(axes[1], history, list(names), smooth)
    for ax in axes:
        for step in changes:
            ax.axvline(step, color="0.7", lw=0.8, zorder=0)
        plots.tidy(ax)
    axes[0].legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, columnspacing=1)
    axes[-1].set_xlim(0, max(10, history[-1]["index"] if history else 0))
    axes[-1].set_xlabel(f"step (means of {smooth})" if smooth > 1 else "step", fontsize=9)
    return plots.render(fig, "loss curves")


def _draw_game(ax, history: list[dict], names: list, smooth: int) -> None:
    """How often the critic is right, from 0 to 1; on the right the losses of both sides, which are no share of anything."""
    ax.axhspan(*GOOD, color=plots.COLORS[2], alpha=0.18, lw=0, label=f"good: {GOOD[0]} to {GOOD[1]}")
    ax.plot(*_points(history, "accuracy", smooth), color="black", lw=2, label="critic is right")
    ax.set(ylim=(0, 1), ylabel="share of patches")
    beside = ax.twinx()
    for name in GAME:
        number = names.index(name) if name in names else 1
        if any(name in row for row in history):
            beside.plot(*_points(history, name, smooth), **{**_look(number, f"{name} loss (right)"), "lw": 1, "ls": ":"})
    plots.tidy(beside)
    beside.spines["right"].set_visible(True)
    (shares, said), (losses, called) = ax.get_legend_handles_labels(), beside.get_legend_handles_labels()
    ax.legend(shares + losses, said + called, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.32), ncols=2)


def _look(number: int, name: str) -> dict:
    color, dash = plots.COLORS[number % len(plots.COLORS)], ("-", "--")[number // len(plots.COLORS) % 2]
    return {"label": name, "color": color, "ls": dash, "lw": 1.6}


def _points(history: list[dict], name: str, smooth: int, positive: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a loss, thinned to MOST; there is a gap where it was not computed, or has no logarithm."""
    values = np.array([row.get(name, np.nan) for row in history], dtype=float)
    there = np.isfinite(values) & ((values > 0) | (not positive))
    sums, counts = (np.cumsum(np.r_[np.zeros(smooth), part]) for part in (np.where(there, values, 0), there))
    counts = counts[smooth:] - counts[:-smooth]
    means = np.where(there, (sums[smooth:] - sums[:-smooth]) / np.maximum(counts, 1), np.nan)
    every = slice(None, None, -max(1, len(history) // MOST))
    return np.array([row["index"] for row in history])[every], means[every]
