"""Networks in files: tensors in one safetensors file, with what they belong to as JSON.

Written whole or not at all; a pickle, which may hold code, is never read.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path

import torch
from torch import nn

from nstlab.errors import WeightsError
from nstlab.files import atomic_write, expanded, reason

KEY = "nstlab"
RENAMED = {"average": "ema", "rate": "lr", "critic_rate": "critic_lr", "warmup": "warmup_steps", "begin": "init_from"}


def write(path, tensors: dict[str, torch.Tensor], info: dict, previous: Path | None = None) -> Path:
    """Replace the checkpoint at `path`; the one that was there goes to `previous`, if that is named. Raises WeightsError."""
    from safetensors import SafetensorError

    path = expanded(path)
    try:
        with atomic_write(path) as temporary:
            _save({name: _plain(tensor) for name, tensor in tensors.items()}, temporary, {KEY: json.dumps(info)})
            _to_disk(temporary)
            if previous is not None and path.exists():
                _keep(path, previous)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be written ({reason(error)}): what was there before is untouched") from None
    return path


def _save(tensors: dict[str, torch.Tensor], temporary: Path, about: dict[str, str] | None = None) -> None:
    """Write the file, which keeps its permissions: safetensors makes it anew, for its owner alone."""
    from safetensors.torch import save_file

    mode = temporary.stat().st_mode
    save_file(tensors, temporary, about)
    with contextlib.suppress(OSError):  # network drives may refuse
        temporary.chmod(mode)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _to_disk(path: Path) -> None:
    """Past the system's buffers, so that a power cut after the renaming finds the contents there."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _keep(path: Path, previous: Path) -> None:
    """Let `previous` hold what `path` holds, so that there is a whole checkpoint at every moment."""
    beside = previous.with_name(f".{previous.stem}-kept{previous.suffix}")
    beside.unlink(missing_ok=True)
    try:
        os.link(path, beside)
    except OSError:  # a file system without links
        shutil.copyfile(path, beside)
    os.replace(beside, previous)


def read(path) -> tuple[dict[str, torch.Tensor], dict]:
    """(tensors by name, what they belong to) of a checkpoint. Raises WeightsError for anything else."""
    from safetensors import SafetensorError, safe_open

    path = expanded(path)
    try:
        with open(path, "rb"):  # is it there, and may it be read
            pass
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise WeightsError(f"{path}: there is no such checkpoint; check the path") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({reason(error)})") from None
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path} is no safetensors file: other formats may hold code, so they are not read")
    try:
        with safe_open(str(path), framework="pt") as handle:
            info = json.loads((handle.metadata() or {}).get(KEY, "null"))
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged, cut short, or no safetensors file ({error}): get a whole copy of it") from None
    if not isinstance(info, dict) or not isinstance(info.get("network"), dict) or "system" not in info:
        raise WeightsError(f"{path} is not a checkpoint of nstlab: it does not say what it belongs to")
    for key in ("settings", "kept"):
        if isinstance(info.get(key), dict):
            info[key] = {RENAMED.get(name, name): value for name, value in info[key].items()}
    return {_renamed(name): tensor for name, tensor in tensors.items()}, info


def _renamed(name: str) -> str:
    """The name of a tensor by today's names: checkpoints keep those of the day they were written."""
    head, dot, rest = name.partition(".")
    return RENAMED.get(head, head) + dot + rest


def write_network(path, network: nn.Module) -> None:
    """Write the weights of a network alone, in half precision, as the package ships them. Raises WeightsError."""
    try:
        with atomic_write(expanded(path)) as temporary:
            _save({name: _plain(value.half()) for name, value in network.state_dict().items()}, temporary)
    except OSError as error:
        raise WeightsError(f"{path} cannot be written ({error.strerror or error}): make room, or name another file") from None


def part(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The tensors under "name.", without that prefix."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def fill(module: nn.Module, state: dict[str, torch.Tensor], source) -> None:
    """Load a state into a module of the same architecture. Raises WeightsError that names the first thing that differs."""
    wanted = module.state_dict()
    for name in sorted(wanted.keys() ^ state.keys()):
        lacks = "lacks" if name in wanted else "has, and should not,"
        raise WeightsError(f"{source} is of another architecture: it {lacks} {name}")
    for name, tensor in wanted.items():
        if tensor.shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            raise WeightsError(f"{source} is of another architecture: {name} is {shapes}")
    module.load_state_dict({name: value.to(wanted[name].dtype) for name, value in state.items()})
