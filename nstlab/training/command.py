"""The command line of a training whose result ships with the package."""

import argparse
from pathlib import Path


def parser(description: str, steps: int, out: Path) -> argparse.ArgumentParser:
    """A parser with the options `--steps`, `--seed`, `--out`, `--folder` and `--resume`; `steps` and `out` are defaults."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--steps", type=int, default=steps)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", type=Path, default=out, help="file to write")
    made.add_argument("--folder", type=Path, help="folder for checkpoints and the log")
    made.add_argument("--resume", action="store_true", help="continue from the folder's checkpoint, if there is one")
    return made
