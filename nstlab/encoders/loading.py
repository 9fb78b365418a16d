"""Encoders by name, and the scales that bring each layer to a mean activation of 1."""

import contextlib
import functools
import json
from pathlib import Path

import torch

from nstlab import images, samples
from nstlab.encoders import weights
from nstlab.encoders.base import Encoder
from nstlab.encoders.pocket import load_pocket
from nstlab.encoders.vgg import CAFFE, TORCHVISION, VGG
from nstlab.errors import SettingError, WeightsError, nearest
from nstlab.files import atomic_write, cache_dir

NAMES = ("vgg19", "pocket", "vgg19-torchvision", "vgg16-torchvision")
SCALES = Path(__file__).with_name("scales.json")
CALIBRATION_SIZE = 256  # long side in pixels of the sample pictures on which mean activations are measured


def load_encoder(name: str = "vgg19", **options) -> Encoder:
    """An encoder by name, or from a file (a state dict of VGG-16 or VGG-19 for input normalised as in torchvision).

    "vgg19" is the original network of 2014 that Gatys et al. used; "vgg19-torchvision" and "vgg16-torchvision" are retrained
    and downloaded on first use. "pocket" approximates vgg19 up to relu5_1 and is nearly three times as fast (see pocket.py).
    `options` are passed to the encoder. Raises WeightsError, SettingError.
    """
    if name == "pocket":
        if "padding" in options:
            raise SettingError("the pocket encoder has no choice of padding: leave it out, or take vgg19")
        return load_pocket(**options)
    if name == "vgg19":
        path, normalisation = weights.find(name), CAFFE
        convs = weights.original_vgg19()
    elif name in NAMES:
        path, normalisation = weights.fetch(name), TORCHVISION
        convs = weights.state_dict_convs(path)
    elif Path(name).suffix in (".safetensors", ".pth", ".pt", ".bin"):
        path, normalisation = Path(name), TORCHVISION
        convs = weights.state_dict_convs(path)
    else:
        raise SettingError(f"unknown encoder '{name}': {nearest(name, NAMES)} or name a file of weights")
    return VGG(convs, normalisation, _scales(path, convs, normalisation), name=str(name), digest=_digest_of(path), **options)


def _scales(path: Path, convs, normalisation) -> dict[str, float]:
    """Scales of a file of weights, by its hash: from the table that ships or the user's cache, else measured and cached."""
    key = _digest_of(path)
    table = json.loads(SCALES.read_text()) if SCALES.exists() else {}
    if key in table:
        return table[key]["scales"]
    kept = cache_dir() / "scales" / f"{key}.json"
    with contextlib.suppress(OSError, ValueError):  # missing, not to be read, or damaged: they are measured again
        return json.loads(kept.read_text())
    scales = measure_scales(convs, normalisation)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(kept) as temporary:
            temporary.write_text(json.dumps(scales))
    except OSError:
        pass  # without a cache they are measured again next time
    return scales


def _digest_of(path: Path) -> str:
    return _digest(path, path.stat().st_mtime_ns)


@functools.cache
def _digest(path: Path, modified: int) -> str:
    return weights.digest(path)


@torch.no_grad()
def measure_scales(convs, normalisation) -> dict[str, float]:
    """{layer: mean activation} over all channels, places and sample pictures, in fp32. Raises WeightsError if one is 0."""
    encoder = VGG(convs, normalisation, precision="fp32", device="cpu")
    sums = dict.fromkeys(encoder.layers, 0.0)
    for name in samples.names():
        features = encoder(images.load(name, CALIBRATION_SIZE), encoder.layers)
        for layer in encoder.layers:
            sums[layer] += features[layer].mean().item()
    scales = {layer: round(total / len(samples.names()), 6) for layer, total in sums.items()}
    if min(scales.values()) <= 0:
        raise WeightsError("these weights leave a layer without any activation: they are not a trained VGG")
    return scales


def remake_scales() -> None:
    """Measure the scales of every named encoder whose weights are present, and rewrite the table that ships."""
    table = json.loads(SCALES.read_text()) if SCALES.exists() else {}
    for name in (name for name in NAMES if name != "pocket"):
        try:
            path = weights.find(name)
        except WeightsError as error:
            print(f"left as it is: {error}")
            continue
        convs = weights.original_vgg19() if name == "vgg19" else weights.state_dict_convs(path)
        scales = measure_scales(convs, CAFFE if name == "vgg19" else TORCHVISION)
        table[weights.digest(path)] = {"encoder": name, "scales": scales}
        print(f"{name}: {scales}")
    with atomic_write(SCALES) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    remake_scales()
