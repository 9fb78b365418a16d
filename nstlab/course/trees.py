"""The course as two trees from one source: notebooks for students, without solutions, and an nbgrader course for a teacher.

The source is the folder of notebooks as it stands. An exercise is a code cell with a reference solution between
`### BEGIN SOLUTION` and `### END SOLUTION`, and checks (`nstlab.course.check`) behind the solution, in the same cell or in
a later one. What stands between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS` is kept from students. These are nbgrader's
markers (Project Jupyter 2019), so its `generate_assignment` makes the students' notebooks out of the teacher's.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections import Counter
from pathlib import Path

from nstlab.errors import SettingError
from nstlab.experiments.results import HOSTED

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION[ \t]*$", re.M | re.S)
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS[ \t]*\n?", re.M | re.S)
CHECK = re.compile(r"^[ \t]*check\(", re.M)
STUB = "# YOUR CODE HERE"  # a comment: where the exercise gives a starting value, the cell runs and the check says its hint
STRICT = """### BEGIN HIDDEN TESTS
from nstlab.course.trees import check  # from here on, 'Not yet' is an error
### END HIDDEN TESTS
"""
MANIFEST = ".nstlab-course.json"
WORDS = ("GLOSSARY.md", "HISTORY.md", "RIGHTS.md")  # beside the notebooks, for everybody
GUIDES = ("TEACHING.md", "ANSWERS.md", "PROJECTS.md")  # for teachers alone

CONFIG = f"""\
\"\"\"nbgrader's settings for this course. TEACHING.md says what to run, here in this folder.\"\"\"

import os

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearOutput

os.environ["NSTLAB_HEADLESS"] = "1"  # panels run to their end
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

c = get_config()  # noqa: F821 (nbgrader provides it)
c.CourseDirectory.course_id = "nstlab"
c.Execute.timeout = 900  # seconds that one cell may take
c.ClearSolutions.code_stub = {{"python": "{STUB}"}}
c.LockCells.lock_readonly_cells = False  # students may turn the knobs; marking puts these cells back as they were
# The pictures of the teaching part stay in; nothing behind the first exercise has any output.
c.GenerateAssignment.preprocessors = [p for p in GenerateAssignment.preprocessors.default() if p is not ClearOutput]
"""

HELLO = """\
# Neural style transfer: the course

Set up once: Python 3.11 or newer, then nstlab with its notebooks' tools from a copy of its repository,
`pip install "PATH/TO/nstlab[lab]"`. Start with `jupyter lab 00_start_here.ipynb`.

Run a notebook from top to bottom and look at its pictures first. Then its exercises: write where it says `# YOUR CODE HERE`,
run the cell, and run the check behind it. It says *Right.*, or *Not yet.* and a hint. Change what you like in the other
cells; when work is marked, they are as they were.
"""


def check(right: bool, hint: str = "") -> None:
    """As `nstlab.course.check`, but what is not yet right raises AssertionError: so nbgrader counts it."""
    if not right:
        raise AssertionError(f"Not yet. {hint}")
    print("Right.")


def read(path: Path) -> dict:
    """The notebook at `path` as its JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def marked(notebook: dict, path) -> dict:
    """The notebook, in place, marked for nbgrader: solution and check in cells of their own, one point for each check cell.

    From the first exercise on, no cell keeps an output (they come from the solutions), and an error does not stop a run of all
    cells. The badges go: what they open has the solutions. Raises SettingError, which names `path`, where an exercise has no
    check, or its markers do not pair.
    """
    notebook["metadata"].pop("nstlab", None)  # the hash of the cells as they were
    lesson = [cell for cell in notebook["cells"] if not is_badges(cell)]
    cells = notebook["cells"] = [part for cell in lesson for part in _split(cell, path)]
    number, unchecked, taken = 0, False, Counter()
    for place, cell in enumerate(cells):
        if cell["cell_type"] != "code" or not cell["source"].strip():
            continue
        solution = bool(SOLUTION.search(cell["source"]))
        graded = bool(number and not solution and CHECK.search(cell["source"]))
        if solution and unchecked:
            raise SettingError(f"{path}: exercise {number} has no check; write one behind its solution")
        number += solution
        unchecked = solution or (unchecked and not graded)
        name = f"exercise-{number}" if solution else f"check-{number}" if graded else f"cell-{place}"
        taken[name] += 1
        name += f"-{taken[name]}" if taken[name] > 1 else ""
        _mark(cell, name, solution, graded)
        if number:
            cell["outputs"], cell["execution_count"] = [], None
            cell["metadata"]["tags"] = sorted({*cell["metadata"].get("tags", []), "raises-exception"})
    if unchecked:
        raise SettingError(f"{path}: exercise {number} has no check; write one behind its solution")
    return notebook


def is_badges(cell: dict) -> bool:
    """Whether a cell is the line of badges that open the notebook elsewhere."""
    return cell["cell_type"] == "markdown" and HOSTED in cell["metadata"].get("tags", [])


def _split(cell: dict, path: Path) -> list[dict]:
    """The cell with its source as one text; as two cells where a check follows the solution."""
    source = cell["source"] = "".join(cell["source"])
    found = list(SOLUTION.finditer(source))
    markers = re.findall(r"### (?:BEGIN|END) SOLUTION", source)
    if cell["cell_type"] != "code" or len(markers) != 2 * len(found):
        if markers and cell["cell_type"] == "code":
            raise SettingError(f"{path}: in cell {cell['id']}, ### BEGIN SOLUTION and ### END SOLUTION do not pair")
        return [cell]
    if not found or not CHECK.search(source[found[-1].end() :]):
        return [cell]
    rest = cell | {"id": f"{cell['id']}-check", "source": source[found[-1].end() :].strip("\n"), "metadata": {}}
    return [cell | {"source": source[: found[-1].end()]}, rest]


