"""Sheets of exercises for each student: their own numbers, the same at any time, and every point for the reference."""

import json
import random
import re

import pytest
import torch

from nstlab import stats
from nstlab.course import exercises, personal, trees
from nstlab.course.checks import check
from nstlab.data.scenes import scene
from nstlab.losses.region import guided_gram

PAIR = ("Ada Lovelace", "grace@example")


@pytest.fixture(scope="module")
def files():
    return personal.class_tree(list(PAIR))


def cells(text):
    return json.loads(text)["cells"]


def run(text, answers=None):
    """[whether each check holds] when the cells of a sheet run in order. `answers` takes the place of what students write;
    then what is given, which only draws and prints, is left out."""
    said, names = [], {}
    for cell in [cell for cell in cells(text) if cell["cell_type"] == "code"]:
        grade = cell["metadata"]["nbgrader"]
        given = not (grade["solution"] or grade["grade"] or "import check" in cell["source"])
        if answers is not None and grade["solution"]:
            names["answer"] = answers[len(said)]
        elif answers is None or not given:
            try:
                exec(cell["source"], names)
                said += [True] * grade["grade"]
            except AssertionError:
                said.append(False)
    return said


@pytest.mark.parametrize("student", PAIR)
def test_the_reference_gets_every_point_and_nothing_gets_none(files, student):
    teachers = files[f"marking/{student}/personal.ipynb"]
    assert run(teachers) == [True] * 8
    for wrong in (None, 0, [], "answer", [[1.0] * 3] * 3, float("nan")):
        assert run(teachers, [wrong] * 8) == [False] * 8, wrong


def test_no_two_students_have_the_same_exercise():
    one, two = (personal.sheet(student) for student in PAIR)
    later = personal.sheet(PAIR[0], "another course")
    for mine, *others in zip(one, two, later):
        assert mine.title == others[0].title and mine.given not in [other.given for other in others]
        assert personal.numbers(personal.solved(mine)) not in [personal.numbers(personal.solved(other)) for other in others]


def test_a_neighbours_answers_are_wrong(files):
    mine, theirs = ([personal.solved(exercise) for exercise in personal.sheet(student)] for student in PAIR)
    teachers = files[f"marking/{PAIR[0]}/personal.ipynb"]
    assert run(teachers, mine) == [True] * 8 and run(teachers, theirs) == [False] * 8


def test_the_same_student_twice_is_the_same_sheet(files):
    assert personal.class_tree(list(PAIR)) == files


@pytest.mark.parametrize("student", PAIR)
def test_a_sheet_holds_no_solution(files, student):
    text = files[f"students/{student}/personal.ipynb"]
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", text) and text.count(trees.STUB) == 8
    for exercise in personal.sheet(student):
        for line in (*exercise.solution.splitlines(), f"answer = {personal.solved(exercise)}"):
            assert line not in [there.strip() for cell in cells(text) for there in cell["source"].splitlines()]


def test_answers_by_hand():
    """What a pencil gives for one sheet of numbers, so that the solutions are more than consistent with themselves."""
    fixed = exercises.Exercise
    by_hand = {
        "convolution": ("image = [[1, 2, 0, 0, 0], [3, 4, 0, 0, 0]] + [[0] * 5] * 3\nrow, column = 1, 1\n"
                        "kernel = [[0, 1, 0], [2, 0, 0], [0, 0, 0]]", 2 + 6),
        "receptive_field": ("layers = [(3, 1), (2, 2), (3, 1)]", 1 + 2 + 1 + 4),
        "gram": ("F = [[1, 2, 0, 0], [0, 1, 3, 0]]", [5 / 8, 2 / 8, 10 / 8]),
        "adain": ("content = [0, 0, 2, 2]\nstyle = [1, 1, 7, 7]", [1, 1, 7, 7]),
        "mean_one": ("S = [[0.75, 0], [0.25, 0]]\nk = 4", [[4 / 2, 1 / 2], [2 / 2, 1 / 2]]),
        "edge_f1": ("wanted = [(0, 0), (0, 1), (5, 5)]\nfound = [(1, 1), (3, 3)]", [1 / 2, 2 / 3, 4 / 7]),
    }  # fmt: skip
    for make in exercises.EXERCISES[:6]:
        drawn = make(random.Random(0))
        given, answer = by_hand[make.__name__]
        exercise = fixed(drawn.title, drawn.lesson, drawn.task, given, drawn.solution, drawn.hint)
        assert personal.numbers(personal.solved(exercise)) == pytest.approx(personal.numbers(answer)), make.__name__


