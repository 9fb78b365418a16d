"""Checkpoints of trained systems: what it takes to build a network again, and the small file that painting needs."""

import inspect
from pathlib import Path

import torch

from nstlab.errors import SettingError, WeightsError, choose
from nstlab.networks import MultiscaleNet, PresetNet, RevisionNet, StyleNet
from nstlab.networks.decoder import built
from nstlab.training import checkpoints
from nstlab.training.checkpoints import PLACES

BUILDERS = {each.__name__: each for each in (StyleNet, MultiscaleNet, RevisionNet, PresetNet)}
PATHS = (*PLACES, "encoder")  # settings of a training that may name files


def describe(builder: str, styles: list[str] | None, options: dict) -> dict:
    """What it takes to build a network again: its builder, its styles and all its options, defaults too, as they may change.

    `styles` is None for a network that learns none: then their number is not the first argument of its builder.
    """
    signature, count = inspect.signature(BUILDERS[builder]), () if styles is None else (len(styles),)
    for option in options:
        choose("network option", option, list(signature.parameters)[len(count) :])
    call = signature.bind(*count, **options)
    call.apply_defaults()
    return {"builder": builder, **call.arguments} | ({} if styles is None else {"styles": list(styles)})


def build(described: dict, source) -> torch.nn.Module:
    """The network, with fresh weights, that `describe` described; `source` is the file it comes from. Raises WeightsError."""
    if described.get("builder") == "Decoder":
        return built(described, source)
    described = dict(described)
    try:
        builder = BUILDERS[described.pop("builder")]
        if "styles" in inspect.signature(builder).parameters:
            described["styles"] = len(described["styles"])
        return builder(**described)
    except (KeyError, TypeError, SettingError) as error:
        raise WeightsError(f"{source} is of a network that cannot be built here ({error}): train it anew") from None


def slim(checkpoint, out) -> Path:
    """Write what painting needs of a training's checkpoint: the averaged weights in half precision. Raises WeightsError.

    Settings that name files and folders stay behind: they mean nothing elsewhere.
    """
    tensors, info = checkpoints.read(checkpoint)
    kept = {
        key: value.half() if value.is_floating_point() else value for key, value in tensors.items() if key.startswith("ema.")
    }
    checkpoints.fill(build(info["network"], checkpoint), checkpoints.part(kept, "ema"), checkpoint)
    info = {key: info[key] for key in ("system", "network", "settings", "step", "weights") if key in info}
    info["settings"] = {key: value for key, value in info.get("settings", {}).items() if key not in PATHS}
    return checkpoints.write(out, kept, info)
