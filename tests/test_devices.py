"""Devices by name, the memory they offer, and the memory a run keeps."""

import platform
from types import SimpleNamespace

import psutil
import pytest
import torch

from nstlab import devices
from nstlab.devices import best_device, keep_memory
from nstlab.errors import SettingError

BYTES = 64 * 2**20


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize("name", ["meta", "cuda:99", "tpu", "", 3.5, torch.device("meta")])
def test_a_device_that_cannot_compute_is_refused(name):
    with pytest.raises(SettingError, match="use auto or cpu"):
        best_device(name)


def test_the_cpu_is_there():
    assert best_device("cpu") == best_device(torch.device("cpu")) == torch.device("cpu")
    assert best_device().type in ("cpu", "cuda", "mps")


def test_what_torch_has_reserved_and_does_not_use_is_free(monkeypatch):
    told = SimpleNamespace(mem_get_info=lambda d: (100, 1000), memory_reserved=lambda d: 700, memory_allocated=lambda d: 50)
    monkeypatch.setattr(torch, "cuda", told)
    assert devices.available_memory(torch.device("cuda")) == 750


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told how to hand out memory")
def test_memory_that_was_freed_is_kept_within_the_context_alone(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    with keep_memory():
        with keep_memory():
            block = torch.full((BYTES,), 1, dtype=torch.uint8)
        used = resident()
        del block
        held = resident()
        assert used - held < 0.1 * BYTES
    assert held - resident() > 0.9 * BYTES


def test_importing_changes_nothing_and_leaving_resets(monkeypatch):
    calls = []
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    monkeypatch.setattr(devices, "_c_function", lambda name: lambda *numbers: calls.append((name, *numbers)))
    with pytest.raises(ValueError), keep_memory():
        assert calls == [("mallopt", -4, 0), ("mallopt", -1, -1)]
        raise ValueError
    assert [call[:2] for call in calls[2:]] == [("mallopt", -4), ("mallopt", -3), ("mallopt", -1), ("malloc_trim", 0)]


def test_whoever_chose_in_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    monkeypatch.setattr(devices, "_c_function", lambda name: pytest.fail("asked for mallopt"))
    with keep_memory():
        pass
