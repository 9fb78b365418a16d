"""The pictures in figures/, each made by a notebook: the list is figures/figures.json, and each picture says its recipe."""

import json
import os
import sys
import time
from pathlib import Path

from nstlab.errors import NstlabError, SettingError, nearest
from nstlab.experiments import run_notebook as rerun
from nstlab.experiments.recipe import stamped
from nstlab.files import atomic_write

THREADS = "2"  # sums come out otherwise, in their last digits, on another number


def listed(folder="figures") -> dict[str, dict]:
    """{file name: {"notebook": path from the repository's root, "parameters": {name: value}}} of every figure."""
    return json.loads(Path(folder, "figures.json").read_text(encoding="utf-8"))


def full_recipe(notebook: str, parameters: dict) -> tuple[rerun.Notebook, dict]:
    """The notebook, and all its parameters with these values set: what its picture will carry. Raises SettingError."""
    read = rerun.read(notebook)
    given = {name: rerun.converted(read, name, value) for name, value in parameters.items()}
    return read, {name: value for name, value in {**read.parameters, **given}.items() if name != "out"}


def make(notebook: str, parameters: dict, path) -> Path:
    """Run the notebook in its folder and write its picture, with its recipe, to `path`. Raises SettingError."""
    path = Path(path)
    read, values = full_recipe(notebook, parameters)
    made = rerun.execute(read.text, {**values, "out": ""}, str(read.path.resolve().parent), path.name)
    if made["error"]:
        raise SettingError(f"{notebook} failed: {made['error']}")
    if made["picture"] is None:
        raise SettingError(f"{notebook} saved no picture to `out`: let it save one there")
    with atomic_write(path) as temporary:
        temporary.write_bytes(stamped(made["picture"], Path(notebook).as_posix(), values))
    return path


def main(names: list[str]) -> None:
    """Make the figures whose names begin with one of `names`, or all, in the folder `figures`."""
    figures = listed()
    chosen = [figure for figure in figures if not names or any(figure.startswith(Path(name).name) for name in names)]
    if not chosen:
        raise SettingError(f"no figure begins with {', '.join(names)}: {nearest(names[0], figures)}")
    for figure in chosen:
        path, started = Path("figures", figure), time.perf_counter()
        before = path.read_bytes() if path.exists() else None
        make(figures[figure]["notebook"], figures[figure]["parameters"], path)
        news = "new" if before is None else "same bytes" if before == path.read_bytes() else "changed"
        took, size = time.perf_counter() - started, path.stat().st_size // 1000
        print(f"{path}  {took:.0f} s  {size} kB  {news}", flush=True)


if __name__ == "__main__":
    os.environ |= {"NSTLAB_HEADLESS": "1", "OMP_NUM_THREADS": THREADS}
    try:
        main(sys.argv[1:])
    except NstlabError as error:
        sys.exit(f"figures: {error}")
