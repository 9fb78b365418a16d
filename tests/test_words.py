"""The words beside the notebooks: links, the glossary's terms, an answer for every question, marks that add up."""

import json
import re
from pathlib import Path

import pytest

from nstlab.course import exercises, trees

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PAGES = trees.WORDS + trees.GUIDES
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(name):
    return (NOTEBOOKS / name).read_text(encoding="utf-8")


def cells(name):
    return json.loads(read(name))["cells"]


def plain(text):
    return re.sub(r"[\W_]+", " ", text).lower().strip()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for link in LINK.findall(read(name)):
        if link.startswith("https://"):
            known = r"https://(doi\.org/10\.\d{4,}/\S+|arxiv\.org/abs/\d{4}\.\d{5}|arxiv\.org/abs/\d{4}\.\d{4,5}"
            known += r"|www\.wipo\.int/\S+|eur-lex\.europa\.eu/eli/\S+|creativecommons\.org/\S+|nbgrader\.readthedocs\.io)"
            assert re.fullmatch(known, link), link
        else:
            assert (NOTEBOOKS / link).exists(), link
            assert name in trees.GUIDES or link not in trees.GUIDES, "students do not get that page"


def terms():
    return [(found[1], found[0]) for found in re.finditer(r"^\*\*(.+?)\.?\*\*(?:.|\n(?!\n))*", read("GLOSSARY.md"), re.M)]


def test_the_glossary_is_in_order_and_each_term_is_taught():
    names = [name for name, _ in terms()]
    assert len(names) > 80 and names == sorted(names, key=plain) and len(set(names)) == len(names)
    for name, entry in terms():
        assert entry.count("\n") <= 2, name
        taught = re.findall(r"\((\d\d_\w+\.ipynb)\)", entry)
        assert taught, f"{name}: which notebook teaches it?"
        head = entry.partition("). ")[0] if entry.startswith(f"**{name}** (") else name  # "Term (other word). ..."
        words = [word[:5] for word in plain(head).split() if len(word) > 1]
        for notebook in taught:
            said = plain(" ".join("".join(cell["source"]) for cell in cells(notebook)))
            assert any(word in said for word in words), f"{name} is not in {notebook}"


def test_the_glossary_is_linked_from_the_first_notebook():
    assert "GLOSSARY.md" in "".join("".join(cell["source"]) for cell in cells("00_start_here.ipynb"))


def test_every_question_has_an_answer():
    guide = read("TEACHING.md").partition("## Notebook by notebook")[2]
    asked = {part[:2]: part for part in re.split(r"^### ", guide, flags=re.M)[1:] if re.search(r"\bAsk\b", part)}
    answers = {part[:2]: part for part in re.split(r"^## ", read("ANSWERS.md"), flags=re.M)[1:]}
    assert len(asked) >= 14
    for number, part in asked.items():
        question = plain(re.search(r"\bAsk\b(.*?)(?:\n\n|$)", part, re.S)[1])
        given = [plain(found) for found in re.findall(r"\*\*(.+?)\*\*", answers[number], re.S)]
        assert any(said in question for said in given), f"{number}: {question}"
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):  # a notebook that asks gets its answer there too
        for question in re.findall(r"\bAsk: ([^?]*\?)", "\n".join("".join(cell["source"]) for cell in cells(path.name))):
            assert plain(question) in plain(read("ANSWERS.md")), f"{path.name}: {question}"


def table(text, heading):
    """The rows of the first table behind a heading, without its head."""
    behind = text.partition(f"\n## {heading}")[2]
    rows = re.search(r"(?:^\|.*\n)+", behind, re.M)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_outcomes_name_exercises_that_exist_and_leave_none_out():
    marked = {}
    for _, _, named, _ in table(read("TEACHING.md"), "What they can do afterwards"):
        for place, numbers in re.findall(r"(\d\d|sheet): ([\d, to]+)", named):
            for first, last in re.findall(r"(\d+)(?: to (\d+))?", numbers):
                marked.setdefault(place, set()).update(range(int(first), int(last or first) + 1))
    there = {path.stem[:2]: read(path.name).count("### BEGIN SOLUTION") for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    for place, numbers in marked.items():
        most = len(exercises.EXERCISES) if place == "sheet" else there[place]
        assert max(numbers) <= most, place
    for place, count in there.items():
        assert marked.get(place, set()) == set(range(1, count + 1)), f"{place}: an exercise without an outcome"


def test_presets_are_parameters_that_run():
    rows = {row[0]: row[1:] for row in table(read("TEACHING.md"), "Presets for three rooms")}
    assert set(rows) == {path.stem[:2] for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    for number, rooms in rows.items():
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        (settings,) = ["".join(c["source"]) for c in cells(path.name) if "parameters" in c["metadata"].get("tags", [])]
        size, steps = (int(re.search(rf"^{name} = (\d+)", settings, re.M)[1]) for name in ("size", "steps"))
        projector, gpus = ([int(value) for value in room.split(",")] for room in rooms)
        assert projector[0] ** 2 * projector[1] < size**2 * steps < gpus[0] ** 2 * gpus[1], number


def test_the_points_of_a_project_add_up():
    parts = re.split(r"^## ", read("PROJECTS.md"), flags=re.M)[1:]
    points = [sum(int(number) for number in re.findall(r"^\| (\d+) \|", part, re.M)) for part in parts]
    assert points == [40, 60, 60, 60, 60]


def test_students_get_the_words_and_not_the_guides():
    student, teacher = trees.student_tree(NOTEBOOKS), trees.teacher_tree(NOTEBOOKS)
    assert set(trees.WORDS) <= set(student) and not set(trees.GUIDES) & set(student)
    assert set(PAGES) <= set(teacher)
