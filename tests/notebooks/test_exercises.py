"""No check is fooled: blank, copied, swapped, invented answers are wrong; right ones of another form are right."""

import functools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from exercises import HERE, Lesson, answers

CASES = [
    (path.stem, int(number))
    for path in sorted((HERE / "answers").glob("*.toml"))
    for number in answers(path.stem)
    if number.isdigit()
]


@functools.lru_cache(maxsize=1)
def lesson(name: str) -> Lesson:
    return Lesson(name)


@pytest.mark.parametrize("name, number", CASES, ids=lambda value: str(value))
def test_wrong_answers_are_wrong_and_right_ones_right(name, number):
    exercise, asked = lesson(name).exercise(number), lesson(name).given[str(number)]
    found = {
        "the reference": exercise.judge(exercise.reference),
        "blank": exercise.blank(),
        **{why: exercise.judge(code) for kind in ("wrong", "right") for why, code in asked.get(kind, {}).items()},
    }
    right = {"the reference", *asked.get("right", {})}
    mistaken = {why: said for why, said in found.items() if (said == "right") != (why in right)}
    assert not mistaken, mistaken
    unclear = {why: said for why, said in found.items() if why in asked.get("wrong", {}) and "Not yet." not in said}
    assert not unclear, f"a hint, not an error: {unclear}"
    assert len(asked.get("wrong", {})) >= 2 and asked.get("right"), "give two wrong answers or more, and a right one"
