"""One notebook run again with other values, by papermill: a sweep does it many times, `run.py figures` once a picture."""

import ast
import difflib
import math
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nstlab import samples
from nstlab.errors import SettingError, choose, whole
from nstlab.experiments.results import results_of, source_hash
from nstlab.files import mode

KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
PLAIN = (str, int, float, list, dict, type(None))  # what JSON keeps
PAPERMILL = {  # the last: a kernel says on the terminal only what it dies of
    "kernel_name": "python3", "language": "python", "progress_bar": False, "extra_arguments": ["--IPKernelApp.log_level=50"]
}  # fmt: skip


@dataclass(frozen=True)
class Notebook:
    """A notebook to run: its path as given, its text without outputs, the hash of its code, {parameter: default}."""

    path: Path
    text: str
    source: str
    parameters: dict


def need(*modules: str) -> None:
    """Raise a SettingError that says how to install what is missing of these modules."""
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise SettingError(f"{' and '.join(missing)} is not installed: pip install {' '.join(missing)}")


def read(path) -> Notebook:
    """Read a notebook and the defaults in its cell tagged `parameters` (none if there is no such cell). Raises SettingError."""
    need("papermill", "nbformat")
    import nbformat

    path = Path(path)
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), 4)
        source = source_hash(notebook)
    except OSError as error:
        there = sorted(other.name for other in path.parent.glob("*.ipynb")) if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, there, n=1, cutoff=0.3)
        hint = f"did you mean {path.with_name(near[0])}?" if near else "name a notebook"
        raise SettingError(f"{path} cannot be read ({error.strerror or error}): {hint}") from None
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError):
        raise SettingError(f"{path} is not a Jupyter notebook: name a file that Jupyter opens") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    return Notebook(path, nbformat.writes(notebook), source, _defaults(notebook, path))


def _defaults(notebook, path: Path) -> dict:
    """{name: value} of the assignments in the cell tagged `parameters`; None for a value that is not a literal."""
    tagged = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    found = {}
    try:
        statements = ast.parse("\n".join(tagged[:1])).body
    except SyntaxError:
        raise SettingError(f"{path}: the cell tagged 'parameters' is not plain Python: only assignments belong there") from None
    for node in statements:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = _literal(node.value)
    return found


def _literal(node, otherwise=None):
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return otherwise


def converted(notebook: Notebook, name: str, value):
    """`value`, text or not, as the type of the parameter's default. Raises SettingError.

    The path of a file or folder, as seen from where the user stands, becomes its full path, since the notebook runs in its own
    folder. A sample's name stays a name; quoted text stays as it is within the quotes.
    """
    if not notebook.parameters:
        raise SettingError(f"{notebook.path} has no parameters: give the tag 'parameters' to the cell that sets them")
    default = notebook.parameters[choose(f"parameter of {notebook.path.name}", name, notebook.parameters)]
    text = value if isinstance(value, str) else repr(value)
    if isinstance(default, str):
        text, quoted = str(value), _literal(text) if text[:1] in ("'", '"') else None
        return quoted if isinstance(quoted, str) else _placed(text)
    if type(default) not in KINDS:
        found = _literal(text, _placed(text))
        found = [_placed(each) for each in found] if isinstance(found, (list, tuple)) else found
        return found if isinstance(found, PLAIN) else text
    if isinstance(default, bool):
        made = {"true": True, "false": False}.get(text.lower())
    else:
        made = whole(text) if isinstance(default, int) else _number(text)
    if made is None:
        raise SettingError(f"{name}={text}: {notebook.path.name} wants {KINDS[type(default)]}, such as {default}")
    return made


def _number(text: str) -> float | None:
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


def _placed(value):
    """The full path of a file or folder that a text names from here; anything else as it is."""
    try:
        kind = mode(Path(value)) if isinstance(value, str) and value.strip() else 0
        named = stat.S_ISDIR(kind) and value in samples.catalogue()  # a sample goes before a folder, as in images.locate
        return str(Path(value).resolve()) if kind and not named else value
    except (OSError, ValueError):
        return value


def execute(text: str, parameters: dict, folder: str, name: str) -> dict:
    """Run the notebook of that text in `folder`, with `out` (if it has one) set to a file that is called `name`.

    Returns {"seconds", "notebook": its text with outputs, "results": what it emitted, "picture": bytes or None, "error": None
    or its last line}. Nothing of it is written where others look, so it may run on another machine. Never raises for what
    the notebook does.
    """
    import papermill

    os.environ.setdefault("NSTLAB_HEADLESS", "1")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # else each kernel warns of it
    started, error, results = time.perf_counter(), None, {}
    with tempfile.TemporaryDirectory(prefix="nstlab-") as scratch:
        source, made, picture = (Path(scratch, file) for file in ("source.ipynb", "made.ipynb", name))
        source.write_text(text, encoding="utf-8")
        given = {key: picture.as_posix() if key == "out" else value for key, value in parameters.items()}
        where = {"metadata": {"path": folder if Path(folder).is_dir() else scratch}}
        try:
            papermill.execute_notebook(source, made, given, resources=where, **PAPERMILL)
            results = results_of(made)
        except SettingError:
            pass  # it emits nothing, which it need not
        except papermill.PapermillExecutionError as failure:
            error = _last_line(failure.ename, failure.evalue)
        except Exception as failure:
            error = _last_line(type(failure).__name__, failure)
        done = made.read_text(encoding="utf-8") if made.exists() else text
        return {
            "seconds": round(time.perf_counter() - started, 1),
            "notebook": done.replace(f"{Path(scratch).as_posix()}/", ""),
            "results": results,
            "picture": picture.read_bytes() if picture.exists() and not error else None,
            "error": error,
        }


def _last_line(name: str, said) -> str:
    lines = str(said).strip().splitlines()
    return f"{name}: {lines[-1].strip()}" if lines else name
