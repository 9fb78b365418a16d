"""Checks of the exercises."""


def check(right: bool, hint: str = "") -> None:
    """Say whether an exercise is solved; while it is not, say the hint."""
    print("Right." if right else f"Not yet. {hint}")
