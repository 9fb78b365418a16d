"""The pictures in figures/, each made by a notebook: the list is figures/figures.json, and each picture says its recipe.

A notebook's text shows one as `![what it shows](attachment:NAME.jpg)`, and the part of SIDE x SIDE pixels from (X, Y) on,
enlarged, as `attachment:NAME_X_Y_SIDE.jpg`. The picture itself is attached to the cell when the notebook is built.
"""

import base64
import io
import json
import os
import re
import sys
import time
from pathlib import Path

from PIL import Image

from nstlab.errors import NstlabError, SettingError, nearest
from nstlab.experiments import run_notebook as rerun
from nstlab.experiments.recipe import stamped
from nstlab.files import atomic_write

CLOSE_UP = 280  # pixels along the side of a part
SHOWN = re.compile(r"\(attachment:(([\w-]+?)(?:_(\d+)_(\d+)_(\d+))?\.jpg)\)")
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


def attach(notebook, folder="figures") -> None:
    """Attach to each Markdown cell the figures that its text shows, and no others. Raises SettingError if one is missing."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.pop("attachments", None)
            if found := {name: {"image/jpeg": _jpeg(folder, *part)} for name, *part in SHOWN.findall(cell.source)}:
                cell.attachments = found


def _jpeg(folder, figure: str, left: str, top: str, side: str) -> str:
    """A figure, or its part, as base64 of a JPEG."""
    path = Path(folder, f"{figure}.png")
    if not path.exists():
        raise SettingError(f"a notebook shows {path}, which is not there: make it, or name one that is")
    picture, out = Image.open(path).convert("RGB"), io.BytesIO()
    if side:
        x, y, wide = int(left), int(top), int(side)
        picture = picture.resize((CLOSE_UP, CLOSE_UP), Image.Resampling.BICUBIC, (x, y, x + wide, y + wide))
    picture.save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode("ascii")


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
