"""Looking into an encoder: receptive fields, the patches that activate a channel most, and similar pictures."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.base import Encoder
from nstlab.encoders.vgg import BLOCKS, VGG
from nstlab.errors import SettingError, check_seed, choose

VGG19_LAYERS = tuple(f"relu{b}_{i}" for b, count in enumerate(BLOCKS[16], 1) for i in range(1, count + 1))


class Field(NamedTuple):
    """The receptive fields of a layer: `size` pixels wide; unit 0 begins at pixel `start`, the next `stride` further."""

    size: int
    stride: int
    start: int

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the receptive field of one unit; may extend beyond the picture."""
        top, left = self.start + row * self.stride, self.start + column * self.stride
        return top, left, top + self.size, left + self.size


def receptive_field(layer: str, layers=VGG19_LAYERS) -> Field:
    """Receptive field of `layer` in a VGG with these `layers`, for example `encoder.layers`.

    A 3x3 convolution widens it by one unit on each side, a 2x2 pooling by one unit on one side; the width of a unit in pixels
    doubles with each pooling. Raises SettingError for a layer that is not in `layers`.
    """
    choose("layer", layer, layers)
    size, stride, start = 1, 1, 0
    for name in layers[: layers.index(layer) + 1]:
        if name.endswith("_1") and name != "relu1_1":
            size, stride = size + stride, 2 * stride
        size, start = size + 2 * stride, start - stride
    return Field(size, stride, start)


def strongest_channels(features: torch.Tensor, count: int = 4, usual: torch.Tensor | None = None) -> list[int]:
    """The `count` channels of features (1, C, H, W) with the largest mean, strongest first.

    With `usual` (C,), the mean of each channel on other pictures, they are those that exceed it most, typical of this picture.
    """
    mean = features.float().mean((0, 2, 3))
    if usual is not None:
        mean = mean - usual.to(mean)
    return mean.topk(min(count, len(mean))).indices.tolist()


@dataclass
class Survey:
    """Responses of an encoder to pictures: for each layer the mean, the peak and its place, by (picture, channel)."""

    sources: list
    pictures: list[torch.Tensor]
    fields: dict[str, Field]
    means: dict[str, torch.Tensor]
    peaks: dict[str, torch.Tensor]
    places: dict[str, torch.Tensor]  # (picture, channel, 2): row and column of the peak among the layer's units

    def similarity(self, layer: str) -> torch.Tensor:
        """Cosine similarity (P, P) of the pictures' mean features at `layer`, each channel over its mean."""
        means = self.means[layer]
        means = F.normalize(means / means.mean(0).clamp_min(1e-6), dim=1)
        return means @ means.T

    def neighbours(self, layer: str, index: int, count: int = 3) -> list[int]:
        """Indices of the pictures most similar to picture `index` at `layer`, the most similar first."""
        row = self.similarity(layer)[index].clone()
        row[index] = -torch.inf
        return row.topk(min(count, len(row) - 1)).indices.tolist()

    def patches(self, layer: str, channel: int, count: int = 9) -> list[tuple[torch.Tensor, object, float]]:
        """The `count` patches that activate a channel most, at most one per picture: (patch, its source, the peak).

        A patch is the receptive field of the unit at the peak, white beyond the picture. Raises SettingError for a channel that
        the layer does not have.
        """
        peaks = self.peaks[layer]
        if not 0 <= channel < peaks.shape[1]:
            raise SettingError(f"channel {channel}: {layer} has the channels 0 to {peaks.shape[1] - 1}")
        found = []
        for index in peaks[:, channel].topk(min(count, len(peaks))).indices.tolist():
            box = self.fields[layer].box(*self.places[layer][index, channel].tolist())
            patch = cut(self.pictures[index], box)
            found.append((patch, self.sources[index], peaks[index, channel].item()))
        return found


@torch.no_grad()
def survey(encoder: Encoder, sources, layers=None, size: int = 256) -> Survey:
    """Survey of pictures (any sources of `images.load`; `size` is their long side) at `layers`, by default all."""
    layers, pictures = list(layers or encoder.layers), [images.load(source, size) for source in sources]
    means, peaks, places = ({layer: [] for layer in layers} for _ in range(3))
    for picture in pictures:
        features = encoder(picture, layers)
        for layer in layers:
            flat = features[layer][0].flatten(1)
            peak, place = flat.max(1)
            width = features[layer].shape[3]
            means[layer].append(flat.float().mean(1).cpu())
            peaks[layer].append(peak.float().cpu())
            places[layer].append(torch.stack((place // width, place % width), 1).cpu())
    fields = {layer: receptive_field(layer, encoder.layers) for layer in layers if layer != "image"}
    stacked = ({layer: torch.stack(rows) for layer, rows in table.items()} for table in (means, peaks, places))
    return Survey(list(sources), pictures, fields, *stacked)


def cut(image: torch.Tensor, box: tuple[int, int, int, int]) -> torch.Tensor:
    """The part of an image within (top, left, bottom, right), white beyond its border."""
    top, left, bottom, right = box
    height, width = image.shape[-2:]
    inside = image[..., max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    margins = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return F.pad(inside, margins, value=1.0)


def random_encoder(seed: int = 0, **options) -> Encoder:
    """An untrained VGG-19: normal weights of variance 2 / inputs (He et al. 2015), zero biases."""
    generator = torch.Generator().manual_seed(check_seed(seed))
    convs, inputs = [], 3
    for layer in VGG19_LAYERS:
        outputs = min(64 * 2 ** (int(layer[4]) - 1), 512)
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        convs.append((weight, torch.zeros(outputs)))
        inputs = outputs
    return VGG(convs, **options)
