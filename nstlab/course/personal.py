"""A sheet of exercises for each student, with numbers and pictures of their own: `run.py personal build | mark`.

The seed is the hash of the course's name and the student's, so a sheet can be made again at any time, differs from its
neighbour's, and from last year's. The checks hold hashes instead of answers. Whoever wants to cheat still can: see the policy
in TEACHING.md.
"""

import argparse
import csv
import hashlib
import json
import random
import re
import sys
from pathlib import Path

from nstlab.course import trees
from nstlab.course.exercises import EXERCISES, Exercise
from nstlab.errors import SettingError

FILE, COURSE = "personal.ipynb", "nstlab"
FINE = 100  # answers are compared to two decimals
NAME = re.compile(r"\w[\w .@+-]{0,63}")
HEAD = """\
# The sheet of {name}

Eight exercises, each from one notebook of the course. The tasks are the same for all; the numbers and pictures are yours alone.

- Set `answer` where it says so, run the cell, then run the check below.
- You may use any code, and any help that you name. Be ready to explain each line.
- Two decimals are enough.

*This takes a few seconds to run.*"""


def seed_of(student: str, course: str = COURSE) -> int:
    """The seed of a student's sheet."""
    return int.from_bytes(hashlib.sha256(f"{course}/{student}".encode()).digest()[:8], "big")


def sheet(student: str, course: str = COURSE) -> list[Exercise]:
    """The exercises of one student, always the same for one name and course."""
    return [make(random.Random(f"{seed_of(student, course)}/{make.__name__}")) for make in EXERCISES]


def moved(picture, veiled: str):
    """The picture (N, C, H, W) rolled by a shift that was written as one number."""
    down, right = (part - 32 for part in divmod(int(veiled, 16), 64))
    return picture.roll((down, right), (2, 3))


def numbers(answer) -> list[float]:
    """All numbers of an answer: one number, a tensor, or lists of them of any depth. Raises TypeError for anything else."""
    answer = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(answer, (list, tuple)):
        return [number for part in answer for number in numbers(part)]
    return [float(answer)]


def sealed(answer, salt: str) -> list[str]:
    """A hash for each number of the answer, to two decimals, in its place."""
    return [_seal(salt, place, round(number * FINE)) for place, number in enumerate(numbers(answer))]


def agrees(answer, seals: list[str], salt: str) -> bool:
    """Whether the answer has the sealed numbers, give or take 0.01; False for what has no numbers."""
    try:
        found = [round(number * FINE) for number in numbers(answer)]
    except (TypeError, ValueError, OverflowError):
        return False
    near = lambda place, number: {_seal(salt, place, number + step) for step in (-1, 0, 1)}
    return len(found) == len(seals) and all(seals[place] in near(place, number) for place, number in enumerate(found))


def _seal(salt: str, place: int, number: int) -> str:
    return hashlib.sha256(f"{salt}/{place}/{number}".encode()).hexdigest()[:16]


def solved(exercise: Exercise):
    """The answer of the reference solution."""
    names: dict = {}
    exec("from nstlab.course import personal", names)
    exec(f"{exercise.given}\n{exercise.solution}", names)
    return names["answer"]


