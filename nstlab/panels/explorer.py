"""The feature explorer: one channel of the encoder on a photo, and the sample patches that excite it most."""

import html
import threading

import ipywidgets as widgets
import matplotlib
import torch
from torch.nn.functional import interpolate

from nstlab import images, plots, samples
from nstlab.encoders import Encoder, load_encoder
from nstlab.encoders.probing import Survey, receptive_field, strongest_channels, survey
from nstlab.errors import NstlabError, SettingError, check_count, choose
from nstlab.panels import parts
from nstlab.panels.chooser import PictureChooser
from nstlab.panels.kit import ChoiceSlider, Slider

VIEW = (380, 258)  # the most that a picture takes on the screen, width and height in pixels
VIEWS = {
    "photo": "The photo, with a frame around what the strongest unit sees",
    "map": "The map of the channel, bright where it fires",
    "patches": "The nine patches of the samples that excite the channel most",
}
PATCH, GAP = 82, 6  # pixels of one patch on the screen, and between two


class FeatureExplorer(parts.Panel):
    """Pick a photo, a layer and a channel; see its map beside the photo, and the nine patches that excite it most.

    `photo` is whatever `images.load` takes: a sample's name, a path, a tensor; more can be typed or uploaded. Without a
    `channel` it shows the strongest one. The patches come from `surveyed`, by default a survey of all samples, made once.
    Every layer's features of the photo at hand are kept, so moving a control computes nothing but a picture.
    """

    def __init__(
        self,
        photo="cat",
        layer: str = "relu4_1",
        channel: int | None = None,
        *,
        encoder: Encoder | None = None,
        size: int = 256,
        surveyed: Survey | None = None,
    ):
        self.encoder = encoder or load_encoder()
        self.size = check_count("size", size)
        self.surveyed = surveyed
        self._lock = threading.RLock()
        self._quiet = False  # set while the panel itself moves its controls

        self.chooser = PictureChooser("nst-explorer", lambda photo: self._try(photo=photo))
        self.pick, self.path = self.chooser.pick, self.chooser.path
        self.layer = ChoiceSlider(self.encoder.layers, "layer", label_width=70, continuous=False)
        self.channel = Slider(0, 0, 63, 1, "channel", label_width=70, continuous=False)
        self.next_button = parts.button("Next strongest", "step-forward", "nst-explorer-next", self.next_strongest)
        self.next_button.tooltip = "The channel of this layer that fires most on this photo after the one shown"
        for name, slider in (("layer", self.layer), ("channel", self.channel)):
            slider.add_class(f"nst-explorer-{name}")
            slider.layout = widgets.Layout(width="330px", max_width="98%")
        self.label = parts.label("nst-explorer-label")
        self.photo, self.map, self.patches = (parts.view(f"nst-explorer-{name}", alt=alt) for name, alt in VIEWS.items())

        wrap = parts.wrapping()
        knobs = widgets.Box([self.layer, self.channel, self.next_button], layout=wrap)
        views = widgets.Box([self.photo, self.map, self.patches], layout=wrap)
        super().__init__([self.chooser, knobs, self.label, views])

        self.look(photo, layer, channel)
        self.layer.observe(lambda change: self._try(layer=change.new), names="value")
        self.channel.observe(lambda change: self._try(channel=int(change.new)), names="value")

    def look(self, photo=None, layer: str | None = None, channel: int | None = None) -> "FeatureExplorer":
        """Show another photo, layer or channel; what is not named stays, but a new layer begins at its strongest channel.

        Raises NstlabError for what cannot be shown, and then nothing has changed.
        """
        with self._lock, torch.no_grad():
            image, features = self._image_and_features(photo)
            name = choose("layer", layer or self.layer.value, self.encoder.layers)
            order = strongest_channels(features[name], features[name].shape[1])
            if channel is None:
                channel = self.channel.value if layer is None else order[0]
            channel = int(channel)
            if channel not in order:
                raise SettingError(f"channel {channel}: {name} has the channels 0 to {len(order) - 1}")
            self._image, self._features, self._order = image, features, order
            self._move_controls(photo, name, channel, len(order))
            self._draw(name, channel)
        return self

    def next_strongest(self) -> None:
        """Go to the channel that comes after this one in strength on this photo; after the last, to the first."""
        at = self._order.index(int(self.channel.value))
        self._try(channel=self._order[(at + 1) % len(self._order)])

    def _image_and_features(self, photo):
        if photo is None:
            return self._image, self._features
        image = images.load(photo, self.size)
        return image, self.encoder(image, self.encoder.layers)

    def _try(self, **wanted) -> None:
        """Look, on behalf of a control: what is wrong is said on the panel, as no cell is there to show it."""
        if self._quiet:
            return
        try:
            self.look(**wanted)
        except NstlabError as error:
            self.label.value = parts.red(error)

    def _move_controls(self, photo, layer: str, channel: int, channels: int) -> None:
        """Let every control stand for what is shown."""
        self._quiet = True
        try:
            if photo is not None:
                self.chooser.show(photo)
            self.layer.value = layer
            self.channel.max = channels - 1
            self.channel.value = channel
        finally:
            self._quiet = False

    def _draw(self, layer: str, channel: int) -> None:
        features = self._features[layer][0, channel].float().cpu()
        field = receptive_field(layer, self.encoder.layers)
        box = field.box(*divmod(features.argmax().item(), features.shape[1]))
        silent = features.max() <= 0
        parts.put(self.photo, _small(_fitted(self._image if silent else framed(self._image, box))))
        size = tuple(_fitted(self._image).shape[-2:])
        parts.put(self.map, _small(interpolate(glowing(features), size)))
        if self.surveyed is None:
            self.label.value = "looking at all sample pictures once, a few seconds ..."
            self.surveyed = survey(self.encoder, samples.names(), size=self.size)
        found = self.surveyed.patches(layer, channel)
        parts.put(self.patches, _small(mosaic([patch for patch, _, _ in found])))
        rank = "it is silent on this photo" if silent else f"number {self._order.index(channel) + 1} in strength on this photo"
        frame = "" if silent else ", like the frame around the strongest place"
        names = ", ".join(html.escape(str(source)) for _, source, _ in found if isinstance(source, str))
        self.label.value = (
            f"<b>{layer}, channel {channel}</b> of {len(self._order)}: {rank}. A unit sees {field.size} x {field.size} pixels"
            f"{frame}. Patches, strongest first: {names}."
        )


