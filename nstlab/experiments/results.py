"""What a notebook says to whoever runs it: its results, whether somebody is at the controls, which code made its outputs."""

import hashlib
import json
import os
import sys
from pathlib import Path

from nstlab.errors import SettingError

RESULT = "application/vnd.nstlab.result+json"
HOSTED = "hosted"  # tag of the cells that are no part of the lesson: badges, installation (course/publish.py)


def headless() -> bool:
    """Whether nobody is at the controls, so that panels run to their end.

    NSTLAB_HEADLESS says so (1 or 0). Without it, nobody is there if whoever sent the cell takes no questions: papermill, nbval
    and nbconvert do not, JupyterLab does. What Voila serves is looked at, and so is Colab, whether they take any or not.
    """
    said = os.environ.get("NSTLAB_HEADLESS", "")
    if said or os.environ.get("SERVER_SOFTWARE", "").startswith("voila") or "google.colab" in sys.modules:
        return said not in ("", "0")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    message = shell.kernel.get_parent() if hasattr(shell, "kernel") else {}
    return not message.get("content", {}).get("allow_stdin", True)


def emit(**results) -> None:
    """Show a notebook's results and store them in its output, where `results_of` finds them after papermill."""
    from IPython.display import display

    shown = {key: float(f"{value:.1g}") if isinstance(value, float) else value for key, value in results.items()}
    display({RESULT: results, "text/plain": f"results: {', '.join(shown)}"}, raw=True)


def results_of(path) -> dict:
    """What the notebook at `path` emitted last; raises SettingError if it emitted nothing."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    found = [out["data"][RESULT] for cell in cells for out in cell.get("outputs", []) if RESULT in out.get("data", {})]
    if not found:
        raise SettingError(f"{path} has emitted no results: run it to its end first")
    return found[-1]


def source_hash(notebook) -> str:
    """Hash of the lesson's code cells: outputs are stale when it differs from the one stored when they were made."""
    lesson = [cell for cell in notebook.cells if HOSTED not in cell.metadata.get("tags", [])]
    code = "\0".join(cell.source for cell in lesson if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]
