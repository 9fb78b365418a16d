"""Every notebook: committed with fresh outputs, and runs with other pictures, sizes and seeds, the network cut off."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from nstlab.experiments import results

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9]*.ipynb"))
OFFLINE = Path(__file__).parent / "offline"
OTHER = {"content": "cat", "style": "great-wave", "size": 96.0, "steps": "6", "seed": 1}  # as papermill may pass them
FEWER = {"rounds": 60, "patch_steps": 12, "pixel_steps": 6}  # of what some notebooks repeat


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" and cell.source.strip()]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_outputs_are_fresh(path):
    read = nbformat.read(path, 4)
    assert [cell.execution_count for cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))
    fix = f"run: python run.py notebooks {path.stem}"
    assert read.metadata.get("nstlab", {}).get("source_sha") == results.source_hash(read), fix
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_is_built_as_every_notebook(path):
    cells = code_cells(path)
    (parameters,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = re.findall(r"^(\w+) *=", parameters.source, re.M)
    assert names[:6] == ["content", "style", "size", "steps", "seed", "out"] and len(names) <= 8
    assert all(cell.source.count("\n") < 25 for cell in cells)
    assert any({"image/png", "image/jpeg"} & set(output.get("data", {})) for cell in cells for output in cell.outputs)
    assert results.results_of(path)
    if not path.stem.startswith(("00", "20")):
        assert sum("### BEGIN SOLUTION" in cell.source for cell in cells) >= 3
        text = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
        assert text.count("Right.") >= 3 and "Not yet" not in text


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all notebooks, emptied before each; that each runs in a new one is what nbval shows."""
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


AFRESH = "%reset -f\nimport torch\n\ntorch.set_grad_enabled(True)"  # 01 leaves gradients off, in the kernel that all share


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_runs_with_other_parameters(path, kernel, tmp_path, monkeypatch):
    monkeypatch.delenv("NSTLAB_HEADLESS", raising=False)  # nobody is told to set it
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")])))
    lesson, made, picture = tmp_path / "lesson.ipynb", tmp_path / "made.ipynb", tmp_path / "picture.png"
    read = nbformat.read(path, 4)
    read.cells.insert(0, nbformat.v4.new_code_cell(AFRESH))
    nbformat.write(read, lesson)
    known = papermill.inspect_notebook(path)
    parameters = OTHER | {name: value for name, value in FEWER.items() if name in known} | {"out": str(picture)}
    papermill.execute_notebook(lesson, made, parameters, kernel_name="python3", progress_bar=False, cwd=FOLDER, km=kernel)
    assert results.results_of(made)
    assert picture.exists()


def test_the_network_is_cut_off(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(OFFLINE))
    command = [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 5)"]
    assert (
        "the network is cut off: no connection to 192.0.2.1" in subprocess.run(command, capture_output=True, text=True).stderr
    )
