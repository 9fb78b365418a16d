"""What a training shows of itself: the pictures of its last step, and some photos as the averaged network paints them."""

import ipywidgets as widgets
import torch
from matplotlib.colors import LinearSegmentedColormap

from nstlab import images, plots, samples
from nstlab.panels import parts
from nstlab.systems.trained import Generator

SIDE = 180  # pixels on the screen
SMALL = 128  # long side in pixels of what the gallery paints
COUNT = 3  # photos in the gallery
FAVOURITES = ("astronaut", "cat", "bridge-at-cincinnati", "two-dogs", "coffee")
VERDICT = LinearSegmentedColormap.from_list("verdict", (plots.COLORS[0], "white", plots.COLORS[1]))
SURE = (0.27, 0.73)
WORDS = {"photo": "the photo", "picture": "the picture", "judgement": "what the critic takes for painted"}


class LiveViews(widgets.Box):
    """The images and maps of a step side by side: the photo, coarse to fine what was painted, then maps of critics.

    Each has the CSS class `css`-NAME. A view that a step does not have is hidden until it is there again.
    """

    def __init__(self, css: str):
        self._css, self._views = css, {}
        super().__init__(layout=widgets.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="4px 12px"))

    def put(self, views: dict[str, torch.Tensor]) -> None:
        """Show images (1, 3, H, W) and maps (1, 1, h, w) by name; "photo", "draft", "picture" and "judgement" are known."""
        before = list(self._views)
        for name in sorted(views, key=lambda name: _place(name, views[name])):
            if name not in self._views:
                width = SIDE if views[name].shape[1] == 3 else 0
                view = parts.view(f"{self._css}-{name}", width, _words(name))
                self._views[name] = parts.label(f"{self._css}-{name}-caption"), view
            caption, image = self._views[name]
            caption.value = _caption(name, views[name])
            parts.put(image, views[name] if views[name].shape[1] == 3 else verdict(views[name]))
        for name, (caption, image) in self._views.items():
            caption.layout.display = image.layout.display = "" if name in views else "none"
        if before != list(self._views):
            columns = sorted(self._views, key=lambda name: _place(name, views.get(name)))
            self.children = [widgets.VBox(self._views[name], layout=widgets.Layout(max_width="100%")) for name in columns]


class Gallery:
    """A few photos, as a network in training paints them.

    `photos` are whatever `images.load` takes, best such as it is not trained on; None takes samples, of which those in
    `learnt` come last. Raises NstlabError.
    """

    def __init__(self, photos=None, learnt: str = ""):
        self.words = "photos"
        if photos is None:
            known = [name for name in FAVOURITES if learnt == "samples" or name in learnt]
            photos = sorted((name for name in FAVOURITES if name in samples.names("photo")), key=known.__contains__)[:COUNT]
            self.words = "photos it learns from" if set(photos) & set(known) else "photos it does not learn from"
        self._photos = [parts.single(photo, lambda source: images.load(source, SMALL), "a photo") for photo in photos]

    def paint(self, network, styles: list[str], step: int) -> plots.Picture:
        """The photos, and below them painted: in each of the styles in turn, and so as many rows as it takes for all."""
        painter, count = Generator(network, styles, "", ""), len(self._photos)
        rows = -(-len(styles) // count)
        shown, titles = list(self._photos), [""] * count
        for number in range(rows * count):
            style = number % len(styles)
            shown.append(painter(self._photos[number % count], torch.eye(len(styles))[style]))
            titles.append(styles[style].rsplit("_", 1)[-1][:24] if len(styles) > 1 else "")
        caption = f"above: {self.words}; below: the averaged network, step {step}"
        return plots.show(shown, titles, height=1.2, columns=count, caption=caption)


def verdict(judgement: torch.Tensor) -> plots.Picture:
    """A critic's map (1, 1, h, w) in [0, 1], patch by patch: made, unsure at 0.5, or painted.

    The colours end at SURE: at the logits of -1 and 1 where a critic has nothing more to gain.
    """
    fig = plots.new_figure(1.35 * SIDE / plots.DPI, SIDE / plots.DPI)
    side = SIDE / plots.DPI / fig.get_figwidth()
    ax, bar = fig.add_axes((0, 0, side, 1)), fig.add_axes((side + 0.02, 0.02, 0.03, 0.96))
    drawn = ax.imshow(judgement[0, 0].float().cpu().numpy(), cmap=VERDICT, vmin=SURE[0], vmax=SURE[1], interpolation="nearest")
    ax.set_axis_off()
    scale = fig.colorbar(drawn, cax=bar, ticks=[SURE[0], 0.5, SURE[1]])
    scale.ax.set_yticklabels(["no", "unsure", "yes"], fontsize=8)
    return plots.render(fig, "map of a critic")


def _place(name: str, view) -> tuple:
    """Where a view stands in the row."""
    if (view is not None and view.shape[1] == 1) or name.startswith("judgement"):
        return 3, 0, name
    return {"photo": 0, "picture": 2}.get(name, 1), 0 if view is None else view.shape[-1], name


def _caption(name: str, view: torch.Tensor) -> str:
    return _words(name) if name == "photo" or view.shape[1] == 1 else f"{_words(name)}, {view.shape[-1]} px"


def _words(name: str) -> str:
    return WORDS.get(name, f"the {name.replace('_', ' ')}")
