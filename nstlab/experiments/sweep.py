"""A grid of values through a notebook: papermill runs each, dask spreads them, the folder remembers what is done."""

import contextlib
import csv
import hashlib
import io
import itertools
import json
import logging
import os
import re
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nstlab.errors import SettingError, check_count
from nstlab.experiments import run_notebook as rerun
from nstlab.experiments.contact_sheet import contact_sheet
from nstlab.experiments.recipe import stamped
from nstlab.files import atomic_write, reason


@dataclass(frozen=True)
class Cell:
    """One run of the grid: its values {parameter: value}, a `label` of those that vary, the `stem` of its files."""

    values: dict
    label: str
    stem: str


class Sweep:
    """The runs of a notebook over a grid {parameter: [values]}, kept in `folder`.

    `perform` runs what is missing, `write` the tables and the contact sheet. A run counts as done once its record,
    `runs/STEM.json`, is written (last, and whole); the record names the notebook's code and the values, so results of
    another version of the notebook are not taken for this one's. Raises SettingError.
    """

    def __init__(self, notebook, grid: dict[str, list], folder):
        self.notebook, self.folder = rerun.read(notebook), Path(folder)
        if "out" in grid:
            raise SettingError("out: each run saves its picture in the sweep's folder, so leave it out of the grid")
        self.grid = {name: _values(self.notebook, name, values) for name, values in grid.items()}
        if not self.grid:
            raise SettingError("a sweep needs a grid: give values to a parameter, such as style_weight=1,10,100")
        self.runs, self.failures = self.folder / "runs", {}
        self.cells = [self._cell(values) for values in itertools.product(*self.grid.values())]
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"{self.folder} cannot be the sweep's folder ({error.strerror}): choose another") from None
        others = {record["notebook"] for record in map(_load, self.runs.glob("*.json")) if record} - {self.notebook.path.name}
        if others:
            raise SettingError(f"{self.folder} holds a sweep of {others.pop()}: choose another folder for this notebook")

    def _cell(self, values) -> Cell:
        values = dict(zip(self.grid, values, strict=True))
        varying = {name: value for name, value in values.items() if len(self.grid[name]) > 1} or values
        label = "\n".join(f"{name} = {_short(value)}" for name, value in varying.items())
        readable = re.sub(r"[^\w.=-]+", "-", "_".join(f"{name}={_short(value)}" for name, value in values.items()))[:80]
        return Cell(values, label, f"{readable}_{_hash(values)[:6]}")

    def record(self, cell: Cell) -> dict | None:
        """What is on file of a run if it is done, with this very notebook and these values; else None."""
        found = _load(self.runs / f"{cell.stem}.json")
        same = found and found["source"] == self.notebook.source and found["parameters"] == cell.values
        return found if same and (not found["picture"] or (self.folder / found["picture"]).exists()) else None

    def missing(self) -> list[Cell]:
        """The runs that are not done."""
        return [cell for cell in self.cells if self.record(cell) is None]

    def outdated(self) -> int:
        """How many runs were made by another version of the notebook."""
        found = [_load(self.runs / f"{cell.stem}.json") for cell in self.cells]
        return sum(record is not None and record["source"] != self.notebook.source for record in found)

    def perform(self, jobs: int | None = None, address: str | None = None) -> Iterator[tuple[Cell, dict]]:
        """Run what is missing on `jobs` processes here, or on the dask cluster at `address`; yield each run as it ends.

        What is yielded is the run's row of the table. Closing the iterator ends the runs that are under way.
        """
        todo = self.missing()
        if not todo:
            return
        has_out = {"out": ""} if "out" in self.notebook.parameters else {}
        where = str(self.notebook.path.resolve().parent)
        tasks = [(self.notebook.text, {**cell.values, **has_out}, where, f"{cell.stem}.png") for cell in todo]
        for number, made in _spread(tasks, jobs, address):
            yield todo[number], self._keep(todo[number], made)

    def _keep(self, cell: Cell, made: dict) -> dict:
        """Write what a run has left behind, the record last; return its row."""
        notebook, picture, record = (self.runs / f"{cell.stem}{suffix}" for suffix in (".ipynb", ".png", ".json"))
        for old in (record, picture, notebook):
            old.unlink(missing_ok=True)
        if made["notebook"]:
            _write(notebook, made["notebook"].encode())
        if made["error"]:
            self.failures[cell.stem] = {"seconds": made["seconds"], "error": made["error"]}
            return self.row(cell)
        if made["picture"]:
            values = {name: value for name, value in {**self.notebook.parameters, **cell.values}.items() if name != "out"}
            _write(picture, stamped(made["picture"], self.notebook.path.as_posix(), values))
        kept = {"notebook": self.notebook.path.name, "source": self.notebook.source, "parameters": cell.values}
        kept |= {"seconds": made["seconds"], "results": made["results"]}
        kept["picture"] = f"runs/{picture.name}" if made["picture"] else None
        _write(record, json.dumps(kept, indent=1).encode())
        return self.row(cell)

    def row(self, cell: Cell) -> dict:
        """{"parameters", "status": done, failed or missing, "seconds", "error", "picture", "results"} of a run."""
        found = self.record(cell) or {}
        status = "done" if found else "failed" if cell.stem in self.failures else "missing"
        found = found or self.failures.get(cell.stem, {})
        row = {"parameters": cell.values, "status": status}
        row |= {key: found.get(key) for key in ("seconds", "error", "picture")}
        return row | {"results": found.get("results", {})}

    def write(self) -> list[dict]:
        """Write table.csv, table.json and contact.png into the folder; return the table, in the order of the grid."""
        rows = [self.row(cell) for cell in self.cells]
        table = {"notebook": self.notebook.path.name, "source": self.notebook.source, "rows": rows}
        _write(self.folder / "table.json", json.dumps(table, indent=1).encode())
        _write(self.folder / "table.csv", _csv(rows).encode())
        tiles = []
        for cell, row in zip(self.cells, rows, strict=True):
            picture = self.folder / row["picture"] if row["picture"] else None
            instead = "no picture" if row["status"] == "done" else "\n".join(filter(None, (row["status"], row["error"])))
            tiles.append((picture, cell.label, instead))
        varying = [len(values) for values in self.grid.values() if len(values) > 1] or [1]
        contact_sheet(tiles, varying[-1] if len(varying) > 1 else 4, self.folder / "contact.png")
        return rows


