"""A trained generator as an ONNX file, to run without torch."""

import importlib.util
import json
import warnings
from pathlib import Path

import torch

from nstlab.errors import SettingError, WeightsError, check_count
from nstlab.files import atomic_write, expanded
from nstlab.networks import StyleNet
from nstlab.systems.checkpoint import build
from nstlab.training import checkpoints


def export_onnx(checkpoint, out, size: int = 256) -> Path:
    """Write the averaged network of a checkpoint as ONNX: image (1, 3, H, W) in [0, 1] and blend (styles,) to picture.

    H and W are free but for a factor that the file's metadata names under "nstlab", beside the names of the styles: nothing is
    padded there. `size` is the side of the picture it is traced with. Raises WeightsError, and SettingError without onnx.
    """
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript")):
        raise SettingError("ONNX files are written with onnx and onnxscript: pip install onnx onnxscript")
    tensors, info = checkpoints.read(checkpoint)
    if "styles" not in info["network"]:
        raise WeightsError(f"{checkpoint} is a decoder, which paints nothing by itself: name a network that learned its styles")
    network = build(info["network"], checkpoint).eval().requires_grad_(False)
    checkpoints.fill(network, checkpoints.part(tensors, "ema"), checkpoint)
    factor = multiple_of(network)
    side = factor * max(4, round(check_count("size", size) / factor))
    height, width = (torch.export.Dim(name, min=2, max=4096) * factor for name in ("height", "width"))
    arguments = torch.full((1, 3, side, side), 0.5), torch.full((network.styles,), 1 / network.styles)
    out = expanded(out)
    try:
        with atomic_write(out) as temporary, warnings.catch_warnings(action="ignore"):
            program = torch.onnx.export(
                network, arguments, dynamo=True, dynamic_shapes=({2: height, 3: width}, None), verbose=False,
                input_names=["image", "blend"], output_names=["picture"],
            )  # fmt: skip
            program.model.metadata_props["nstlab"] = json.dumps({"styles": info["network"]["styles"], "multiple": factor})
            program.save(str(temporary), external_data=False)
    except OSError as error:
        raise WeightsError(f"{out} cannot be written ({error.strerror}): choose another file or folder") from None
    return out


def multiple_of(network) -> int:
    """What height and width must be a multiple of, so that the network pads nothing."""
    if isinstance(network, StyleNet):
        return network.core.multiple
    cores = [network.draft.core, *(revision.core for revision in network.revisions)]
    return max(core.multiple * 2 ** (network.scales - 1 - number) for number, core in enumerate(cores))
