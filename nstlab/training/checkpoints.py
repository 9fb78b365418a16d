"""Checkpoints of a training: what it takes to go on with one. How they are written is in networks/saved.py."""

from pathlib import Path

import torch

from nstlab.errors import WeightsError
from nstlab.networks.saved import fill, part, read, write, write_network

__all__ = ["PLACES", "Snapshot", "fill", "pack", "part", "read", "sweep", "unpack", "write", "write_network"]

PLACES = ("content", "style", "real", "annotations", "left_out", "init_from")  # settings that name files, which may have moved


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written in a training's folder."""
    for pattern in (".last-*.safetensors", ".previous-*.safetensors", ".log-*.csv"):
        for left in folder.glob(pattern):
            left.unlink(missing_ok=True)


def pack(networks: dict, optimizers: dict, kept: dict) -> tuple[dict[str, torch.Tensor], dict]:
    """(all tensors by name, the other numbers of `kept` by name), for `unpack`. The tensors are not copies: they change with
    the training.

    `networks` and their `optimizers` go by the same names; `kept` are objects with state_dict and load_state_dict, and perhaps
    a `module`, whose tensors are then under "module" there.
    """
    tensors, numbers = {}, {}
    for name, network in networks.items():
        tensors |= _under(name, network.state_dict())
        for number, memory in optimizers[name].state_dict()["state"].items():
            tensors |= _under(f"optimizer.{name}.{number}", memory)
    for name, thing in kept.items():
        numbers[name] = dict(thing.state_dict())
        tensors |= _under(name, numbers[name].pop("module", {}))
    return tensors, numbers


def unpack(tensors: dict[str, torch.Tensor], numbers: dict, networks: dict, optimizers: dict, kept: dict, source) -> None:
    """Give everything back what `pack` took. Raises WeightsError where it does not fit; `source` is named in it."""
    for name, network in networks.items():
        fill(network, part(tensors, name), source)
        _fill_optimizer(optimizers[name], part(tensors, f"optimizer.{name}"), source)
    for name, thing in kept.items():
        if name not in numbers:
            raise WeightsError(f"{source} is of another architecture: it lacks {name}")
        state = dict(numbers[name])
        if hasattr(thing, "module"):
            fill(thing.module, part(tensors, name), source)
            state["module"] = thing.module.state_dict()
        thing.load_state_dict(state)


class Snapshot:
    """What `pack` gave at one moment, kept in memory that is allocated once and copied into: no step makes new tensors."""

    def __init__(self):
        self.tensors: dict[str, torch.Tensor] = {}
        self.info: dict | None = None  # None: nothing was taken yet
        self._memory: dict[str, torch.Tensor] = {}

    def take(self, tensors: dict[str, torch.Tensor], info: dict) -> None:
        """Copy the tensors by name, and keep what they belong to. An earlier moment is overwritten."""
        places: dict[torch.device, list] = {}
        for name, tensor in tensors.items():
            if name not in self._memory:
                self._memory[name] = torch.empty_like(tensor)
            places.setdefault(tensor.device, []).append((self._memory[name], tensor))
        for pairs in places.values():  # on a GPU one launch copies many tensors
            torch._foreach_copy_(*map(list, zip(*pairs, strict=True)))
        self.tensors, self.info = {name: self._memory[name] for name in tensors}, info


def _under(name: str, state: dict) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": torch.as_tensor(value).detach() for key, value in state.items()}


def _fill_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], source) -> None:
    """What an optimiser remembers of each of its weights; nothing, if it never made a step."""
    groups, state = optimizer.state_dict()["param_groups"], {}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for key, value in tensors.items():
        number, _, what = key.partition(".")
        if int(number) >= len(weights) or (value.ndim and value.shape != weights[int(number)].shape):
            raise WeightsError(f"{source} is of another architecture: the optimiser's {what} of weight {number} does not fit")
        state.setdefault(int(number), {})[what] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": groups})
