import platform

import psutil
import pytest
import torch

from nstlab.devices import free_memory, keep_memory

BYTES = 64 * 2**20


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told how to hand out memory")
def test_memory_that_was_freed_is_kept_until_it_is_given_back(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    keep_memory()
    block = torch.full((BYTES,), 1, dtype=torch.uint8)
    used = resident()
    del block
    held = resident()
    assert used - held < 0.1 * BYTES
    free_memory()
    assert held - resident() > 0.9 * BYTES


def test_whoever_chose_in_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    monkeypatch.setattr("nstlab.devices._c_function", lambda name: pytest.fail("asked for mallopt"))
    keep_memory()
