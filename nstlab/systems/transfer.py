"""Any painting in one pass: an encoder, a feature transform, and a decoder that gives the picture back.

Every system of this kind begins with a Transfer (pictures read, masks and strength settled, networks loaded) and ends in the
Pass of its function from the content to the picture.
"""

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nstlab import color, images
from nstlab.devices import best_device, precision_dtype
from nstlab.encoders import Encoder, PocketEncoder, load_encoder
from nstlab.errors import SettingError, check_count, choose
from nstlab.feature_transforms.base import FeatureTransform, Part, check_alpha, usable
from nstlab.files import expanded
from nstlab.filters import at_size, shrink
from nstlab.guidance import importance, load_map, saliency
from nstlab.networks import Decoder, load_decoder
from nstlab.networks.decoder import UPSAMPLINGS
from nstlab.options import option, plain, settings
from nstlab.systems.one_pass import Pass, check_memory
from nstlab.systems.pixel import COLORS, POCKET
from nstlab.systems.styles import StyleMix, style_mix
from nstlab.systems.trained import checked_digest

BASE = 300e6  # bytes of memory for the networks
GUIDES = {"importance": importance, "saliency": saliency}
SLIVER = 1e-3  # share of a place that is left over below this by rounding
KEPT = 48  # described styles kept for the next call, each at one layer
DECODED = "decoded."  # before the name of a layer: as the decoder gives it back

Regions = list[tuple[torch.Tensor, torch.Tensor]]  # (map on the content, map on the style) of what shows the same thing


@dataclass(frozen=True)
class TransferOptions:
    """What systems that paint like any painting in one pass can be told.

    `alpha` is how far the features go from the content's to the style's. Where the `guide` is white, that strength is reduced
    by the share `keep`. `colors`, `blend`, `masks` and `feather` are those of PixelOptions. `checkpoint` is a file of a decoder
    that was trained for this encoder; `checkpoint_hash` are the first 16 digits of its SHA-256, kept in every picture.
    """

    size: int = option(512, "Long side of the picture in pixels.")
    encoder: object = option("vgg19", "vgg19, or pocket (fast, an approximation).")
    alpha: float = option(1.0, "How much of the painting: 0 is the photo as the decoder gives it back, 1 is all.")
    style_scale: float = option(1.0, "Stroke size: the painting's long side over the picture's.", flag="stroke")
    colors: str = option("style", "style; the photo's: luminance, oklab, match; only: nothing is painted but the colours.")
    guide: object = option("none", "What is painted less: none, importance, saliency, or a picture, white is kept.")
    keep: float = option(0.7, "How much of the photo is kept where the guide is white: 0 is nothing, 1 all.")
    blend: object = option(None, "Shares of several paintings, such as 0.7,0.3.", kind="numbers")
    masks: object = option(
        None, "A painting's place: a picture, white is its. Repeatable, in order.", flag="mask", kind="texts"
    )
    feather: float = option(0.02, "Blur of the masks' borders, as a share of the long side.")
    checkpoint: object = option(None, "A decoder's file; else the one that ships for the encoder.")
    checkpoint_hash: str | None = option(None, "Refuse a decoder whose SHA-256 begins otherwise.")
    device: str = option("auto", "auto, cpu, cuda, or mps.")
    precision: str = option("auto", "auto (bf16 where the machine has it), bf16, or fp32.")


