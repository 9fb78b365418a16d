"""How pytest-xdist shares the tests of notebooks and the README among its workers."""

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """In the order in which they are collected, each test by itself, but those of `scope` together."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope(nodeid)

    return Scheduling(config, log)


def scope(nodeid: str) -> str:
    """The cells of a notebook need one kernel; its exercises share what stands above them."""
    file = nodeid.split("::")[0]
    if file.endswith(".ipynb"):
        return file
    return nodeid.rpartition("-")[0] if "test_exercises.py" in file else nodeid
