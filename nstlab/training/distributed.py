"""One training in several processes, by Lightning Fabric under torchrun: gloo on CPUs, nccl on GPUs; or in this one alone."""

import os
import sys
import time

import torch

from nstlab.data import Batch
from nstlab.devices import best_device


def processes() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def own_device(device: str) -> torch.device:
    """The named device ("auto": the best there is); of several GPUs under torchrun the one of this process."""
    found = best_device(device)
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if found.type == "cuda" and processes() > 1 else found


def start(device: str, precision: str):
    """The Fabric of this process, launched. `precision` is "fp32" or "bf16" (mixed)."""
    from lightning_fabric import Fabric

    found = own_device(device)
    accelerator = found.type if found.type in ("cuda", "mps") else "cpu"
    options = {"accelerator": accelerator, "precision": "bf16-mixed" if precision == "bf16" else "32-true"}
    if processes() > 1:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", processes()))
        options |= {"devices": here, "num_nodes": processes() // here, "strategy": "ddp"}
    else:
        options |= {"devices": 1 if accelerator == "cpu" or found.index is None else [found.index]}
    fabric = Fabric(**options)
    fabric.launch()
    return fabric


def mean(fabric, value: torch.Tensor) -> torch.Tensor:
    """The mean of each process's value, which stays as it is."""
    if fabric.world_size == 1:
        return value
    return _sum(value) / fabric.world_size


def gathered(fabric, own: torch.Tensor) -> torch.Tensor:
    """What each process has (...), in all of them: (processes, ...), to the last bit."""
    if fabric.world_size == 1:
        return own[None]
    whole = own.new_zeros(fabric.world_size, *own.shape)
    whole[fabric.global_rank] = own
    return _sum(whole)


def _sum(value: torch.Tensor) -> torch.Tensor:
    """The sum of each process's value."""
    total = value.clone()
    ours = sys.getrefcount(total)
    torch.distributed.all_reduce(total)
    while total.device.type == "cpu" and sys.getrefcount(total) > ours:
        time.sleep(1e-4)  # gloo's thread still holds it: letting go while Python exits would abort the process
    return total


def parts(batch: Batch, count: int) -> list[Batch]:
    """A batch as `count` batches of the same size."""
    share = len(batch.names) // count
    guides = [None] * count if batch.guides is None else batch.guides.split(share)
    names = [batch.names[share * number : share * (number + 1)] for number in range(count)]
    return [Batch(*part) for part in zip(batch.images.split(share), guides, names, strict=True)]