@dataclass
class Transfer:
    """The content at its working size, the styles at theirs, the networks, and the strength (a number or a map).

    `regions` has for each style what it shows in common with the content; empty where no regions are asked for.
    """

    content: torch.Tensor
    mix: StyleMix
    encoder: Encoder
    decoder: Decoder
    alpha: float | torch.Tensor
    settings: dict
    colors: str
    notes: list[str] = field(default_factory=list)
    regions: list[Regions] = field(default_factory=list)
    _seen: dict = field(default_factory=dict)

    def encode(self, image: torch.Tensor, layers, edit=None) -> dict[str, torch.Tensor]:
        """Features of an image at `layers`, with all that the decoder needs beside; see Encoder."""
        return self.encoder(image.to(self.encoder.device), [*layers, *self.decoder.needs], edit)

    def decode(self, features: dict[str, torch.Tensor], layer: str, edit=None) -> torch.Tensor:
        """The image, not clamped, of features at `layer`, with what the encoder kept on its way there; see Decoder."""
        size = tuple(self.content.shape[-2:])
        return self.decoder(features[layer], layer, size, kept=features, edit=edit)["image"]

    def describe(self, transforms: dict[str, FeatureTransform]) -> None:
        """Read the styles as the transform of each layer does, before the content is there: memory holds one at a time."""
        for number, style in enumerate(self.mix.paintings):
            for layer, transform in transforms.items() if self.mix.masks or self.mix.blend[number] else ():
                self._target(transform, number, style, layer)
        if not self.regions:
            self._seen.clear()

    def change(self, transform: FeatureTransform, features: torch.Tensor, layer: str) -> torch.Tensor:
        """The content's features at `layer`, changed after all the styles in their shares, places and regions."""
        return transform.mix(features, self.parts(transform, layer, tuple(features.shape[-2:])))

    def parts(self, transform: FeatureTransform, layer: str, size: tuple[int, int]) -> list[Part]:
        """The styles as a transform takes them at `layer`, where the content has (h, w) places.

        Where a style lacks a region, or has too little of it (see feature_transforms.usable), the whole style is used.
        """
        made = []
        for number, style in enumerate(self.mix.paintings):
            share = 1.0 if self.mix.masks else self.mix.blend[number]
            place = at_size(self.mix.masks[number], size) if self.mix.masks else None
            rest = torch.ones(1, 1, *size) if place is None else place
            pairs = self.regions[number] if self.regions else []
            before = len(made)
            for ours, theirs in pairs if share else []:
                here, features = torch.minimum(at_size(ours, size), rest), self._features(number, layer)
                there = at_size(theirs, tuple(features.shape[-2:]))
                if usable(here, there):
                    made.append(Part(transform.look(features, there), share, here))
                    rest = torch.where(rest - here > SLIVER, rest - here, 0)
            if share and len(made) == before:
                made.append(Part(self._target(transform, number, style, layer), share, place))
            elif share and bool(rest.any()):
                made.append(Part(self._target(transform, number, style, layer), share, rest, inside=False))
        return made

    def _target(self, transform: FeatureTransform, number: int, style: torch.Tensor, layer: str):
        """What the transform reads from a whole style at `layer`, kept for the next run with the same painting."""
        networks = (*self.encoder.fingerprint.values(), self.encoder.pooling, self.encoder.dtype, str(self.encoder.device))
        decoder = self.decoder if layer.startswith(DECODED) else None
        key = (transform.reads, layer, networks, decoder, hashlib.sha256(style.numpy().tobytes()).digest())
        if key not in _described:
            _described[key] = transform.look(self._features(number, layer))
            while len(_described) > KEPT:
                _described.popitem(last=False)
        return _described[key]

    def _features(self, number: int, layer: str) -> torch.Tensor:
        """Features of a style at `layer`; those of all layers that the system reads are computed at once.

        A layer may also be a Haar band, "pool1.0" to "pool3.2", or what the decoder makes of the style, "decoded.relu3_1".
        """
        if (number, layer) not in self._seen:
            style = self.mix.paintings[number]
            found = with_bands(self.encode(style, self.mix.layers))
            if layer.startswith(DECODED):
                deepest = self.decoder.layers[0]
                decoded = self.decoder(found[deepest], deepest, tuple(style.shape[-2:]), kept=found)
                found |= {DECODED + name: values for name, values in decoded.items()}
            self._seen |= {(number, name): values for name, values in found.items()}
        return self._seen[number, layer]

    def run(self, paint: Callable[[torch.Tensor], torch.Tensor]) -> Pass:
        """The run of a function from the content to the picture, in [0, 1] or a little beyond."""

        @torch.no_grad()
        def painted(image):
            made = paint(image).float().cpu().clamp(0, 1)
            self._seen.clear()
            return made

        return Pass(painted, self.content, self.settings, self.colors, self.notes)


_described: OrderedDict = OrderedDict()


