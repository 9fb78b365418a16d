"""The book, a site of all notebooks with outputs, the words, and the API reference: `run.py book [--out DIR] [--teacher]`.

Sphinx with MyST-NB builds it, as Jupyter Book does. Its pages come from the students' tree of `nstlab.course.trees`, so no
solution is in them or in the search index; `--teacher` takes the notebooks as they stand, and the guides. Everything that the
pages load lies beside them: the book is read without a network, also from a folder.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path

from nstlab.course import offline, reference, trees
from nstlab.course.sites import broken, name_buttons
from nstlab.errors import SettingError
from nstlab.experiments.results import HOSTED, RESULT

ATTACHED = "attached"  # folder of the pictures in texts
WIDGET = "application/vnd.jupyter.widget-view+json"
STYLE = """\
.nstlab-panel { border-left: 4px solid #8a8a8a; padding: .4rem .8rem; }
.bd-article img { height: auto; max-width: 100%; }
.bd-article h1, .bd-article h2, dt.sig { overflow-wrap: anywhere; }
.search .highlighted { background: none !important; color: inherit !important; }
html[data-theme="dark"] .bd-article .cell_output img { background: #fff; }
"""
SCRIPT = """\
// A formula that is wider than the screen can be scrolled by keyboard.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise
  for (const formula of document.querySelectorAll("mjx-container[display]"))
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0
})
"""
INTRODUCTION = """\
# Neural style transfer

A course in notebooks, and the library it builds. Each notebook asks one question and answers it with pictures: start with
[the first](00_start_here.ipynb), and look a word up in the [glossary](GLOSSARY.md). Press Ctrl-K to search.

The pictures and numbers come from running each notebook once, with small pictures on a laptop without a GPU.
"""


def config(teacher: bool = False) -> dict:
    """Sphinx's settings for this book."""
    return {
        "project": "nstlab",
        "html_title": "Neural style transfer" + (" · for teachers" if teacher else ""),
        "language": "en",
        "extensions": ["myst_nb", "sphinx.ext.mathjax", "nstlab.course.sites"],
        "myst_enable_extensions": ["dollarmath", "amsmath", "colon_fence"],
        "myst_heading_anchors": 3,
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_ipywidgets_js": {},  # panels work where a notebook runs, and their scripts come from another server
        "html_theme": "sphinx_book_theme",
        "html_theme_options": {"use_fullscreen_button": False, "show_toc_level": 2, "navbar_persistent": []},
        "html_context": {"default_mode": "auto"},  # dark where the reader's system is
        "html_show_search_summary": False,  # a page that was opened from a folder may not fetch others
        "smartquotes": False,
        "html_static_path": ["_static"],
        "html_css_files": ["book.css"],
        "html_js_files": ["book.js"],
        "html_domain_indices": False,
        "html_show_sphinx": False,
        "html_show_copyright": False,
        "mathjax_path": offline.MATH_SCRIPT,
        "mathjax3_config": {"options": {"enableMenu": False}},
        "toc_object_entries": False,
        "suppress_warnings": ["myst.header", "ref.python"],  # exercises under any heading; two classes of one short name
    }


def pages(folder: Path, teacher: bool = False) -> dict[str, str | bytes]:
    """{path in the book: content} of everything that Sphinx reads. Raises SettingError where there are no notebooks."""
    folder, files = Path(folder), {}
    read = trees.read if teacher else trees.for_student
    for path in trees.lessons(folder):
        notebook = read(path)
        files |= attached(notebook) | {path.name: json.dumps(readable(notebook))}
    files |= trees.texts(folder, trees.WORDS + (trees.GUIDES if teacher else ()))
    return files | reference.pages() | {"index.md": index(list(files))}


def index(names: list[str]) -> str:
    """The first page, with the table of contents: notebooks, then the words and guides, then the reference."""
    parts = {"The course": [name for name in names if name.endswith(".ipynb")]}
    parts |= {"Words": [name for name in names if name in trees.WORDS]}
    parts |= {"For teachers": [name for name in names if name in trees.GUIDES]}
    parts |= {"Reference": ["reference/index.md"]}
    tables = [
        "\n".join(
            ["```{toctree}", f":caption: {title}", ":maxdepth: 1", "", *(name.rpartition(".")[0] for name in inside), "```"]
        )
        for title, inside in parts.items()
        if inside
    ]
    return "\n\n".join([INTRODUCTION, *tables]) + "\n"


def attached(notebook: dict) -> dict[str, bytes]:
    """{path in the book: content} of the pictures that are attached to the notebook's texts."""
    found = {}
    for cell in notebook["cells"]:
        for name, kinds in cell.get("attachments", {}).items():
            found[f"{ATTACHED}/{name}"] = base64.b64decode("".join(next(iter(kinds.values()))))
    return found


