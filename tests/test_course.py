import copy
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from nstlab.course import publish
from nstlab.course import trees as course
from nstlab.errors import SettingError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
WITH_EXERCISES = [path for path in PATHS if "### BEGIN SOLUTION" in path.read_text(encoding="utf-8")]
each = pytest.mark.parametrize("path", WITH_EXERCISES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """(student, teacher): both trees of the notebooks, published."""
    folder = tmp_path_factory.mktemp("course")
    source = Path(shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".*")))
    for path in source.glob("[0-9]*.ipynb"):
        publish.write_notebook(path, "https://github.com/a/b")
    assert course.main([str(source), "--student", f"{folder}/student", "--teacher", f"{folder}/teacher"]) == 0
    return folder / "student", folder / "teacher"


def written(source, number=1, **more):
    outputs = [{"name": "stdout", "output_type": "stream", "text": ["done"]}]
    return {
        "cell_type": "code", "execution_count": number, "id": f"c{number:03d}", "metadata": {}, "outputs": outputs,
        "source": source, **more,
    }  # fmt: skip


def notebook(folder, *sources):
    """A notebook of these code cells in `folder`."""
    cells = [written(source, number) for number, source in enumerate(sources)]
    path = folder / "01_toy.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


ONE_CELL = "x = 0\n### BEGIN SOLUTION\nx = 6 * 7\n### END SOLUTION\ny = x + 1\ncheck(y == 43, 'Add.')"
FUNCTION = "def double(x):\n    ### BEGIN SOLUTION\n    twice = x + x\n    return twice\n    ### END SOLUTION"
HIDDEN = "check(double(2) == 4)\n### BEGIN HIDDEN TESTS\ncheck(double(3) == 6)\n### END HIDDEN TESTS\nprint('ok')"


def test_solution_and_check_become_cells_of_their_own(tmp_path):
    made = course.for_student(notebook(tmp_path, "seen = 1", ONE_CELL, FUNCTION, HIDDEN))
    nbformat.validate(nbformat.from_dict(copy.deepcopy(made)))
    assert [cell["source"] for cell in made["cells"]] == [
        "seen = 1",
        "x = 0\n# YOUR CODE HERE",
        "y = x + 1\ncheck(y == 43, 'Add.')",
        "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        "check(double(2) == 4)\nprint('ok')",
    ]
    marks = [cell["metadata"]["nbgrader"] for cell in made["cells"]]
    assert [mark["grade_id"] for mark in marks] == ["cell-0", "exercise-1", "check-1", "exercise-2", "check-2"]
    assert [(m["solution"], m["grade"], m["locked"], m.get("points")) for m in marks[:3]] == [
        (False, False, True, None), (True, False, False, None), (False, True, True, 1),
    ]  # fmt: skip
    assert [bool(cell["outputs"]) for cell in made["cells"]] == [True, False, False, False, False]


def test_the_teachers_checks_count(tmp_path):
    cells = course.for_teacher(notebook(tmp_path, ONE_CELL, FUNCTION, HIDDEN))["cells"]
    names = {}
    for cell in cells:  # the reference passes
        exec(cell["source"], names)
    for number, wrong in ((1, "x = 1"), (3, "double = lambda x: 4")):  # the second is right where students can see it
        with pytest.raises(AssertionError, match="Not yet"):
            exec(f"{wrong}\ncheck = print\n{cells[number]['source']}", {**names})


@pytest.mark.parametrize(
    "sources, said",
    [
        ([ONE_CELL, FUNCTION], "exercise 2 has no check"),
        ([FUNCTION, FUNCTION, HIDDEN], "exercise 1 has no check"),
        ([ONE_CELL, FUNCTION.replace("END", "STOP"), HIDDEN], "c001.*do not pair"),
    ],
)
def test_an_exercise_that_cannot_be_marked_is_named(tmp_path, sources, said):
    with pytest.raises(SettingError, match=f"01_toy.ipynb.*{said}"):
        course.for_teacher(notebook(tmp_path, *sources))