def framed(image: torch.Tensor, box: tuple[int, int, int, int]) -> torch.Tensor:
    """The image with a frame around (top, left, bottom, right), or around what of it lies within the image."""
    height, width = image.shape[-2:]
    top, left = max(box[0], 0), max(box[1], 0)
    bottom, right = min(box[2], height), min(box[3], width)
    rgb = [int(plots.COLORS[1][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    result = image.clone()
    for rows, columns in (
        (slice(top, top + 2), slice(left, right)),
        (slice(max(bottom - 2, 0), bottom), slice(left, right)),
        (slice(top, bottom), slice(left, left + 2)),
        (slice(top, bottom), slice(max(right - 2, 0), right)),
    ):
        result[0, :, rows, columns] = torch.tensor(rgb).view(3, 1, 1)
    return result


def glowing(features: torch.Tensor) -> torch.Tensor:
    """One channel's map (H, W) as an image from black (0) to bright (its largest value)."""
    share = features / features.max().clamp_min(1e-12)
    colors = matplotlib.colormaps["magma"](share.clamp(0, 1).numpy())[..., :3]
    return torch.from_numpy(colors).float().permute(2, 0, 1)[None]


def mosaic(patches: list[torch.Tensor]) -> torch.Tensor:
    """Patches (1, 3, H, W) in rows of three, each blown up to the same square."""
    step = PATCH + GAP
    canvas = torch.ones(1, 3, step * -(-len(patches) // 3) - GAP, 3 * step - GAP)
    for number, patch in enumerate(patches):
        top, left = number // 3 * step, number % 3 * step
        mode = "nearest" if patch.shape[-1] < PATCH // 2 else "bilinear"
        canvas[..., top : top + PATCH, left : left + PATCH] = interpolate(patch, (PATCH, PATCH), mode=mode)
    return canvas


def _fitted(image: torch.Tensor) -> torch.Tensor:
    """The image as large as the view allows, at its own proportions."""
    height, width = image.shape[-2:]
    scale = min(VIEW[0] / width, VIEW[1] / height)
    return images.resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))


def _small(image: torch.Tensor) -> plots.Picture:
    """The image as JPEG: a panel's pictures are kept in the notebook that shows it."""
    return plots.Picture(parts.jpeg(image))
