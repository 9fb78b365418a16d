"""nbgrader marks the course that is built from the notebooks: the reference gets every point, the empty notebook none."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nstlab.course import trees as course

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
LESSON = "00_start_here"  # of those that can be marked at any size, the cheapest


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.fixture
def marking(tmp_path):
    """A teacher's tree in which LESSON is quick, and the student's notebook handed in as it was given out."""
    pytest.importorskip("nbgrader", reason='nbgrader marks the course: pip install -e ".[course]"')
    teacher, student = tmp_path / "marking", tmp_path / "handout"
    assert course.main([str(NOTEBOOKS), "--student", str(student), "--teacher", str(teacher)]) == 0
    source = teacher / "source" / LESSON / f"{LESSON}.ipynb"
    lesson = json.loads(source.read_text(encoding="utf-8"))
    (settings,) = [cell for cell in lesson["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    settings["source"] = re.sub(r"steps = \d+", "steps = 1", re.sub(r"size = \d+", "size = 32", settings["source"]))
    source.write_text(json.dumps(lesson), encoding="utf-8")
    for who, given in (("reference", source), ("empty", student / source.name)):
        place = teacher / "submitted" / who / LESSON
        place.mkdir(parents=True)
        shutil.copy(given, place)
    return teacher


def nbgrader(folder, *words):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_reference_gets_every_point_and_the_empty_notebook_none(marking):
    nbgrader(marking, "generate_assignment", LESSON)
    nbgrader(marking, "autograde", LESSON)
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{marking / 'gradebook.db'}") as book:
        scores = {who: book.find_submission(LESSON, who) for who in ("reference", "empty")}
        points = scores["reference"].max_score
        assert points == 3 and {who: given.score for who, given in scores.items()} == {"reference": points, "empty": 0}
    nbgrader(marking, "generate_feedback", LESSON)
    pages = {who: (marking / "feedback" / who / LESSON / f"{LESSON}.html").read_text(encoding="utf-8") for who in scores}
    assert "Score: 3.0 / 3.0" in pages["reference"] and "Score: 0.0 / 3.0" in pages["empty"]

    places = [marking / "release" / LESSON, marking.parent / "handout"]
    theirs, ours = (["".join(cell["source"]) for cell in cells(place / f"{LESSON}.ipynb")] for place in places)
    different = [one for one, two in zip(theirs, ours, strict=True) if one != two]
    assert len(different) == 1 and "size = 32" in different[0], "nbgrader gives out what we do"
