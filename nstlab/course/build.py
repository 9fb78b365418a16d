"""Execute the committed notebooks and normalise their outputs: `python -m nstlab.course.build [NAME...]`."""

import json
import os
import re
import sys
from pathlib import Path

from nstlab.course import figures
from nstlab.experiments.results import source_hash
from nstlab.files import atomic_write

ADDRESS, TEMPORARY = re.compile(r"0x[0-9a-fA-F]{6,}"), re.compile(r"/tmp/ipykernel_\d+/")
WIDGETS = "application/vnd.jupyter.widget-state+json"


def execute(path: Path, timeout: int = 900):
    """Run the notebook at `path` in its own folder and return it with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    os.environ["NSTLAB_HEADLESS"] = "1"
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    return notebook


def normalize(notebook):
    """Take out all that differs between two runs: times, cell ids, widget ids, addresses. Returns the notebook."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "nstlab": {"source_sha": source_hash(notebook)},
        **({"widgets": notebook.metadata["widgets"]} if "widgets" in notebook.metadata else {}),
    }
    number_cells(notebook)
    for cell in notebook.cells:
        for key in ("execution", "papermill"):
            cell.metadata.pop(key, None)
        if "outputs" in cell:
            cell.outputs = _merge_streams(cell.outputs)
        for output in cell.get("outputs", []):
            for holder in (output, output.get("data", {})):
                for key in ("text", "text/plain"):
                    if isinstance(holder.get(key), str):
                        holder[key] = TEMPORARY.sub("/tmp/ipykernel/", ADDRESS.sub("0x0", holder[key]))
    return _rename_widgets(notebook)


def number_cells(notebook) -> None:
    """Let the ids of the cells be c000, c001, ..."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"c{number:03d}"


def _merge_streams(outputs):
    """Neighbouring pieces of one stream as one: where a kernel cuts what is printed depends on its pace."""
    merged = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _rename_widgets(notebook):
    """Number the widget models in the order in which outputs show them; drop those that none shows."""
    import nbformat

    state = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    shown = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    todo, order = [m for m in re.findall(r"[0-9a-f]{32}", shown) if m in state], []
    while todo:
        model = todo.pop(0)
        if model not in order:
            order.append(model)
            inside = json.dumps(state[model], sort_keys=True)
            todo += [m for m in re.findall(r"IPY_MODEL_([0-9a-f]{32})", inside) if m in state]
    for model in set(state) - set(order):
        del state[model]
    text = nbformat.writes(notebook)
    for number, model in enumerate(order):
        text = text.replace(model, f"{number:032x}")
    notebook = nbformat.reads(text, 4)
    if order:
        widgets = notebook.metadata["widgets"][WIDGETS]
        widgets["state"] = dict(sorted(widgets["state"].items()))
    else:
        notebook.metadata.pop("widgets", None)
    return notebook


def rebuild(path: Path) -> None:
    """Execute the notebook at `path`, normalise it, and write it back whole."""
    import nbformat

    notebook = normalize(execute(path))
    figures.attach(notebook, path.resolve().parent.parent / "figures")
    with atomic_write(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def main(names: list[str]) -> None:
    """Re-execute the notebooks whose names begin with one of `names`, or all, in the folder `notebooks`."""
    import time

    paths = sorted(Path("notebooks").glob("[0-9]*.ipynb"))
    chosen = [path for path in paths if not names or any(path.name.startswith(Path(name).name) for name in names)]
    if not chosen:
        raise SystemExit(f"no notebook begins with {', '.join(names)}: there are {', '.join(p.stem for p in paths)}")
    for path in chosen:
        started = time.perf_counter()
        rebuild(path)
        print(f"{path}  {time.perf_counter() - started:.0f} s  {path.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