def _values(notebook, name: str, values) -> list:
    made = [rerun.converted(notebook, name, value) for value in values]
    if not made:
        raise SettingError(f"{name} has no values: write them with commas between, such as {name}=1,10,100")
    return [value for number, value in enumerate(made) if value not in made[:number]]


def _short(value) -> str:
    """A value as a label says it: of a picture file its name."""
    return Path(value).stem if isinstance(value, str) and Path(value).is_absolute() else str(value)


def _hash(values: dict) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> dict | None:
    """A run's record, or None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if {"notebook", "source", "parameters", "picture"} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, data: bytes) -> None:
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {reason(error)}") from None


def _csv(rows: list[dict]) -> str:
    """The rows as CSV, a column for each parameter and each result; results within results are named a.b."""
    found = [flat(row["results"]) for row in rows]
    parameters, results = list(rows[0]["parameters"]), list(dict.fromkeys(name for results in found for name in results))
    taken = {*parameters, "status", "seconds", "error", "picture"}
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    shown = [f"result.{name}" if name in taken else name for name in results]
    out.writerow([*parameters, "status", "seconds", *shown, "picture", "error"])
    for row, own in zip(rows, found, strict=True):
        values = [*row["parameters"].values(), row["status"], row["seconds"], *(own.get(name) for name in results)]
        out.writerow([*values, row["picture"], row["error"]])
    return text.getvalue()


def flat(results: dict, before: str = "") -> dict:
    """Results with those within results named a.b."""
    found = {}
    for name, value in results.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _spread(tasks: list[tuple], jobs: int | None, address: str | None) -> Iterator[tuple[int, dict]]:
    """`rerun.execute` each task's arguments on a cluster; yield (number of the task, what came of it) as they end."""
    rerun.need("dask", "distributed")
    from dask.distributed import as_completed

    with _cluster(jobs, address, len(tasks)) as client:
        doing = {client.submit(rerun.execute, *task, pure=False): number for number, task in enumerate(tasks)}
        for future in as_completed(list(doing)):
            try:
                made = future.result()
            except Exception as error:  # its worker died, or cannot load nstlab, or the cluster went away
                said = f"{type(error).__name__}: {error}".splitlines()[-1]
                made = {"seconds": None, "notebook": None, "results": {}, "picture": None, "error": said}
            yield doing.pop(future), made


@contextlib.contextmanager
def _cluster(jobs: int | None, address: str | None, runs: int):
    """A dask client: of the cluster at `address`, else of processes started here, one run each, that share the cores."""
    from dask.distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told by the run's row
    if address:
        try:
            client = Client(address, timeout=10)
        except (OSError, ValueError) as error:
            raise SettingError(f"no dask scheduler answers at {address} ({' '.join(str(error).split())[:80]})") from None
        with client:
            if not client.scheduler_info()["workers"]:
                warnings.warn(f"the cluster at {address} has no workers yet: waiting for one", stacklevel=3)
            yield client
        return
    cores = os.cpu_count() or 1
    jobs = min(runs, check_count("jobs", min(4, cores) if jobs is None else jobs))
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // jobs))
    options = {"n_workers": jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": None, "memory_limit": 0}
    options |= {"silence_logs": logging.CRITICAL, "env": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}}
    with _deaf_to_interrupts():
        cluster = LocalCluster(**options)
    with cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def _deaf_to_interrupts():
    """Processes started in here do not hear Ctrl-C, which a terminal sends to all: this one tells them when to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