@each
def test_a_student_finds_no_solution(path, trees):
    read = lambda place: place.read_text(encoding="utf-8")
    source = ["".join(cell["source"]) for cell in json.loads(read(path))["cells"]]
    solutions = [found[2] for text in source for found in course.SOLUTION.finditer(text)]
    elsewhere = "\n".join(course.SOLUTION.sub("", text) for text in source)
    lines = {line.strip() for text in solutions for line in text.splitlines() if len(line.strip()) > 12}
    lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in lines if line not in elsewhere]
    student, teacher = read(trees[0] / path.name), read(trees[1] / "source" / path.stem / path.name)
    assert len(lines) >= len(solutions) and all(line in teacher for line in lines)
    assert not [line for line in lines if line in student]
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", student) and student.count(course.STUB) == len(solutions)


@each
def test_a_student_keeps_the_pictures_and_can_run_every_cell(path, trees):
    before, after = (json.loads(p.read_text(encoding="utf-8"))["cells"] for p in (path, trees[0] / path.name))
    before = [cell for cell in before if "hosted" not in cell["metadata"].get("tags", [])]
    assert "mybinder.org" not in (trees[0] / path.name).read_text(encoding="utf-8")  # what it opens has the solutions
    after = [cell for cell in after if "hosted" not in cell["metadata"].get("tags", [])]
    first = next(number for number, cell in enumerate(before) if "### BEGIN SOLUTION" in "".join(cell["source"]))
    shown = lambda cell: [{**output, "execution_count": None} for output in cell.get("outputs", [])]
    pictures = [shown(cell) for cell in before[:first]]
    assert [shown(cell) for cell in after[:first]] == pictures and any(pictures)
    for cell in after[first:]:
        assert not cell.get("outputs")
    for cell in after:
        if cell["cell_type"] == "code":
            compile(cell["source"], path.name, "exec")


@each
def test_goals_stand_at_the_head(path):
    head = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    assert re.match(r"# \d\d", head) and len(re.findall(r"^- ", head, re.M)) >= 3
    assert re.search(r"(Cost|takes).* (s|minutes?) ", head), "how long it runs"


def test_the_guide_knows_every_notebook():
    guide = (NOTEBOOKS / "TEACHING.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in re.findall(r"^\| (\d\d)[^|]*\|.*\| *([\d–]+) *\|$", guide, re.M)}
    for path in PATHS:
        number = path.stem[:2]
        assert re.search(rf"^### {number} ", guide, re.M), f"TEACHING.md says nothing of {path.stem}"
        exercises = path.read_text(encoding="utf-8").count("### BEGIN SOLUTION")
        assert rows[number][0] in (str(exercises), "–"), f"TEACHING.md: {path.stem} has {exercises} exercises"


def test_only_what_was_built_here_is_replaced(tmp_path):
    target = tmp_path / "tree"
    target.mkdir()  # an empty folder will do
    course.write_tree(target, {"a.txt": "old", "in/b.txt": "old"})
    course.write_tree(target, {"a.txt": "new"})
    assert sorted(path.name for path in target.rglob("*")) == [course.MANIFEST, "a.txt"]
    assert (target / "a.txt").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["tree"]
    (target / "a.txt").write_text("somebody's work")
    for change in ("a.txt", "gradebook.db"):
        (target / change).write_text("somebody's work")
        with pytest.raises(SettingError, match=f"holds work: {change} is new or changed"):
            course.write_tree(target, {"a.txt": "newer"})
        assert (target / change).read_text() == "somebody's work"
        (target / "a.txt").write_text("new")


def test_a_tree_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target, replace = tmp_path / "tree", os.replace
    course.write_tree(target, {"a.txt": "old"})

    def fail(source, to):
        if Path(to) == target and not source.name.endswith("-old"):
            raise OSError("the disk is full")
        replace(source, to)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        course.write_tree(target, {"a.txt": "new"})
    assert (target / "a.txt").read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        ([NOTEBOOKS, "--student", tmp_path], "is not empty and was not built here"),
        ([NOTEBOOKS, "--teacher", tmp_path / "mine.txt"], "is a file"),
        ([tmp_path / "empty", "--student", tmp_path / "new"], "holds no notebooks"),
    ):
        assert course.main([str(argument) for argument in arguments]) == 2
        said_now = capsys.readouterr().err
        assert said in said_now and said_now.count("\n") == 1
    with pytest.raises(SystemExit):
        course.main([str(NOTEBOOKS)])
    assert "--student DIR, --teacher DIR, or both" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine.txt"]
