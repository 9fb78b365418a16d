"""What a student must find nowhere."""

import json

from nstlab.course import trees


def solution_lines(paths) -> set[str]:
    """Every line of a solution of these notebooks that stands nowhere else in them."""
    sources = ["".join(cell["source"]) for path in paths for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    elsewhere = "\n".join(trees.SOLUTION.sub("", source) for source in sources)
    lines = {line.strip() for source in sources for found in trees.SOLUTION.finditer(source) for line in found[2].splitlines()}
    return {line for line in lines if len(line) > 12 and line not in elsewhere}