def _mark(cell: dict, name: str, solution: bool, graded: bool) -> None:
    """nbgrader's metadata: what students write in, what is graded, and, for all else, what is put back before marking."""
    points = {"points": 1} if graded else {}
    flags = {"grade": graded, "locked": not solution, "solution": solution, "task": False}
    cell["metadata"]["nbgrader"] = {"grade_id": name, "schema_version": 3, **flags, **points}


def for_teacher(path: Path) -> dict:
    """The notebook at `path` as nbgrader's source: solutions in, and checks that raise while work is marked."""
    return teachers_version(read(path), path)


def teachers_version(notebook: dict, path) -> dict:
    """As `for_teacher`, of a notebook that was read already and is changed; errors name `path`."""
    notebook = marked(notebook, path)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = SOLUTION.sub(_guard, cell["source"])
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = STRICT + cell["source"]
    return notebook


def _guard(found: re.Match) -> str:
    """The solution of a function's body, and a line behind its `return` that makes the body whole when the solution goes."""
    indent, last = found[1], found[2].rstrip().rsplit("\n", 1)[-1].strip()
    return found[0] + (f"\n{indent}raise NotImplementedError()" if indent and last.startswith("return") else "")


def for_student(path: Path) -> dict:
    """The notebook at `path` without solutions, their outputs, and hidden tests: what nbgrader makes of the teacher's."""
    return students_version(read(path), path)


def students_version(notebook: dict, path) -> dict:
    """As `for_student`, of a notebook that was read already and is changed; errors name `path`."""
    notebook = teachers_version(notebook, path)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = HIDDEN.sub("", SOLUTION.sub(rf"\1{STUB}", cell["source"]))
    return notebook


def student_tree(folder: Path) -> dict[str, str]:
    """The students' files: name -> text."""
    files = {path.name: as_text(for_student(path)) for path in lessons(folder)}
    return files | texts(folder, WORDS) | {"README.md": HELLO}


def teacher_tree(folder: Path) -> dict[str, str]:
    """The files of an nbgrader course: name -> text. Each notebook with exercises is an assignment of its name."""
    files = {"nbgrader_config.py": CONFIG}
    for path in lessons(folder):
        notebook = for_teacher(path)
        if any(cell["metadata"].get("nbgrader", {}).get("grade") for cell in notebook["cells"]):
            files[f"source/{path.stem}/{path.name}"] = as_text(notebook)
    return files | texts(folder, WORDS + GUIDES)


def texts(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """{name: text} of those of the named files that are in the folder."""
    return {name: Path(folder, name).read_text(encoding="utf-8") for name in names if Path(folder, name).exists()}


def lessons(folder: Path) -> list[Path]:
    """The course's notebooks in teaching order; raises SettingError where there are none."""
    paths = sorted(Path(folder).glob("[0-9]*.ipynb"))
    if not paths:
        raise SettingError(f"{folder} holds no notebooks: name the folder with 00_start_here.ipynb")
    return paths


def as_text(notebook: dict) -> str:
    """The JSON of a notebook, always in the same order."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_tree(target: Path, files: dict[str, str | bytes]) -> None:
    """Write `files` (name inside -> text or bytes) as the folder `target`, whole or not at all.

    A folder that was written here before and holds nothing else is replaced. Raises SettingError for any other folder that is
    not empty: work that somebody did in it is never lost.
    """
    target = Path(target).absolute()
    check_ours(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name[:32]}-{secrets.token_hex(8)}")
    new.mkdir()  # with the permissions that any new folder would get
    old = new.with_name(f"{new.name}-old")
    files = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    manifest = json.dumps({name: _hash(content) for name, content in files.items()}).encode()
    try:
        for name, content in {**files, MANIFEST: manifest}.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def check_ours(target: Path) -> None:
    """Raise SettingError unless `target` is missing, empty, or exactly what `write_tree` left there."""
    if target.is_file():
        raise SettingError(f"{target} is a file: name a folder")
    if not target.exists() or not any(target.iterdir()):
        return
    try:
        hashes = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SettingError(f"{target} is not empty and was not built here: name another folder") from None
    for path in target.rglob("*"):
        name = path.relative_to(target).as_posix()
        if path.is_file() and name != MANIFEST and hashes.get(name) != _hash(path.read_bytes()):
            raise SettingError(f"{target} holds work: {name} is new or changed since it was built; name another folder")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(arguments: list[str]) -> int:
    """`FOLDER [--student DIR] [--teacher DIR]`: build one tree or both from the notebooks in FOLDER. Returns the exit code."""
    import argparse

    parser = argparse.ArgumentParser(prog="run.py course", description="Build the course for students, or for a teacher.")
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--student", type=Path, metavar="DIR", help="notebooks without solutions")
    parser.add_argument(
        "--teacher", type=Path, metavar="DIR", help="an nbgrader course: sources with solutions, settings, guide"
    )
    chosen = parser.parse_args(arguments)
    if not (chosen.student or chosen.teacher):
        parser.error("say what to build: --student DIR, --teacher DIR, or both")
    try:
        for target, tree in ((chosen.student, student_tree), (chosen.teacher, teacher_tree)):
            if target:
                files = tree(chosen.folder)
                write_tree(target, files)
                print(f"{target}: {sum(name.endswith('.ipynb') for name in files)} notebooks")
    except (SettingError, OSError) as error:
        print(f"run.py course: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
