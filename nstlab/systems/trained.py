"""The trained protocol: a network learns its styles once, and then paints in one pass."""

from dataclasses import dataclass
from pathlib import Path

import torch

from nstlab import color, images
from nstlab.devices import best_device, precision_dtype
from nstlab.encoders.weights import digest
from nstlab.errors import WeightsError, check_count, choose
from nstlab.files import expanded
from nstlab.losses.base import shares
from nstlab.options import option, plain, settings
from nstlab.systems.checkpoint import build
from nstlab.systems.one_pass import Pass, check_memory
from nstlab.training import checkpoints

SHIPPED = Path(__file__).parent.parent / "trained"
BASE, BYTES_A_PIXEL = 300e6, 230  # of memory for one pass: the peak of the networks that ship, at 1024 and 2048 px


@dataclass(frozen=True)
class TrainedOptions:
    """What systems with learned styles can be told.

    `checkpoint_hash` are the first 16 digits of the checkpoint's SHA-256, kept in every picture: with another checkpoint the
    same settings would make another picture, so a checkpoint that differs is refused.
    """

    size: int = option(512, "Long side of the picture in pixels.")
    checkpoint: object = option(None, "The checkpoint to paint with; else the one that ships.")
    checkpoint_hash: str | None = option(None, "Refuse a checkpoint whose SHA-256 begins otherwise.")
    colors: str = option("style", "style; the photo's: luminance, oklab; only: nothing is painted but the colours.")
    device: str = option("auto", "auto, cpu, cuda, or mps.")
    precision: str = option("auto", "auto (bf16 where the machine has it), bf16, or fp32.")


@dataclass(frozen=True)
class BlendOptions(TrainedOptions):
    """TrainedOptions of a network that learned several styles."""

    blend: object = option(None, "Shares of several styles, such as 0.7,0.3.", kind="numbers")


@dataclass
class Generator:
    """A trained network, the names of its styles, and the system and the file that it comes from.

    `digest` are the first 16 digits of the file's SHA-256; empty for a network without a file.
    """

    network: torch.nn.Module
    styles: list[str]
    system: str
    source: str
    digest: str = ""

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


def open_network(system: str, checkpoint=None) -> tuple[torch.nn.Module, dict, Path]:
    """(network, what describes it, its file) of a checkpoint of `train` or `slim`, or of the one that ships.

    Raises WeightsError.
    """
    path = expanded(checkpoint) if checkpoint else SHIPPED / f"{system}.safetensors"
    if not checkpoint and not path.exists():
        raise WeightsError(
            f"no checkpoint of {system} ships with the package: train one and name it (nstlab train {system} ...)"
        )
    tensors, info = checkpoints.read(path)
    if info.get("system") != system or "network" not in info:
        raise WeightsError(f"{path} is a checkpoint of {info.get('system')}, not of {system}: name that system")
    network = build(info["network"], path)
    checkpoints.fill(network, checkpoints.part(tensors, "ema"), path)
    return network.eval().requires_grad_(False), info["network"], path


def checked_digest(path, wanted: str | None) -> str | None:
    """The first 16 digits of a checkpoint's SHA-256; None of a network without a file.

    Raises WeightsError where others are `wanted`.
    """
    found = digest(path)[:16] if path else None
    if wanted not in (None, found):
        raise WeightsError(f"{path} is not the checkpoint asked for: its hash is {found}, not {wanted}")
    return found


def load_generator(system: str, checkpoint=None, device: str = "auto", precision: str = "auto") -> Generator:
    """The generator in a checkpoint of `train` or `slim`, or the one that ships with the package. Raises WeightsError."""
    network, described, path = open_network(system, checkpoint)
    found = best_device(device)
    network = network.to(found, precision_dtype(precision, found))
    return Generator(network, described["styles"], system, str(path), digest(path)[:16])


def plan(system: str, content, styles, options: TrainedOptions, a_pixel: float = BYTES_A_PIXEL) -> Pass:
    """Make a pass ready. `styles` are names of those that the network learned (none: its first). Raises NstlabError.

    `a_pixel`: bytes of memory that a pixel takes at most, by measurement.
    """
    choose("colors", options.colors, color.KEPT)
    image = images.load(content, check_count("size", options.size))
    check_memory(tuple(image.shape[-2:]), best_device(options.device), BASE, a_pixel)
    generator = load_generator(system, options.checkpoint, options.device, options.precision)
    blend = getattr(options, "blend", None)
    blend = None if blend is None else [float(share) for share in blend]
    parts = generator.blend(styles, blend)
    named = [generator.style(style) for style in styles] or generator.styles[:1]
    made = {"system": system, "content": plain(content), "styles": named, **settings(options)}
    made["checkpoint_hash"] = checked_digest(generator.source, options.checkpoint_hash)
    return Pass(lambda picture: generator(picture, parts), image, made, options.colors)
