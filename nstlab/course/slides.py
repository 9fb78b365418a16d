"""Slides from the notebooks: `run.py slides NAME... [--out DIR]`, by nbconvert and a copy of reveal.js.

Which cell goes where follows a rule (`arranged`), so that a notebook needs no metadata for it: a heading opens a slide,
pictures come without their code, printed results under their code, what does not fit goes to a slide below. Long text goes to
the speaker's notes (key S); formulas and lists stay. Exercises are shown as students get them, without solutions.
"""

import argparse
import base64
import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image

from nstlab.course import book, offline, trees
from nstlab.errors import SettingError

WIDTH, HEIGHT = 960, 700  # of a slide, in its own pixels
PROSE = 420  # characters of running text on one slide; what is beyond goes to the notes
TO_NOTEBOOK = re.compile(r"\[([^\]]*)\]\([^):]+\)")  # a link to a file beside the notebook, which is not beside the slides
LINES = 16  # of code and printed text on one slide
HEADING = re.compile(r"^(?=#{1,3} )", re.M)
KEPT = re.compile(r"#{1,3} |\$\$|[-*] |\d+\. |```|\|")  # how a block begins that always stays on its slide
PICTURE = "picture"
TEMPLATE = """\
{%- extends 'index.html.j2' -%}
{% block data_jpg scoped %}
<div class="jp-RenderedImage jp-OutputArea-output">
<img alt="{{ output.metadata.alt | escape_html }}" src="data:image/jpeg;base64,{{ output.data['image/jpeg'] }}">
</div>
{% endblock %}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output">
<img alt="{{ output.metadata.alt | escape_html }}" src="data:image/png;base64,{{ output.data['image/png'] }}">
</div>
{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js %}<meta name="viewport" content="width=device-width, initial-scale=1">{% endblock %}
{% block html_head_js_mathjax %}
<script>window.MathJax = {
  tex: {inlineMath: [['$', '$'], ['\\\\(', '\\\\)']], processEscapes: true}, options: {enableMenu: false}
}</script>
<script defer src="MATH"></script>
{% endblock %}
{% block html_head_css %}<style>
.reveal { font-size: 28px; }
.reveal .slides { text-align: left; }
.reveal, .reveal p, .reveal li { font-family: var(--r-main-font); }
.reveal h1, .reveal h2, .reveal h3 { text-transform: none !important; }
.reveal h1 { font-size: 2.2em; } .reveal h2 { font-size: 1.6em; } .reveal h3 { font-size: 1.2em; }
.reveal .jp-InputPrompt, .reveal .jp-OutputPrompt, .reveal .anchor-link { display: none; }
.reveal .jp-OutputArea-output img, .reveal .jp-RenderedImage img { max-height: 560px; width: 100%; object-fit: contain;
  margin: 0 auto; display: block; }
.reveal pre { font-size: 18px; line-height: 1.35; width: 100%; box-shadow: none; white-space: pre-wrap; }
</style>{% endblock %}
{% block footer_js %}
<script src="REVEAL/dist/reveal.js"></script>
<script src="REVEAL/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({controls: true, progress: true, hash: true, slideNumber: "c/t", plugins: [RevealNotes], width: WIDE,
  height: HIGH, center: false, transition: "none"})
</script>
{% endblock %}
"""


def arranged(notebook: dict) -> dict:
    """The notebook with its cells as slides: every cell has metadata.slideshow.slide_type, set by the module's rule."""
    pieces, exercises = [], False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for part in HEADING.split(TO_NOTEBOOK.sub(r"\1", cell["source"])):
                exercises |= part.startswith(("## Exercises", "### Exercises"))
                exercises &= not part.startswith("## Summary")
                pieces += _text(part) if part.strip() else []
        elif cell["cell_type"] == "code" and not exercises:
            pieces += _code(cell)
    cells, filled = [], HEIGHT
    for kind, tall, cell in pieces:
        if kind == "-" and filled + tall > HEIGHT - 40:  # no room left on this slide
            kind = "subslide"
        filled = tall if kind.endswith("slide") else filled + tall
        cells.append({**cell, "metadata": {**cell["metadata"], "slideshow": {"slide_type": kind}}})
    return {**notebook, "cells": cells}


