"""Checks of the exercises, and of a notebook's parameters."""

import torch

from nstlab.errors import check_count, check_seed


def check(right: bool, hint: str = "") -> None:
    """Say whether an exercise is solved; while it is not, say the hint."""
    print("Right." if right else f"Not yet. {hint}")


def whole_numbers(**parameters) -> list[int]:
    """The values of a notebook's parameters as whole numbers, in the order given; `seed` may be 0.

    papermill and sweeps may pass 48.0 or "48" for 48. Raises SettingError that names the parameter and its value.
    """
    return [check_seed(value) if name == "seed" else check_count(name, value) for name, value in parameters.items()]


def residue(picture: torch.Tensor, scraps: list[torch.Tensor]) -> float:
    """Mean difference of a picture from the best weighted sum of others of its shape: 0 for what was only laid together."""
    given = torch.stack([scrap.flatten() for scrap in scraps], 1).double()
    wanted = picture.flatten().double()
    gram = given.T @ given + 1e-9 * torch.eye(len(scraps), dtype=torch.float64)
    weights = torch.linalg.solve(gram, given.T @ wanted)
    return (wanted - given @ weights).abs().mean().item()


def disc(height: int, width: int, radius: float) -> torch.Tensor:
    """Map (1, 1, H, W): 1 within `radius` pixels of the centre, 0 elsewhere."""
    down, across = torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    return (down[:, None].square() + across.square() < radius**2).float()[None, None]
