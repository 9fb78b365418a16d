"""The links to Colab and Binder: one address, in pyproject.toml, and every notebook and the README follow it."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from nstlab.course import publish
from nstlab.errors import SettingError
from nstlab.experiments.results import HOSTED, source_hash

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
FORK = '[project.urls]\nRepository = "https://github.com/somebody/fork.of-it"\n'


def hosted(notebook):
    return [cell for cell in notebook.cells if HOSTED in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_has_the_badges_of_the_repository(path):
    repository, notebook = publish.address(ROOT / "pyproject.toml"), nbformat.read(path, 4)
    assert hosted(notebook) == notebook.cells[1:3], "behind the title. Run: python -m nstlab.course.publish"
    link, install = hosted(notebook)
    assert link.source == publish.badges(repository, path.name) and install.source == publish.installation(repository)
    assert install.outputs == []


def test_so_has_the_readme():
    repository, text = publish.address(ROOT / "pyproject.toml"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert publish.LINE.findall(text) == [publish.badges(repository, publish.FIRST)]


def test_one_command_and_all_links_follow(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text(FORK)
    (tmp_path / "README.md").write_text(f"# It\n\n{publish.badges('a/b', publish.FIRST)}\n\nText.\n")
    here = Path(shutil.copy(PATHS[0], tmp_path / "notebooks"))
    before = nbformat.read(here, 4)
    monkeypatch.chdir(tmp_path)
    publish.main()
    after, once = nbformat.read(here, 4), here.read_bytes()
    assert capsys.readouterr().out == "all links lead to https://github.com/somebody/fork.of-it\n"
    assert set(re.findall(r"somebody/[\w.-]+", here.read_text(encoding="utf-8"))) == {"somebody/fork.of-it"}
    old = publish.address(ROOT / "pyproject.toml")
    assert old not in here.read_text(encoding="utf-8") and "a/b" not in (tmp_path / "README.md").read_text()
    assert source_hash(after) == source_hash(before) and len(after.cells) == len(before.cells)
    publish.main()
    assert here.read_bytes() == once


def test_a_bare_notebook_gets_them_and_counts_on(tmp_path):
    path = tmp_path / "07_bare.ipynb"
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1)
    lesson = [nbformat.v4.new_markdown_cell("# 07"), nbformat.v4.new_code_cell("1", outputs=[result], execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=lesson), path)
    publish.write(path, "a/b")
    made = nbformat.read(path, 4)
    assert [cell.source for cell in made.cells] == ["# 07", publish.badges("a/b", path.name), publish.installation("a/b"), "1"]
    assert made.cells[2].execution_count == 1 and made.cells[3].execution_count == 2
    assert made.cells[3].outputs[0].execution_count == 2 and [cell.id for cell in made.cells] == [
        "c000",
        "c001",
        "c002",
        "c003",
    ]


def test_the_installation_runs_on_colab_only(monkeypatch):
    called = []
    monkeypatch.setattr("subprocess.run", lambda command, check: called.append((command[1:], check)))
    exec(publish.installation("a/b"), {})
    assert not called
    colab = type(sys)("google.colab")
    colab.output = type("output", (), {"enable_custom_widget_manager": staticmethod(lambda: called.append("widgets"))})
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    exec(publish.installation("a/b"), {})
    assert called == [(["-m", "pip", "install", "-q", "git+https://github.com/a/b"], True), "widgets"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("[project]\n", "names no Repository"),
        (
            '[project.urls]\nRepository = "https://gitlab.com/a/b"',
            "github.com/OWNER/NAME; Repository is https://gitlab.com/a/b",
        ),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused(text, said, tmp_path):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingError, match=said):
        publish.address(tmp_path / "pyproject.toml")
    (tmp_path / "ok.toml").write_text('[project.urls]\nRepository = "https://github.com/a/b.git"')
    assert publish.address(tmp_path / "ok.toml") == "a/b"


def test_binder_installs_this_repository():
    folder = ROOT / ".binder"
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    (constraints,) = [line.split()[1] for line in lines if line.startswith("-c")]
    assert (folder / constraints).resolve() == ROOT / "constraints.txt" and "-e .[lab]" in lines
    assert (folder / "runtime.txt").read_text().startswith("python-3.1")