def _text(source: str) -> list[tuple[str, int, dict]]:
    """(kind of slide, height, cell) of a piece of Markdown and of its notes; a heading of level 1 or 2 opens a slide."""
    shown, told, taken, tall = [], [], 0, 0
    for block in re.split(r"\n{2,}", source.strip()):
        stays = KEPT.match(block) or taken + len(block) <= PROSE
        (shown if stays else told).append(block)
        if stays:
            taken += 0 if KEPT.match(block) else len(block)
            lines = sum(1 + len(line) // 75 for line in block.splitlines()) if KEPT.match(block) else 1 + len(block) // 75
            tall += 25 + 40 * lines + 60 * (block.count("$$") // 2 + block.startswith("#"))
    kind = "slide" if re.match(r"##? ", source) else "subslide" if source.startswith("#") else "-"
    made = [(kind, tall, shown), ("notes", 0, told)]
    return [(*rest, {"cell_type": "markdown", "source": "\n\n".join(text), "metadata": {}}) for *rest, text in made if text]


def _code(cell: dict) -> list[tuple[str, int, dict]]:
    """The same of a code cell: a picture without its code, printed text with it. What shows nothing is left out."""
    made = []
    printed = [output for output in cell["outputs"] if output["output_type"] == "stream"]
    if printed:
        below, above = (text.count("\n") + 1 for text in ("".join(output["text"] for output in printed), cell["source"]))
        hidden = below + above > LINES  # no room for both
        made.append((printed, [PICTURE] * hidden, 40 + 27 * (below + above * (not hidden))))
    for output in cell["outputs"]:
        if kind := next((kind for kind in output.get("data", {}) if kind.startswith("image/")), None):
            width, height = Image.open(io.BytesIO(base64.b64decode(output["data"][kind]))).size
            made.append(([output], [PICTURE], 40 + min(560, round(WIDTH * height / width))))
    return [("-", tall, {**cell, "outputs": outputs, "metadata": {"tags": tags}}) for outputs, tags, tall in made]


def slides(path: Path) -> str:
    """The page of slides of the notebook at `path`. Raises SettingError without nbconvert."""
    try:
        import nbformat
        from nbconvert import SlidesExporter
    except ImportError:
        raise SettingError('slides are made with nbconvert, which is not installed: pip install "nstlab[book]"') from None
    notebook = arranged(book.readable(trees.for_student(path)))
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"s{number:03d}"
        for output in cell.get("outputs", []):
            output["metadata"] = {"alt": book.described(cell["source"], output.get("data", {}))}
    filled = {"MATH": offline.MATH_SCRIPT, "REVEAL": "reveal", "WIDE": str(WIDTH), "HIGH": str(HEIGHT)}
    template = re.sub("MATH|REVEAL|WIDE|HIGH", lambda found: filled[found[0]], TEMPLATE)
    exporter = SlidesExporter(raw_template=template, reveal_theme="white-contrast", reveal_url_prefix="reveal")
    exporter.register_preprocessor("nbconvert.preprocessors.TagRemovePreprocessor", enabled=True)
    exporter._preprocessors[-1].remove_input_tags = {PICTURE}
    page, _ = exporter.from_notebook_node(nbformat.from_dict(notebook), {"metadata": {"name": path.stem}})
    return page


def chosen(folder: Path, names: list[str]) -> list[Path]:
    """The notebooks in `folder` whose names begin with one of `names`, or all. Raises SettingError where a name fits none."""
    paths = trees.lessons(folder)
    for name in names:
        if not any(path.name.startswith(Path(name).name) for path in paths):
            raise SettingError(f"no notebook begins with {name}: there are {', '.join(path.stem for path in paths)}")
    return [path for path in paths if not names or any(path.name.startswith(Path(name).name) for name in names)]


def main(arguments: list[str]) -> int:
    """`FOLDER [NAME...] [--out DIR]`: slides of these notebooks in FOLDER, or of all. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="run.py slides", description="Make slides from notebooks.")
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="how a notebook's name begins, such as 05 (all)")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("out/slides"), help="the folder to build (out/slides)")
    given = parser.parse_args(arguments)
    try:
        files = {f"{path.stem}.html": slides(path) for path in chosen(given.folder, given.names)}
        with tempfile.TemporaryDirectory() as temporary:
            offline.copy_mathjax(Path(temporary))
            offline.copy_reveal(Path(temporary))
            beside = {path.relative_to(temporary).as_posix(): path.read_bytes() for path in Path(temporary).rglob("*.*")}
        trees.write_tree(given.out, files | {name: data for name, data in beside.items()})
    except (SettingError, OSError) as error:
        print(f"run.py slides: {error}", file=sys.stderr)
        return 2
    print("\n".join(str(given.out / name) for name in files))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
