"""A trained generator, or the painter of any style, as an ONNX file, to run without torch."""

import importlib.util
import json
import warnings
from pathlib import Path

import torch

from nstlab.encoders import Encoder, load_encoder
from nstlab.errors import SettingError, WeightsError, check_count
from nstlab.feature_transforms import AdaIN
from nstlab.files import atomic_write, expanded
from nstlab.networks import Decoder, MultiscaleNet, StyleNet, load_decoder
from nstlab.systems.checkpoint import build
from nstlab.training import checkpoints


class AnyStyle(torch.nn.Module):
    """adain as one network: content (1, 3, H, W), style (1, 3, h, w) and alpha, a number, to the picture (1, 3, H, W)."""

    def __init__(self, encoder: Encoder, decoder: Decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, content, style, alpha):
        """The picture, in [0, 1]."""
        layer, adain = self.decoder.layers[0], AdaIN()
        ours, theirs = (self.encoder(image, (layer,))[layer] for image in (content, style))
        changed = ours + alpha * (adain.match(ours, adain.describe(theirs)) - ours)
        return self.decoder(changed, layer, tuple(content.shape[-2:]))["image"].clamp(0, 1)


def export_onnx(checkpoint, out, size: int = 256) -> Path:
    """Write the averaged network of a checkpoint as ONNX: image (1, 3, H, W) in [0, 1] and blend (styles,) to picture.

    Of a decoder it is adain that is written, the painter of any style: content, style (1, 3, h, w) and alpha to picture.
    Sides are free but for a factor that the file's metadata names under "nstlab", beside the names of the styles: nothing is
    padded there. `size` is the side of the picture it is traced with. Raises WeightsError, and SettingError without onnx.
    """
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript")):
        raise SettingError("ONNX files are written with onnx and onnxscript: pip install onnx onnxscript")
    check_count("size", size)
    tensors, info = checkpoints.read(checkpoint)
    make = _any_style if info["network"].get("builder") == "Decoder" else _generator
    network, arguments, shapes, names, about = make(checkpoint, tensors, info["network"], size)
    out = expanded(out)
    try:
        with atomic_write(out) as temporary, warnings.catch_warnings(action="ignore"), torch.no_grad():
            program = torch.onnx.export(
                network, arguments, dynamo=True, dynamic_shapes=shapes, verbose=False, input_names=names,
                output_names=["picture"],
            )  # fmt: skip
            program.model.metadata_props["nstlab"] = json.dumps(about)
            program.save(str(temporary), external_data=False)
    except OSError as error:
        raise WeightsError(f"{out} cannot be written ({error.strerror}): choose another file or folder") from None
    return out


def _generator(checkpoint, tensors: dict, described: dict, size: int):
    """Of a checkpoint with learned styles: (network, arguments, their dynamic shapes, their names, the file's metadata)."""
    network = build(described, checkpoint).eval().requires_grad_(False)
    checkpoints.fill(network, checkpoints.part(tensors, "ema"), checkpoint)
    factor = multiple_of(network)
    arguments = _grey(factor, size), torch.full((network.styles,), 1 / network.styles)
    about = {"styles": described["styles"], "multiple": factor}
    return network, arguments, (_free(factor, "image"), None), ["image", "blend"], about


def _any_style(checkpoint, tensors: dict, described: dict, size: int):
    """The same of a decoder that undoes max pooling, with the encoder that it was trained for."""
    if described.get("upsampling") != "nearest":
        raise WeightsError(
            f"{checkpoint} undoes {described.get('upsampling')} pooling: an ONNX file is made of one for max pooling"
        )
    encoder = load_encoder(described["fingerprint"]["name"], precision="fp32", device="cpu")
    decoder = load_decoder(encoder, "nearest", file=checkpoint)
    factor = encoder.strides[decoder.layers[0]]
    arguments = _grey(factor, size), _grey(factor, size + 3 * factor), torch.tensor(1.0)
    shapes = _free(factor, "content"), _free(factor, "style"), None
    return AnyStyle(encoder, decoder), arguments, shapes, ["content", "style", "alpha"], {"styles": "any", "multiple": factor}


def _grey(factor: int, size: int) -> torch.Tensor:
    side = factor * max(4, round(size / factor))
    return torch.full((1, 3, side, side + factor), 0.5)


def _free(factor: int, name: str) -> dict:
    """Height and width that are any multiple of a factor."""
    return {axis: factor * torch.export.Dim(f"{name}_{side}", min=2, max=4096) for axis, side in ((2, "height"), (3, "width"))}


def multiple_of(network) -> int:
    """What height and width must be a multiple of, so that the network pads nothing."""
    if isinstance(network, StyleNet):
        return network.core.multiple
    draft = network.draft.core if isinstance(network, MultiscaleNet) else network.draft
    cores = [draft, *(revision.core for revision in network.revisions)]
    return max(core.multiple * 2 ** (network.scales - 1 - number) for number, core in enumerate(cores))
