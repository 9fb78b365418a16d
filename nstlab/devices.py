"""Where to compute and with how many bits."""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

import torch

from nstlab.errors import SettingError, choose


def best_device(name: str = "auto") -> torch.device:
    """The named device, or with "auto" the best there is: CUDA, then MPS, then the CPU."""
    if name != "auto":
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError):
            raise SettingError(f"device '{name}' is not available here: use auto or cpu") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself. Emulated bfloat16 is about ten times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def precision_dtype(precision: str, device: torch.device) -> torch.dtype:
    """torch dtype of "auto" (bf16 where it is native), "bf16" or "fp32"."""
    choose("precision", precision, ("auto", "bf16", "fp32"))
    if precision == "auto":
        precision = "bf16" if native_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _c_function(name: str):
    """A function of the GNU C library, or None where there is another one."""
    try:
        return getattr(ctypes.CDLL(None), name) if sys.platform == "linux" else None
    except (OSError, AttributeError):
        return None


def keep_memory() -> None:
    """Let this process keep the memory it frees, for the next step of a run; `free_memory` gives it back.

    Without this each large tensor is fresh pages from the kernel, which clears them one by one: an eighth of the seconds of a
    run at 1024 px. Acts with the GNU C library alone; whoever set MALLOC_MMAP_MAX_ in the environment has chosen already.
    """
    mallopt = None if "MALLOC_MMAP_MAX_" in os.environ else _c_function("mallopt")
    if mallopt:
        mallopt(-4, 0)  # M_MMAP_MAX: no allocation has pages of its own
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: the end of the heap stays


def free_memory() -> None:
    """Give back to the system what this process keeps and does not use."""
    trim = _c_function("malloc_trim")
    if trim:
        trim(0)


def available_memory(device: torch.device) -> int:
    """Bytes that a run on this device may take now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    free, limit = psutil.virtual_memory().available, Path("/sys/fs/cgroup/memory.max")
    with contextlib.suppress(OSError, ValueError):  # a container may be allowed less than the machine has
        free = min(free, int(limit.read_text()) - int(limit.with_name("memory.current").read_text()))
    return free


keep_memory()
