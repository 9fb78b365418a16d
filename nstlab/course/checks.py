"""Checks of the exercises, and of a notebook's parameters."""

from nstlab.errors import check_count, check_seed


def check(right: bool, hint: str = "") -> None:
    """Say whether an exercise is solved; while it is not, say the hint."""
    print("Right." if right else f"Not yet. {hint}")


def whole_numbers(**parameters) -> list[int]:
    """The values of a notebook's parameters as whole numbers, in the order given; `seed` may be 0.

    papermill and sweeps may pass 48.0 or "48" for 48. Raises SettingError that names the parameter and its value.
    """
    return [check_seed(value) if name == "seed" else check_count(name, value) for name, value in parameters.items()]
