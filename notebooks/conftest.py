"""nbval compares printed text and not pictures; numbers that a notebook emits may differ from one CPU to another."""

from nstlab.experiments.results import RESULT


def pytest_collection_modifyitems(items):
    for file in {item.parent for item in items}:
        if RESULT not in getattr(file, "skip_compare", RESULT):
            file.skip_compare = (*file.skip_compare, RESULT)
