"""Where to compute, with how many bits, and with how much memory."""

import contextlib
import ctypes
import os
import sys
import threading
from pathlib import Path

import torch

from nstlab.errors import SettingError, choose

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # parameters of mallopt in the GNU C library


def best_device(name: str = "auto") -> torch.device:
    """The named device, or with "auto" the best there is: CUDA, then MPS, then the CPU.

    Raises SettingError for a device that is not there or cannot compute, such as "meta".
    """
    if name != "auto":
        try:
            found = torch.zeros(1, device=name)
            found.item()  # "meta" has no numbers
            return found.device
        except (RuntimeError, AssertionError, TypeError, ImportError):
            raise SettingError(f"device '{name}' is not available here: use auto or cpu") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively. Emulated bfloat16 is about ten times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def precision_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The torch dtype of "auto" (bf16 where it is native), "bf16" or "fp32". Raises SettingError for other names."""
    choose("precision", precision, ("auto", "bf16", "fp32"))
    if precision == "auto":
        precision = "bf16" if native_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _c_function(name: str):
    """A function of the GNU C library, or None where another C library is used."""
    try:
        return getattr(ctypes.CDLL(None), name) if sys.platform == "linux" else None
    except (OSError, AttributeError):
        return None


_keeping = threading.Lock()
_keepers = 0


@contextlib.contextmanager
def keep_memory():
    """Within this context the process keeps the CPU memory it frees, for the next step of a run; afterwards it is given back.

    Otherwise each large tensor is made of fresh pages, which the kernel clears one by one: an eighth of the time of a run at
    1024 px. Contexts may overlap, also in several threads. Works with the GNU C library only, and does nothing if
    MALLOC_MMAP_MAX_ is set in the environment.
    """
    global _keepers
    mallopt = None if "MALLOC_MMAP_MAX_" in os.environ else _c_function("mallopt")
    if not mallopt:
        yield
        return
    with _keeping:
        _keepers += 1
        if _keepers == 1:
            mallopt(M_MMAP_MAX, 0)  # no allocation gets pages of its own
            mallopt(M_TRIM_THRESHOLD, -1)  # the end of the heap stays
    try:
        yield
    finally:
        with _keeping:
            _keepers -= 1
            if _keepers == 0:
                # glibc's defaults. Its thresholds no longer adapt once they were set, so they get the highest values that
                # they would have adapted to.
                mallopt(M_MMAP_MAX, 65536)
                mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
                mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
                free_memory()


def free_memory() -> None:
    """Give CPU memory that this process has freed back to the system."""
    trim = _c_function("malloc_trim")
    if trim:
        trim(0)


def available_memory(device: torch.device) -> int:
    """Bytes of memory that a run on this device may take now; on CUDA also those that torch has reserved and does not use."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    import psutil

    free, limit = psutil.virtual_memory().available, Path("/sys/fs/cgroup/memory.max")
    with contextlib.suppress(OSError, ValueError):  # a container may be allowed less than the machine has
        free = min(free, int(limit.read_text()) - int(limit.with_name("memory.current").read_text()))
    return free