def test_gram_matrices_are_those_of_the_library():
    names = {}
    one = next(exercise for exercise in personal.sheet("ada") if exercise.title == "A Gram matrix")
    exec(f"{one.given}\n{one.solution}", names)
    whole = stats.gram(torch.tensor([names["F"]], dtype=torch.float32).unsqueeze(-1))[0]
    assert names["answer"] == pytest.approx([whole[0, 0].item(), whole[0, 1].item(), whole[1, 1].item()])
    two = next(exercise for exercise in personal.sheet("ada") if exercise.title == "The colours of one thing")
    exec(f"{two.given}\n{two.solution}", names)
    sky = (names["labels"] == 0)[None].float()
    assert torch.allclose(guided_gram(names["picture"], sky)[0], torch.tensor(names["answer"]), atol=1e-5)


def test_a_picture_is_moved_down_and_right():
    picture = scene(3, 32).image
    assert personal.moved(picture, exercises._veiled(2, -3)).equal(picture.roll((2, -3), (2, 3)))


def test_seals_take_rounding_and_nothing_else():
    seals = personal.sealed([1.234, -2], "salt")
    assert all(personal.agrees(answer, seals, "salt") for answer in ([1.234, -2], [1.24, -2.0], ([1.226], -2)))
    for wrong in ([1.26, -2], [-2, 1.234], [1.234], [1.234, -2, 0], None, "1.234", float("inf"), [1.234, [None]]):
        assert not personal.agrees(wrong, seals, "salt"), wrong
    assert not personal.agrees([1.234, -2], seals, "pepper")


def test_what_cannot_be_named_is_refused(tmp_path, capsys):
    for names, said in ((["../x"], "letters, digits"), (["a", "a"], "twice")):
        assert personal.main(["build", *names, "--out", str(tmp_path / "new")]) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "new").exists()
    assert personal.main(["mark", str(tmp_path)]) == 2
    assert "holds no sheets" in capsys.readouterr().err


def test_a_class_is_built_and_marked(tmp_path, capsys):
    (tmp_path / "names.txt").write_text("ada\nben\n")
    assert personal.main(["build", f"@{tmp_path}/names.txt", "--out", f"{tmp_path}/class"]) == 0
    sheet = tmp_path / "class/students/ada/personal.ipynb"
    notebook = json.loads(sheet.read_text())
    answers = [personal.solved(exercise) for exercise in personal.sheet("ada")]
    for cell in notebook["cells"]:
        grade = cell["metadata"].get("nbgrader", {})
        if grade.get("solution"):
            number = int(grade["grade_id"].split("-")[1]) - 1
            cell["source"] = f"answer = {answers[number] if number != 2 else 0}"  # the third is wrong
        elif cell["cell_type"] == "code":
            cell["source"] = "check = print"  # and what students must not change is put back
    sheet.write_text(json.dumps(notebook))
    (tmp_path / "class/students/ben/personal.ipynb").unlink()
    capsys.readouterr()
    assert personal.main(["mark", f"{tmp_path}/class"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[1:] == ["ada,1,1,0,1,1,1,1,1,7", "ben,0,0,0,0,0,0,0,0,0"]
    sheet.write_text("not a notebook")
    assert personal.main(["mark", f"{tmp_path}/class"]) == 2
    assert "ada/personal.ipynb is no notebook" in capsys.readouterr().err


def test_students_hear_the_hint(files, capsys):
    (cell, *_) = (cell for cell in cells(files[f"students/{PAIR[0]}/personal.ipynb"]) if "check(" in cell["source"])
    exec(cell["source"], {"check": check, "personal": personal, "answer": None})
    assert capsys.readouterr().out.startswith("Not yet. Nine products")
