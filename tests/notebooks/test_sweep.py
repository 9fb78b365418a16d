"""Sweeps with real clusters and kernels: killed half-way, with a run that fails, stopped by hand."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

NSTLAB = Path(sys.executable).with_name("nstlab")
PARAMETERS = 'colour = "red"\nwidth = 40\nwait = 0.4\nout = ""'
WORK = """
import time
from pathlib import Path
from PIL import Image
from nstlab.experiments.results import emit
time.sleep(wait)
with Path("ran.txt").open("a") as log:  # the notebook's own folder
    print(colour, width, file=log)
assert (colour, width) != ("gold", 60), "no wall is that golden"
Image.new("RGB", (width, 30), colour).save(out)
emit(area=30 * width)
"""
GRID = ["--grid", "colour=red,teal,tan,gold", "--grid", "width=40,50,60"]


@pytest.fixture
def notebook(tmp_path):
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(WORK)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "walls.ipynb")
    return tmp_path / "walls.ipynb"


@pytest.fixture(scope="module")
def cluster():
    from dask.distributed import LocalCluster

    os.environ.setdefault("NSTLAB_HEADLESS", "1")
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made.scheduler_address


def sweep(notebook, *words, **options):
    command = [NSTLAB, "sweep", notebook, "-o", notebook.parent / "made", *words]
    return subprocess.Popen(
        [str(word) for word in command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def stop_after(process, runs, count, number):
    """Send the signal once so many runs are on file; what is on file then."""
    end = time.monotonic() + 300
    while len(records(runs)) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=120)[1]
    return said, {path: path.stat().st_mtime_ns for path in records(runs)}


def records(runs):
    """Those that are whole: a hidden file is one that is being written."""
    return list(runs.glob("[!.]*.json"))


def test_twelve_runs_killed_half_way_and_one_that_fails(notebook, cluster):
    made, log = notebook.parent / "made", notebook.parent / "ran.txt"
    first = sweep(notebook, *GRID, "--dask", cluster, start_new_session=True)
    _, done = stop_after(first, made / "runs", 5, signal.SIGKILL)
    assert 5 <= len(done) < 11 and not (made / "table.csv").exists()
    second = sweep(notebook, *GRID, "--dask", cluster)
    said = second.communicate(timeout=300)[1]
    assert second.returncode == 1 and "1 of 12 runs failed" in said, said
    assert f"{len(done)} of 12 runs are done already" in said and said.count(" of 12  colour") == 12 - len(done)
    assert said.count("failed: AssertionError: no wall is that golden") == 1
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    ran = log.read_text().splitlines()
    kept = [json.loads(path.read_text())["parameters"] for path in done]
    assert len(set(ran)) == 12 and all(ran.count(f"{p['colour']} {p['width']}") == 1 for p in kept)
    assert max(ran.count(line) for line in ran) <= 2  # what was not on file yet when it was killed is run again, once
    rows = json.loads((made / "table.json").read_text())["rows"]
    assert [row["status"] for row in rows] == ["done"] * 11 + ["failed"]
    assert rows[4]["parameters"] == {"colour": "teal", "width": 50} and rows[4]["results"] == {"area": 1500}
    with Image.open(made / rows[4]["picture"]) as picture:
        assert picture.size == (50, 30)
    assert len((made / "table.csv").read_text().splitlines()) == 13 and (made / "contact.png").exists()


def test_ctrl_c_ends_it_cleanly(notebook):
    runs = notebook.parent / "made" / "runs"
    stopped = sweep(notebook, *GRID[:2], "--grid", "wait=1.5", "--jobs", 1, start_new_session=True)
    said, done = stop_after(stopped, runs, 1, signal.SIGINT)
    assert stopped.returncode == 130 and "Traceback" not in said
    assert f"stopped with {4 - len(done)} of 4 runs to go: the same command goes on" in said
    assert (notebook.parent / "made" / "contact.png").exists()
