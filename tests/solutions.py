"""What a student must find nowhere."""

import json
import re

from nstlab.course import trees


def letters(text: str) -> str:
    """The text without all that is neither letter nor digit: a page may break or mark it anywhere."""
    return re.sub(r"\W+", "", text)


def solution_lines(paths) -> set[str]:
    """Every line of a solution of these notebooks whose letters stand nowhere else in them."""
    sources = ["".join(cell["source"]) for path in paths for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    elsewhere = letters("\n".join(trees.SOLUTION.sub("", source) for source in sources))
    lines = {line.strip() for source in sources for found in trees.SOLUTION.finditer(source) for line in found[2].splitlines()}
    return {line for line in lines if len(line) > 12 and letters(line) not in elsewhere}