def with_bands(features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Features with the three Haar bands of each pooling beside them, "pool1.0" to "pool1.2", where wavelets were pooled."""
    bands = {}
    for name, kept in features.items():
        if name.startswith("pool") and kept.is_floating_point():
            bands |= {f"{name}.{number}": band for number, band in enumerate(kept.chunk(3, 1))}
    return features | bands


def transfer(
    system: str, content, styles, options: TransferOptions, layers, a_pixel: float, upsampling="nearest", kind="decoder"
) -> Transfer:
    """Everything made ready for the system of that name, which reads the styles at `layers`. Raises NstlabError.

    `a_pixel`: bytes of memory that a pixel takes at most in fp32, by measurement; in bf16 half of it is reckoned with.
    `upsampling` and `kind` say which decoder it paints with (see networks.load_decoder).
    """
    alpha, keep = check_alpha(options.alpha), check_alpha(options.keep, "keep")
    colors = choose("colors", options.colors, COLORS)
    photo, paintings = images.load(content, check_count("size", options.size)), [images.load(style) for style in styles]
    shape = tuple(photo.shape[-2:])
    long = max(1, round(max(shape) * float(options.style_scale)))
    sizes = [shape, *(images.fit(tuple(each.shape[-2:]), long) for each in paintings)]
    device = best_device(options.device)
    bits = 1 if precision_dtype(options.precision, device) == torch.float32 else 0.5
    check_memory(max(sizes, key=lambda size: size[0] * size[1]), device, BASE, bits * a_pixel)
    paintings = [images.resize(each, size) for each, size in zip(paintings, sizes[1:], strict=True)]
    if colors.startswith("match"):
        paintings = [color.match_colors(each, photo, colors.partition("-")[2] or "monge") for each in paintings]
    blend = None if options.blend is None else [float(share) for share in options.blend]
    mix = style_mix(paintings, layers, options.style_scale, blend, "losses", options.masks, options.feather, shape)
    encoder, decoder = _networks(options, upsampling, kind)
    made = {"system": system, "content": plain(content), "styles": [plain(style) for style in styles], **settings(options)}
    made["checkpoint_hash"] = checked_digest(decoder.file, options.checkpoint_hash)
    alpha, notes = strength(options.guide, content, photo, alpha, keep)
    notes += [POCKET] if isinstance(encoder, PocketEncoder) else []
    kept = "style" if colors.startswith("match") else colors
    return Transfer(photo, mix, encoder, decoder, alpha, made, kept, notes)


def strength(guide, content, photo: torch.Tensor, alpha: float, keep: float) -> tuple[float | torch.Tensor, list[str]]:
    """The strength, a map (1, 1, H, W) where a guide keeps something, and notes about it."""
    if guide is None or (isinstance(guide, str) and guide == "none"):
        return alpha, []
    if isinstance(guide, str) and guide in GUIDES:
        found = GUIDES[guide](shrink(images.load(content), 512))
    else:
        found = load_map(guide, tuple(photo.shape[-2:]), "the guide")
    notes = [f"guide: {found.method}", *([found.note] if found.note else [])]
    if found.uniform:
        return alpha, [*notes, "the guide is the same everywhere: nothing is kept more than the rest"]
    return alpha * (1 - keep * found.resized(tuple(photo.shape[-2:])).map), notes


def _networks(options: TransferOptions, upsampling: str, kind: str) -> tuple[Encoder, Decoder]:
    """The encoder, with the pooling that the decoder undoes, and the decoder. Raises WeightsError, SettingError."""
    encoder, decoder = options.encoder, options.checkpoint
    if isinstance(encoder, torch.nn.Module) or isinstance(decoder, torch.nn.Module):  # given in Python
        if not isinstance(encoder, torch.nn.Module):
            encoder = load_encoder(
                str(encoder), pooling=UPSAMPLINGS[upsampling][0], device=options.device, precision=options.precision
            )
        if encoder.pooling not in UPSAMPLINGS[upsampling]:
            wanted = " or ".join(UPSAMPLINGS[upsampling])
            raise SettingError(f"this system takes an encoder with pooling {wanted}, not {encoder.pooling}: make it so")
        if not isinstance(decoder, torch.nn.Module):
            decoder = load_decoder(encoder, upsampling, kind, decoder)
        return encoder, decoder
    path, time = (None, 0) if decoder is None else (expanded(decoder), 0)
    if path is not None and Path(path).is_file():
        time = Path(path).stat().st_mtime_ns
    return _loaded(str(encoder), upsampling, kind, path, time, options.device, options.precision)


@functools.lru_cache(maxsize=3)  # a slider asks for the same ones again and again
def _loaded(name: str, upsampling: str, kind: str, path, time: int, device: str, precision: str) -> tuple[Encoder, Decoder]:
    encoder = load_encoder(name, pooling=UPSAMPLINGS[upsampling][0], device=device, precision=precision)
    return encoder, load_decoder(encoder, upsampling, kind, path)
