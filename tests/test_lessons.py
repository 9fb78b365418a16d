"""How a notebook is written, as far as that shows without running it. DONE lists the notebooks that are held to it."""

import ast
import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
DONE = (
    "00_start_here",
    "01_features",
    "02_content_loss",
    "03_style_loss",
    "04_style_transfer",
    "05_saliency",
    "06_segmentation",
    "07_edges",
    "08_depth_and_attention",
    "09_the_whole_objective",
    "10_scales_and_styles",
    "11_feed_forward",
    "12_adversarial",
    "13_multiscale_gan",
    "14_any_painting_at_once",
    "15_a_photo_that_stays_a_photo",
)
each = pytest.mark.parametrize("name", DONE)
LONGEST = 12  # lines of a cell
VERDICT = re.compile(r"(:|\?) *(True|False|yes|no)$", re.M)
SOURCES = "## Sources and further reading\n"
PAPER = re.compile(r"https://(doi\.org/10\.\d{4,}/\S+|arxiv\.org/abs/\d{4}\.\d{4,5})")
LOSS = re.compile(r"\$\$[^$]*\bL(_|\()[^$]*\$\$")


def cells(name, kind=None):
    read = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    lesson = [cell for cell in read if "hosted" not in cell["metadata"].get("tags", [])]
    return [(cell["cell_type"], "".join(cell["source"]), cell) for cell in lesson if kind in (None, cell["cell_type"])]


def calls(source, function):
    """The calls of plots.FUNCTION in a cell."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [node for node in found if ast.unparse(node.func) == f"plots.{function}"]


def texts(node):
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


@each
def test_cells_are_short(name):
    long = {source.splitlines()[0]: source.count("\n") + 1 for _, source, _ in cells(name, "code")}
    assert not {first: lines for first, lines in long.items() if lines > LONGEST}


@each
def test_what_is_printed_are_values_and_no_bare_verdicts(name):
    printed = [output["text"] for *_, cell in cells(name, "code") for output in cell["outputs"] if "text" in output]
    assert not [text for text in map("".join, printed) if VERDICT.search(text)]


@each
def test_pictures_say_what_to_look_at(name):
    for _, source, _ in cells(name, "code"):
        for call in calls(source, "show"):
            (caption,) = [key.value for key in call.keywords if key.arg == "caption"] or [ast.Constant("")]
            assert all(len(text) > 8 for text in texts(caption)), f"a picture without a caption: {source}"
            titles = call.args[1] if len(call.args) > 1 else ast.Constant("")
            assert "" not in texts(titles) or isinstance(titles, ast.Constant), f"an untitled panel: {source}"
        if calls(source, "curves"):
            assert "title" in source, source  # of its own, or among the axes


@each
def test_the_formula_of_a_loss_stands_above_code_that_holds_it(name):
    """Between the formula of a loss and the next one, the code checks that formula and library agree."""
    unchecked = None
    for kind, source, _ in [*cells(name), ("markdown", "$$L_{end}$$", None)]:
        if kind == "markdown" and (found := LOSS.search(source)):
            assert unchecked is None, f"no code asserts {unchecked}"
            unchecked = found[0]
        elif kind == "code" and re.search(r"^ *(assert |check\()", source, re.M):
            unchecked = None


@each
def test_every_import_is_used(name):

    code = [source for _, source, _ in cells(name, "code")]
    for place, source in enumerate(code):
        for node in ast.parse(source).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    word = re.compile(rf"\b{(alias.asname or alias.name).split('.')[0]}\b")
                    inside = len(word.findall(source)) - 1
                    assert inside or any(word.search(later) for later in code[place + 1 :]), f"{alias.name} is never used"


@each
def test_it_ends_with_its_sources(name):
    """Who did it first and what to read next, each with a link to a paper that stays where it is, and with its year."""
    *_, (_, last, _) = cells(name, "markdown")
    assert last.count(SOURCES) == 1
    entries = re.split(r"\n(?!  )", last.split(SOURCES)[1].strip())  # a long one goes on in lines that are set in
    assert len(entries) >= 3 and all(entry.startswith("- ") for entry in entries)
    for entry in entries:
        links = re.findall(r"\]\((\S+)\)", entry, re.S)
        assert links and all(PAPER.fullmatch(link) for link in links), entry
        assert re.search(r"\b(1[789]|20)\d\d\b", entry.replace(links[0], "")), f"no year: {entry}"
