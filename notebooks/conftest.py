"""nbval compares printed text and not pictures; numbers that a notebook emits may differ from one CPU to another."""

import pytest

from nstlab.experiments.results import RESULT


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.suffix == ".ipynb":  # a cell; those of one notebook need the same kernel, hence the same worker
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    for file in {item.parent for item in items}:
        if RESULT not in getattr(file, "skip_compare", RESULT):
            file.skip_compare = (*file.skip_compare, RESULT)
