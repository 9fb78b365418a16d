"""The commands that run notebooks again: `nstlab sweep` over a grid of values, `nstlab recipe` for one picture."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from nstlab.errors import SettingError
from nstlab.options import split


def sweep(
    notebook: Annotated[Path, typer.Argument(help="The notebook to run.")],
    grid: Annotated[
        list[str],
        typer.Option(help="NAME=V1,V2,...: values for a parameter of the notebook; lists as [1,2],[3,4]. Repeatable."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures, the tables and the contact sheet.")],
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time on this machine; else one for each of up to 4 cores.")
    ] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a dask cluster, such as tcp://host:8786.")] = None,
):
    """Run a notebook once for each combination of values. Started again, it runs only what is missing."""
    from nstlab.experiments.sweep import Sweep

    if jobs is not None and dask is not None:
        raise SettingError("give --jobs for this machine or --dask for a cluster, not both")
    made = Sweep(notebook, parse_grid(grid), out)
    total, todo, old = len(made.cells), len(made.missing()), made.outdated()
    if old:
        print(f"note: {notebook} has changed since {old} of these runs: they are made again", file=sys.stderr)
    if todo < total:
        print(f"note: {total - todo} of {total} runs are done already", file=sys.stderr)
    stopped, before = False, signal.signal(signal.SIGINT, _stop)
    try:
        _follow(made, total - todo, jobs, dask)
    except KeyboardInterrupt:
        stopped = True
    finally:
        signal.signal(signal.SIGINT, before)
    rows = made.write()
    print(*(made.folder / name for name in ("table.csv", "table.json", "contact.png")), sep="\n")
    failed, missing = ([row for row in rows if row["status"] == status] for status in ("failed", "missing"))
    if failed:
        print(f"{len(failed)} of {total} runs failed: the same command tries them again", file=sys.stderr)
    if stopped:
        print(f"stopped with {len(missing)} of {total} runs to go: the same command goes on", file=sys.stderr)
        raise typer.Exit(130)
    raise typer.Exit(1 if failed else 0)


def _stop(number, frame):
    print("\nstopping the runs that are under way", file=sys.stderr)
    raise KeyboardInterrupt


def parse_grid(texts) -> dict[str, list[str]]:
    """{"size": ["64", "128"]} from ["size=64,128"]. Raises SettingError."""
    grid = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        values = split(values)
        if not equals or not name or not all(values):
            raise SettingError(f"grid '{text}': write it as NAME=V1,V2, such as style_weight=1,10,100")
        if name in grid:
            raise SettingError(f"grid: {name} is given twice; write all its values in one --grid {name}=V1,V2")
        grid[name] = values
    return grid


def _follow(made, done: int, jobs: int | None, address: str | None) -> None:
    """Run what is missing: a line on stderr as each run ends, and a bar below on a terminal."""
    from tqdm import tqdm

    total, tty = len(made.cells), sys.stderr.isatty()
    layout = "{percentage:3.0f} % |{bar:30}| {n_fmt} of {total_fmt} runs, {remaining} left"
    with tqdm(total=total, initial=done, bar_format=layout, file=sys.stderr, disable=not tty, leave=False) as bar:
        for number, (cell, row) in enumerate(made.perform(jobs, address), done + 1):
            took = "" if row["seconds"] is None else f"  {row['seconds']:.0f} s"
            said = f"  failed: {row['error']}" if row["error"] else ""
            tqdm.write(
                f"{number:{len(str(total))}} of {total}  {cell.label.replace(chr(10), ', ')}{took}{said}", file=sys.stderr
            )
            bar.update()


def recipe(file: Annotated[Path, typer.Argument(help="A picture that nstlab saved.")]):
    """Print the command that makes a picture again."""
    from nstlab.experiments.recipe import command, notes

    for note in notes(file):
        print(f"note: {note}", file=sys.stderr)
    print(command(file, sys.stdout.encoding or "utf-8"))
