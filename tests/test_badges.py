"""Links to the published repository: there are none until it is named, and one command adds or removes them all."""

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
LINK = re.compile(r"https://[\w.-]*(?:github|mybinder|colab|gitlab)[\w.-]*/[\w./%-]*")
ONE, OTHER, ELSEWHERE = "https://github.com/somebody/fork.of-it", "https://github.com/a/b", "https://git.example.org/a/b"


def hosted(notebook):
    return [cell for cell in notebook.cells if HOSTED in cell.metadata.get("tags", [])]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The working folder: the README, pyproject.toml and two notebooks, without links."""
    folder = tmp_path / "copy"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for path in PATHS[:1] + PATHS[-1:]:
        shutil.copy(path, folder / "notebooks")
    monkeypatch.chdir(folder)
    publish.publish(None)
    return folder


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_links_to_the_named_repository_only(path):
    repository, notebook = publish.named(ROOT / "pyproject.toml"), nbformat.read(path, 4)
    wanted = publish.hosted_cells(repository, path.name)
    found = hosted(notebook)
    assert [cell.source for cell in found] == [cell.source for cell in wanted] and found == notebook.cells[1 : 1 + len(found)]
    assert all(cell.get("outputs", []) == [] for cell in found)
    assert [cell.id for cell in notebook.cells] == [f"c{number:03d}" for number in range(len(notebook.cells))]


def test_so_does_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert publish.readme(text, publish.named(ROOT / "pyproject.toml")) == text


def test_nothing_links_to_a_repository_that_nobody_named():
    repository = publish.named(ROOT / "pyproject.toml")
    files = [path for kind in ("*.md", "*.toml", "*.yml", "*.txt") for path in ROOT.glob(kind)]
    files += [*PATHS, *(ROOT / ".binder").iterdir(), *(ROOT / "nstlab").rglob("*.py"), *(ROOT / "notebooks").glob("*.md")]
    for path in files:
        found = re.findall(r"(?:github\.com|gh|github)/(nstlab/nstlab)\b", path.read_text(encoding="utf-8"))
        assert not found or (repository or "").endswith("/nstlab/nstlab"), path


def test_publishing_adds_all_links_and_removing_takes_them_out_byte_for_byte(copy, capsys):
    bare = contents(copy)
    assert not [path for path, data in bare.items() if LINK.search(data.decode()) and path.suffix != ".toml"]
    assert publish.main(["--repository", f"{ONE}.git"]) == 0
    assert capsys.readouterr().out == f"all links lead to {ONE}\n"
    once = contents(copy)
    assert all(once[path] != bare[path] for path in bare) and once.keys() == bare.keys()
    assert publish.named() == ONE
    for path in PATHS[:1] + PATHS[-1:]:
        before, after = (
            nbformat.reads(bare[Path("notebooks", path.name)].decode(), 4),
            nbformat.read(copy / "notebooks" / path.name, 4),
        )
        assert [cell.source for cell in hosted(after)] == [publish.badges(ONE, path.name), publish.installation(ONE)]
        assert source_hash(after) == source_hash(before) and len(after.cells) == len(before.cells) + 2
        nbformat.validate(after)
    assert (copy / "README.md").read_text(encoding="utf-8").splitlines()[:5] == [
        "# nstlab", "", publish.badges(ONE, publish.FIRST), "", bare[Path("README.md")].decode().splitlines()[2],
    ]  # fmt: skip
    assert publish.main(["--repository", ONE]) == 0 and contents(copy) == once
    for way in (["--remove"], ["--repository", ""]):
        publish.main(["--repository", OTHER])
        assert "fork.of-it" not in b"".join(contents(copy).values()).decode()
        assert publish.main(way) == 0 and contents(copy) == bare and publish.named() is None


def test_other_urls_of_the_project_stay():
    text = '[project]\nname = "x"\n\n[project.urls]\nDocs = "https://docs.example.org"\n\n[project.scripts]\nx = "x:main"\n'
    made = publish.project(text, OTHER)
    assert made == text.replace("[project.urls]\n", f'[project.urls]\nRepository = "{OTHER}"\n')
    assert publish.project(made, None) == text


def test_colab_is_offered_only_where_it_can_open_the_repository(copy):
    publish.publish(ELSEWHERE)
    text = "".join(data.decode() for data in contents(copy).values())
    assert "colab.research.google.com" not in text and "git+https" not in text
    assert (
        "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%2Fa%2Fb/main?labpath=notebooks/00_start_here.ipynb" in text
    )


def test_executions_are_counted_on(tmp_path):
    path = tmp_path / "07_bare.ipynb"
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1)
    lesson = [nbformat.v4.new_markdown_cell("# 07"), nbformat.v4.new_code_cell("1", outputs=[result], execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=lesson), path)
    publish.write_notebook(path, OTHER)
    made = nbformat.read(path, 4)
    assert [cell.source for cell in made.cells] == ["# 07", publish.badges(OTHER, path.name), publish.installation(OTHER), "1"]
    assert [cell.get("execution_count") for cell in made.cells] == [None, None, 1, 2]
    assert made.cells[3].outputs[0].execution_count == 2
    assert [cell.id for cell in made.cells] == ["c000", "c001", "c002", "c003"]


def test_the_installation_runs_on_colab_only(monkeypatch):
    called = []
    monkeypatch.setattr("subprocess.run", lambda command, check: called.append((command[1:], check)))
    exec(publish.installation(OTHER), {})
    assert not called
    colab = type(sys)("google.colab")
    colab.output = type("output", (), {"enable_custom_widget_manager": staticmethod(lambda: called.append("widgets"))})
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    exec(publish.installation(OTHER), {})
    assert called == [(["-m", "pip", "install", "-q", "git+https://github.com/a/b"], True), "widgets"]


@pytest.mark.parametrize(
    "url",
    [
        "a/b", "http://github.com/a/b", "https://github.com/a", "https://github.com/a/b/c", "https://github.com/a/b?x=1",
        "https://you@github.com/a/b", "https://github.com/a/..", 'https://github.com/a/b"', "https://github.com/a/b c",
        "https://github.com/a/b\n", "git@github.com:a/b.git",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_nothing_is_written(url, copy, capsys):
    before = contents(copy)
    assert publish.main(["--repository", url]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "give it as https://HOST/OWNER/NAME" in said and contents(copy) == before


@pytest.mark.parametrize("end", ["", "/", ".git", ".git/"])
def test_an_address_may_end_in_git_or_a_slash(end):
    assert publish.checked(f"{ONE}{end}") == ONE


def test_an_address_that_pyproject_cannot_mean_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "somewhere"\n')
    with pytest.raises(SettingError, match="somewhere is not the address of a repository"):
        publish.named(tmp_path / "pyproject.toml")


def test_another_folder_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert publish.main(["--remove"]) == 2 and "run this in the root of the repository" in capsys.readouterr().err


def test_binder_installs_this_repository():
    folder = ROOT / ".binder"
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    (constraints,) = [line.split()[1] for line in lines if line.startswith("-c")]
    assert (folder / constraints).resolve() == ROOT / "constraints.txt" and "-e .[lab]" in lines
    assert (folder / "runtime.txt").read_text().startswith("python-3.1")
