"""What all systems share that paint in one pass: the network's checkpoint, the pass, and its training on perceptual losses."""

import importlib.util
import inspect
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nstlab import color, images
from nstlab.devices import best_device, native_bf16
from nstlab.encoders import load_encoder
from nstlab.errors import SettingError, WeightsError, check_count, check_weight, choose
from nstlab.files import atomic_write
from nstlab.losses.base import shares
from nstlab.networks import Ema, MultiscaleNet, StyleNet
from nstlab.step import Step
from nstlab.systems.pixel import name
from nstlab.systems.run import Result
from nstlab.training import checkpoints
from nstlab.training.loop import Training
from nstlab.training.perceptual import PerceptualObjective
from nstlab.training.task import Task

SHIPPED = Path(__file__).parent.parent / "trained"
BUILDERS = {"StyleNet": StyleNet, "MultiscaleNet": MultiscaleNet}
PATHS = ("content", "style", "real", "annotations", "begin", "encoder")  # settings of a training that may name files


@dataclass
class Painter:
    """A trained network with the names of its styles and the system it belongs to."""

    network: torch.nn.Module
    styles: list[str]
    system: str
    source: str

    def blend(self, styles, weights=None) -> torch.Tensor:
        """Shares (styles of the network,) of the named styles, in proportion to `weights`; all the same without names.

        Raises SettingError for a style that it did not learn.
        """
        wanted = list(styles) or self.styles[:1]
        parts = shares(range(len(wanted)), weights)
        found = torch.zeros(len(self.styles))
        for number, share in parts.items():
            found[self.styles.index(self.style(wanted[number]))] += share
        return found

    def style(self, source) -> str:
        """The name under which the network knows a style, given as that or as the painting's file. Raises SettingError."""
        name = str(source) if str(source) in self.styles else Path(str(source)).stem
        return choose(f"style of {Path(self.source).name}", name, self.styles)

    @torch.no_grad()
    def __call__(self, image: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """The painted image (N, 3, H, W) of an image."""
        weight = next(self.network.parameters())
        return self.network(image.to(weight.device), blend.to(weight.device)).float().cpu()


def load_painter(system: str, checkpoint=None, device: str = "auto", precision: str = "auto") -> Painter:
    """The painter in a checkpoint of `train` or `slim`, or the one that ships with the package. Raises WeightsError."""
    path = Path(checkpoint) if checkpoint else SHIPPED / f"{system}.safetensors"
    if not checkpoint and not path.exists():
        raise WeightsError(
            f"no checkpoint of {system} ships with the package: train one and name it (nstlab train {system} ...)"
        )
    tensors, info = checkpoints.read(path)
    if info["system"] != system:
        raise WeightsError(f"{path} is a checkpoint of {info['system']}, not of {system}: name that system")
    network = _network(info["network"], path)
    checkpoints.fill(network, checkpoints.part(tensors, "average"), path)
    found = best_device(device)
    choose("precision", precision, ("auto", "bf16", "fp32"))
    quick = precision == "bf16" or (precision == "auto" and native_bf16(found))
    network = network.eval().requires_grad_(False).to(found, torch.bfloat16 if quick else torch.float32)
    return Painter(network, info["network"]["styles"], system, str(path))


def describe(builder: str, styles: list[str], options: dict) -> dict:
    """What it takes to build a network again: its builder, its styles and all its options, defaults too, as they may change."""
    signature = inspect.signature(BUILDERS[builder])
    for option in options:
        choose("network option", option, list(signature.parameters)[1:])
    call = signature.bind(len(styles), **options)
    call.apply_defaults()
    return {"builder": builder, **call.arguments, "styles": list(styles)}


def _network(described: dict, source) -> torch.nn.Module:
    """The network, with fresh weights, that `describe` described."""
    described = dict(described)
    try:
        builder, styles = BUILDERS[described.pop("builder")], described.pop("styles")
        return builder(len(styles), **described)
    except (KeyError, TypeError, SettingError) as error:
        raise WeightsError(f"{source} is of a network that cannot be built here ({error}): train it anew") from None


def slim(checkpoint, out) -> Path:
    """Write what painting needs of a training's checkpoint: the averaged weights in half precision. Raises WeightsError.

    Settings that name files and folders stay behind: they mean nothing elsewhere.
    """
    tensors, info = checkpoints.read(checkpoint)
    kept = {
        key: value.half() if value.is_floating_point() else value
        for key, value in tensors.items()
        if key.startswith("average.")
    }
    checkpoints.fill(_network(info["network"], checkpoint), checkpoints.part(kept, "average"), checkpoint)
    info = {key: info[key] for key in ("system", "network", "settings", "step", "weights") if key in info}
    info["settings"] = {key: value for key, value in info.get("settings", {}).items() if key not in PATHS}
    return checkpoints.write(out, kept, info)


def export_onnx(checkpoint, out, size: int = 256) -> Path:
    """Write the averaged network of a checkpoint as ONNX: image (1, 3, H, W) in [0, 1] and blend (styles,) to picture.

    H and W are free but for a factor that the file's metadata names under "nstlab", beside the names of the styles: nothing is
    padded there. `size` is the side of the picture it is traced with. Raises WeightsError, and SettingError without onnx.
    """
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript")):
        raise SettingError("ONNX files are written with onnx and onnxscript: pip install onnx onnxscript")
    tensors, info = checkpoints.read(checkpoint)
    network = _network(info["network"], checkpoint).eval().requires_grad_(False)
    checkpoints.fill(network, checkpoints.part(tensors, "average"), checkpoint)
    factor = _factor(network)
    side = factor * max(4, round(check_count("size", size) / factor))
    height, width = (torch.export.Dim(name, min=2, max=4096) * factor for name in ("height", "width"))
    arguments = torch.full((1, 3, side, side), 0.5), torch.full((network.styles,), 1 / network.styles)
    out = Path(out).expanduser()
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


def _factor(network) -> int:
    """What height and width must be a multiple of, so that the network pads nothing."""
    if isinstance(network, StyleNet):
        return network.core.multiple
    cores = [network.draft.core, *(revision.core for revision in network.revisions)]
    return max(core.multiple * 2 ** (network.scales - 1 - number) for number, core in enumerate(cores))


@dataclass
class Pass:
    """A picture painted in one pass, made ready; used as a Run is: it has one step."""

    painter: Painter
    photo: torch.Tensor
    blend: torch.Tensor
    settings: dict
    colors: str = "style"
    notes: list[str] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    last: Step | None = None
    steps: int = 1

    @property
    def schedule(self):
        return [(tuple(self.photo.shape[-2:]), 1)]

    def __iter__(self) -> Iterator[Step]:
        self.last = Step(1, max(self.photo.shape[-2:]), self.painter(self.photo, self.blend), {}, 0.0)
        self.history = [{"index": 1, "scale": self.last.scale, "total": 0.0}]
        yield self.last

    def result(self) -> Result:
        """The finished picture, once it is painted."""
        if self.last is None:
            raise SettingError("the run has no picture yet: iterate it first")
        return self.made(self.last.image)

    def made(self, image: torch.Tensor) -> Result:
        """The result that a painted image amounts to, with the colours asked for."""
        image = color.keep_colors(image, self.photo, self.colors)
        return Result(image.clamp(0, 1), list(self.history), dict(self.settings), list(self.notes))

    def finish(self) -> Result:
        """Paint and return the result."""
        for _ in self:
            pass
        return self.result()


def one_pass(system: str, content, styles, *, size=512, checkpoint=None, blend=None, colors="style", device="auto",
             precision="auto") -> Pass:  # fmt: skip
    """Make a pass ready. `styles` are names of those that the network learned (none: its first), mixed by `blend`."""
    choose("colors", colors, color.KEPT)
    photo = images.load(content, check_count("size", size))
    painter = load_painter(system, checkpoint, device, precision)
    shares = painter.blend(styles, blend)
    styles = [painter.style(style) for style in styles] or painter.styles[:1]
    settings = {"system": system, "content": name(content), "styles": styles, "size": size, "colors": colors}
    settings |= {"checkpoint": name(checkpoint) if checkpoint else None, "precision": precision}
    settings |= {"blend": list(blend)} if blend is not None else {}
    return Pass(painter, photo, shares, settings, colors)


class FeedForward(Task):
    """Train a generator on the terms of PerceptualObjective, every picture in a style drawn for it.

    `paintings` are (names, images); `encoder` a name, or an encoder; `network` the options of StyleNet; `rate` the learning
    rate; `decay` that of the average; `options` those of PerceptualObjective.
    """

    def __init__(
        self, system: str, paintings, *, encoder="vgg19", device="auto", network=None, weights=None, rate=1e-3, decay=0.998,
        **options,
    ):  # fmt: skip
        self.system, (names, pictures) = system, paintings
        self.info = describe("StyleNet", names, network or {})
        self.settings = {"rate": check_rate(rate), "decay": decay, **options}
        self.generator = StyleNet(len(names), **(network or {}))
        self.networks = {"generator": self.generator}
        self.optimizers = {"generator": torch.optim.Adam(self.generator.parameters(), rate)}
        self.average = Ema(self.generator, decay)
        self.kept = {"average": self.average}
        self.objective = PerceptualObjective(open_encoder(encoder, device), pictures, weights, **options)
        self.weights, self.views = self.objective.weights, {}

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the generator."""
        sums: dict[str, torch.Tensor] = {}
        generator = training.wrapped["generator"]
        with training.update("generator") as backward:
            for (batch, _), drawn in zip(batches, training.draw(len(self.info["styles"]), index), strict=True):
                photo, guides = to_device(batch, training.device)
                blend = torch.nn.functional.one_hot(drawn, len(self.info["styles"])).float()
                output = generator(photo, blend)
                total, terms = self.objective(output, photo, blend, guides)
                self.views = {"photo": photo[:1], "picture": output[:1].detach()}
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        self.average.update(self.generator)
        return sums


def open_encoder(encoder, device) -> torch.nn.Module:
    """The encoder of that name on the device, or the encoder itself."""
    return load_encoder(encoder, device=device) if isinstance(encoder, (str, Path)) else encoder


def check_rate(rate) -> float:
    """A learning rate: over 0, at most 1."""
    if not 0 < check_weight("learning rate", rate) <= 1:
        raise SettingError(f"learning rate {rate}: give a number over 0, at most 1, such as 0.001")
    return float(rate)


def to_device(batch, device):
    """Images and guides of a batch on a device."""
    return batch.images.to(device), None if batch.guides is None else batch.guides.to(device)


def add(sums: dict, terms: dict, parts: int) -> None:
    """Add a part of each term to the sums."""
    for key, value in terms.items():
        sums[key] = sums.get(key, 0.0) + value.detach() / parts
