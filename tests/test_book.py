"""The book: its pages, what a student must not find in it, its links. tests/browser opens the whole of it."""

import json
import re
from pathlib import Path

import pytest
from solutions import solution_lines

from nstlab.course import book, reference, sites, trees
from nstlab.errors import SettingError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def pages():
    return book.pages(NOTEBOOKS)


def test_the_students_book_has_all_notebooks_and_no_solution(pages):
    assert {path.name for path in PATHS} < set(pages) and set(trees.WORDS) < set(pages)
    assert not set(trees.GUIDES) & set(pages)
    said = "\n".join(cell["source"] for name in pages if name.endswith(".ipynb") for cell in json.loads(pages[name])["cells"])
    lines = solution_lines(PATHS)
    assert len(lines) > 50 and not [line for line in lines if line in said]
    teachers = book.pages(NOTEBOOKS, teacher=True)
    assert "TEACHING.md" in teachers and all(name in teachers for name in pages)
    said = "\n".join(
        cell["source"] for name in pages if name.endswith(".ipynb") for cell in json.loads(teachers[name])["cells"]
    )
    assert all(line in said for line in lines)


def test_every_page_is_in_the_table_of_contents(pages):
    table = set(re.findall(r"^[\w/]+$", pages["index.md"], re.M))
    listed = {name.rpartition(".")[0] for name in pages if not name.startswith(("reference/", "attached/", "index."))}
    assert listed | {"reference/index"} == table
    rooms = set(re.findall(r"^\w+$", pages["reference/index.md"], re.M))
    assert rooms == {Path(name).stem for name in pages if name.startswith("reference/")} - {"index"}
    assert not set(reference.rooms()) - set(sum(reference.FLOORS.values(), ())), "say in FLOORS where the new room belongs"


def test_a_page_says_what_its_pictures_show_and_keeps_no_panel(pages):
    kinds, words = set(), []
    for name in (path.name for path in PATHS):
        read = json.loads(pages[name])
        assert "widgets" not in read["metadata"]
        for cell in read["cells"]:
            for output in cell.get("outputs", []):
                kinds |= set(output.get("data", {}))
                if any(kind.startswith("image/") for kind in output.get("data", {})):
                    words.append(cell["metadata"]["mystnb"]["image"]["alt"])
    assert kinds <= {"image/png", "image/jpeg", "text/plain", "text/html"}
    assert len(words) > 100 and all(len(word) > 5 and "\n" not in word and not word.startswith("<") for word in words)
    told = book.described('show(a, caption=f"Look at {this}.")', {"text/plain": "<2 pictures: one,\ntwo>"})
    assert told == "Look at . (2 pictures: one, two)"
    assert book.described("not python (", {}) == "a picture"


def test_the_reference_comes_from_the_docstrings():
    page = reference.page("stats")
    assert ":::{py:function} gram(" in page and "# nstlab.stats" in page
    assert reference.prose("a *b* of `c_d`\n\n    x = 1\n\n{name: $term}") == (
        "a \\*b\\* of `c_d`\n\n```text\nx = 1\n```\n\n\\{name: \\$term\\}"
    )
    step = reference.page("step")
    assert "{py:class} Step(index: int" in step, "the fields of a dataclass"
    objective = reference.page("objective")
    assert "::::{py:method} judge(image: torch.Tensor)" in objective and "py:property} layers\n" in objective
    assert "__repr__" not in objective


GOOD = '<a id="here" href="b.html#there">x</a><img src="p.png" loading="lazy"/><a href="https://a.b/c">y</a>'


@pytest.mark.parametrize(
    "text, faults",
    [
        (GOOD, []),
        ('<a href="#nowhere">x</a>', ["a.html: #nowhere"]),
        ('<a href="b.html#nowhere">x</a>', ["a.html: b.html#nowhere"]),
        ('<a class="q" href="missing.html">x</a>', ["a.html: missing.html"]),
        ('<img src="missing.png" alt="&lt;" />', ["a.html: missing.png"]),
        ('<script src="https://cdn.example/x.js"></script>', ["a.html: https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', ["a.html: //fonts.example/x.css"]),
        ('<link rel="next" title="x" href="https://elsewhere.example"/>', []),
    ],
)
def test_a_bad_link_is_found(tmp_path, text, faults):
    (tmp_path / "a.html").write_text(text)
    (tmp_path / "b.html").write_text('<p id="there">')
    (tmp_path / "p.png").touch()
    assert sites.broken(tmp_path) == faults


def test_a_picture_that_loads_at_once_is_found():
    assert sites.Page(GOOD).eager == [] and sites.Page('<img alt="" src="a.png">').eager == ["a.png"]


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    for arguments, said in (
        ([NOTEBOOKS, "--out", tmp_path], "is not empty and was not built here"),
        ([tmp_path, "--out", tmp_path / "new"], "holds no notebooks"),
    ):
        assert book.main([str(argument) for argument in arguments]) == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_sphinx_warns_of_is_an_error(tmp_path):
    pytest.importorskip("sphinx", reason='pip install "nstlab[book]"')
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text("# A page\n\n[x](missing.md)\n")
    with pytest.raises(SettingError, match=r"1 warnings: index.md:3: .*missing.md"):
        book._sphinx(source, tmp_path / "out", {"extensions": ["myst_parser"], "html_theme": "basic"})