def readable(notebook: dict) -> dict:
    """The notebook as a page: no badges, no installation, no results for machines, a sentence where a panel stands.

    Every picture gets a description for those who do not see it: its caption and titles, from the code that draws it.
    """
    cells = [cell for cell in notebook["cells"] if HOSTED not in cell["metadata"].get("tags", [])]
    for cell in cells:
        source = cell["source"] = "".join(cell["source"])
        if cell.pop("attachments", None):
            cell["source"] = source.replace("(attachment:", f"({ATTACHED}/")
        cell["outputs"] = [_shown(out) for out in cell.get("outputs", []) if RESULT not in out.get("data", {})]
        for output in cell["outputs"]:
            if any(kind.startswith("image/") for kind in output.get("data", {})):
                cell["metadata"]["mystnb"] = {"image": {"alt": described(source, output["data"])}}
        if cell["cell_type"] != "code":
            del cell["outputs"]
    metadata = {key: value for key, value in notebook["metadata"].items() if key != "widgets"}
    return {**notebook, "cells": cells, "metadata": metadata}


def _shown(output: dict) -> dict:
    """The output with every text as one string, a panel as a sentence that stands for it."""
    if WIDGET not in output.get("data", {}):
        whole = lambda text: "".join(text) if isinstance(text, list) else text
        data = {key: {kind: whole(text) for kind, text in output[key].items()} for key in ("data",) if key in output}
        return {**output, **data, **{key: whole(output[key]) for key in ("text",) if key in output}}
    said = "A panel to play with stands here when the notebook runs."
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": f'<p class="nstlab-panel">{said}</p>'}}


def described(source: str, data: dict) -> str:
    """The words for a picture: every `caption` in the code of its cell, then what the picture says of itself."""
    captions = []
    with contextlib.suppress(SyntaxError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.keyword) and node.arg == "caption":
                captions += [part.value for part in ast.walk(node.value) if isinstance(getattr(part, "value", None), str)]
    itself = re.sub(r"^<(.*)>$", r"\1", data.get("text/plain", "").strip(), flags=re.S)
    return " ".join(" ".join([*captions, f"({itself})" if captions else itself]).split()) or "a picture"


def build(folder: Path, out: Path, teacher: bool = False) -> list[str]:
    """Build the book of the notebooks in `folder` as the folder `out`, whole or not at all; returns the names of its pages.

    Raises SettingError for whatever Sphinx warns of, for a link that leads nowhere, for anything a page would load from another
    server, and where `out` holds what was not built here.
    """
    files = pages(folder, teacher)
    trees.check_ours(out)
    with tempfile.TemporaryDirectory() as temporary:
        source, made = Path(temporary, "source"), Path(temporary, "book")
        for name, text in {**files, "_static/book.css": STYLE, "_static/book.js": SCRIPT}.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        offline.copy_mathjax(source / "_static")
        _sphinx(source, made, config(teacher))
        name_buttons(made)
        if faults := broken(made):
            raise SettingError(f"the book has {len(faults)} bad links: {'; '.join(faults[:5])}")
        built = {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()}
        trees.write_tree(out, built)
    return sorted(name for name in built if name.endswith(".html") and not name.startswith("_static/"))


def _sphinx(source: Path, out: Path, settings: dict) -> None:
    """Run Sphinx's HTML builder. Raises SettingError without it, and for all that it warns of."""
    try:
        from sphinx.application import Sphinx
        from sphinx.errors import SphinxError
    except ImportError:
        raise SettingError('the book is built with Sphinx, which is not installed: pip install "nstlab[book]"') from None
    said = io.StringIO()
    try:
        app = Sphinx(source, None, out, source / ".doctrees", "html", settings, status=None, warning=said, parallel=1)
        app.build(force_all=True)
    except SphinxError as error:
        raise SettingError(f"the book cannot be built: {error}") from None
    warnings = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).replace(f"{source}/", "").strip().splitlines()
    if warnings:
        raise SettingError(f"the book has {len(warnings)} warnings: {' | '.join(warnings[:5])}")
    for name in (".buildinfo", "objects.inv"):
        (out / name).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """`FOLDER [--out DIR] [--teacher]`: build the book of the notebooks in FOLDER. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="run.py book", description="Build the book: a site that needs no network.")
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("out/book"), help="the folder to build (out/book)")
    parser.add_argument("--teacher", action="store_true", help="with solutions, answers and guides")
    chosen = parser.parse_args(arguments)
    try:
        made = build(chosen.folder, chosen.out, chosen.teacher)
    except (SettingError, OSError) as error:
        print(f"run.py book: {error}", file=sys.stderr)
        return 2
    print(f"{chosen.out / 'index.html'}: {len(made)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
