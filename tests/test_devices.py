import platform

import psutil
import pytest
import torch

from nstlab.devices import free_memory, keep_memory

resource = pytest.importorskip("resource")  # not there on Windows
MEGABYTES = 64


def fresh_pages() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.full((MEGABYTES, 2**20), 1, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told how to hand out memory")
def test_memory_that_was_freed_is_used_again_until_it_is_given_back(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    keep_memory()
    fresh_pages()
    assert fresh_pages() < MEGABYTES * 256 / 10  # pages of 4 kB: 256 a megabyte
    held = psutil.Process().memory_info().rss
    free_memory()
    assert held - psutil.Process().memory_info().rss > 0.9 * MEGABYTES * 2**20


def test_whoever_chose_in_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    monkeypatch.setattr("nstlab.devices._c_function", lambda name: pytest.fail("asked for mallopt"))
    keep_memory()