def notebook(student: str, course: str = COURSE) -> dict:
    """The student's sheet as a notebook with solutions, in the form that `nstlab.course.trees` reads."""
    cells = [
        _cell("markdown", HEAD.format(name=student)),
        _cell("code", "from nstlab.course import check, personal"),
    ]
    for number, exercise in enumerate(sheet(student, course), 1):
        salt = f"{seed_of(student, course):x}/{number}"
        solution = f"{exercise.given}\n\nanswer = None\n### BEGIN SOLUTION\n{exercise.solution}\n### END SOLUTION"
        given, _, rest = solution.partition("\n\nanswer = None")
        test = f'check(\n    personal.agrees(answer, {json.dumps(sealed(solved(exercise), salt))}, "{salt}"),\n    '
        cells += [
            _cell("markdown", f"**{number}. {exercise.title}** (notebook {exercise.lesson[:2]})\n\n{exercise.task}"),
            _cell("code", given),
            _cell("code", f"answer = None{rest}"),
            _cell("code", f"{test}{json.dumps(exercise.hint)},\n)"),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number:03d}"
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _cell(kind: str, source: str) -> dict:
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def class_tree(students: list[str], course: str = COURSE) -> dict[str, str]:
    """{name: text} of all sheets: students/NAME for them, marking/NAME with solutions. Raises SettingError for a bad name."""
    files: dict[str, str] = {}
    for student in students:
        if not NAME.fullmatch(student):
            raise SettingError(f"student {student!r}: give letters, digits, spaces and . @ + - only, at most 64")
        if f"students/{student}/{FILE}" in files:
            raise SettingError(f"student {student!r} is there twice: give each name once")
        source = notebook(student, course)
        for room, made in (("students", trees.students_version), ("marking", trees.teachers_version)):
            files[f"{room}/{student}/{FILE}"] = trees.as_text(made(json.loads(json.dumps(source)), f"{student}/{FILE}"))
    return files


def mark(reference: Path, submitted: Path) -> dict[str, bool]:
    """{check: whether it holds} of a submitted sheet: only what students wrote is taken, and is run in the reference's place.

    Runs the student's code: use an account in which there is nothing to lose. Raises SettingError for what is no notebook.
    """
    import nbformat
    from nbclient import NotebookClient

    whole = nbformat.read(reference, 4)
    try:
        theirs = {_grade_id(cell): cell.source for cell in nbformat.read(submitted, 4).cells if cell.cell_type == "code"}
    except Exception as error:  # nbformat raises what the JSON reader raises, and more
        raise SettingError(f"{submitted} is no notebook: {type(error).__name__}; ask for the file again") from None
    for cell in whole.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = theirs.get(_grade_id(cell), "answer = None")
    NotebookClient(whole, timeout=120, kernel_name="python3", allow_errors=True).execute()
    graded = [cell for cell in whole.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    return {_grade_id(cell): not any(output.output_type == "error" for output in cell.outputs) for cell in graded}


def _grade_id(cell) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def mark_class(folder: Path, submitted: Path, out) -> None:
    """Write a table of all points as CSV to `out`: a row for each sheet of `folder`, 0 where nothing was handed in."""
    sheets = sorted(Path(folder).glob(f"marking/*/{FILE}"))
    if not sheets:
        raise SettingError(f"{folder} holds no sheets: name the folder that `personal build` wrote")
    table = csv.writer(out)
    table.writerow(["student", *(make.__name__ for make in EXERCISES), "points"])
    for reference in sheets:
        theirs = Path(submitted, reference.parent.name, FILE)
        points = [int(right) for right in mark(reference, theirs).values()] if theirs.exists() else [0] * len(EXERCISES)
        table.writerow([reference.parent.name, *points, sum(points)])


def main(arguments: list[str]) -> int:
    """`build NAME... [--out DIR] [--course NAME]` or `mark FOLDER [--submitted DIR]`. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="run.py personal", description="Exercises with numbers and pictures for each student."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    build = actions.add_parser("build", help="write the sheets", fromfile_prefix_chars="@")
    build.add_argument("names", nargs="+", metavar="NAME", help="a student, or @FILE with one on each line")
    build.add_argument("--out", type=Path, metavar="DIR", default=Path("out/personal"), help="the folder (out/personal)")
    build.add_argument("--course", default=COURSE, help="another name gives all students other numbers, such as 2027-spring")
    marking = actions.add_parser("mark", help="mark what was handed in, as CSV")
    marking.add_argument("folder", type=Path, help="what `build` wrote")
    marking.add_argument("--submitted", type=Path, metavar="DIR", help="with NAME/personal.ipynb inside (FOLDER/students)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.action == "build":
            trees.write_tree(chosen.out, class_tree(chosen.names, chosen.course))
            print(f"{chosen.out}: {len(chosen.names)} sheets in students/, with solutions in marking/")
        else:
            mark_class(chosen.folder, chosen.submitted or chosen.folder / "students", sys.stdout)
    except (SettingError, OSError) as error:
        print(f"run.py personal: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
