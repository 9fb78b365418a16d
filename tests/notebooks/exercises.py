"""The exercises of a notebook, and what they say to an answer: without running more of the notebook than the answer needs.

`answers/NAME.toml` holds, for a notebook, answers that its checks must call wrong and others that they must call right:

    [parameters]
    size = 64  # of the notebook, to be quick

    [1.wrong]  # exercise 1
    "what is wrong with it" = "code in the place of the solution"

    [1.right]
    "how it differs from the reference" = "code"

Before an answer, only those statements of the cells above run whose names it or its checks use, directly or through others.
"""

import ast
import contextlib
import io
import json
import symtable
import textwrap
import tomllib
from pathlib import Path

from nstlab.course.trees import CHECK, SOLUTION, STUB, check

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
CHANGERS = {"append", "extend", "update", "add", "pop", "setdefault", "prepare"}  # methods that change what they belong to
COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}


def answers(name: str) -> dict:
    """What answers/NAME.toml holds."""
    return tomllib.loads((HERE / "answers" / f"{name}.toml").read_text(encoding="utf-8"))


class Exercise:
    """One exercise of a notebook: `judge(code)` says "right", or what its checks said."""

    def __init__(self, name: str, number: int, parameters: dict):
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in code]
        places = [place for place, source in enumerate(sources) if SOLUTION.search(source)]
        start, end = places[number - 1], [*places, len(sources)][number]
        last = max(place for place in range(start, end) if CHECK.search(sources[place]))
        values = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        tagged = ["parameters" in cell["metadata"].get("tags", []) for cell in code]
        self.above = [f"{source}\n{values}" if tag else source for source, tag in zip(sources[:start], tagged)]
        self.own = sources[start]
        self.after = sources[start + 1 : last + 1]
        self.reference = SOLUTION.search(self.own)[2]
        self.spaces: dict[str, dict] = {}

    def judge(self, code: str) -> str:
        """What the checks say of this code in the place of the solution."""
        indent = SOLUTION.search(self.own)[1]
        body = textwrap.indent(textwrap.dedent(code).strip(), indent)
        own = SOLUTION.sub(lambda _: body, self.own)
        wanted = [part for part in self.after if CHECK.search(part)]
        between = [part for part in self.after if not CHECK.search(part)]
        more = needed(between, "\n".join(wanted))
        above = needed(self.above, "\n".join([own, more, *wanted]))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                space = {**self._run_once(above)}
                for part in (own, more, *wanted):
                    exec(compile(part, f"exercise, {part[:30]!r}", "exec"), space)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "right"

    def blank(self) -> str:
        """What the checks say of the exercise as students get it."""
        body = SOLUTION.search(self.own)
        return self.judge(STUB + ("\nraise NotImplementedError()" if body[1] else ""))

    def _run_once(self, above: str) -> dict:
        if above not in self.spaces:
            space = {"__name__": "notebook"}
            exec(compile(above, "above the exercise", "exec"), space)
            space["check"] = check  # raises where work is wrong
            self.spaces[above] = space
        return self.spaces[above]


def needed(sources: list[str], by: str) -> str:
    """Those statements of the sources, in order, that make a name that `by` uses, or that such a statement uses, and so on.

    A name is what the last statement before its use made it; one that a function uses may be used at any time, so for it all
    statements count that make it.
    """
    above, last = [statement for source in sources for statement in ast.parse(source).body], ast.parse(by).body
    always: set[str] = set()
    while True:
        kept, wanted, found = [], set(always), set(always)
        for statement in reversed([*above, *last]):
            if statement in last or made(statement) & wanted:
                kept.append(statement)
                direct, later = used(statement)
                found |= later
                wanted = (wanted - bound(statement) | direct | later) | always
        if found == always:
            return "\n".join(ast.unparse(statement) for statement in reversed(kept) if statement not in last)
        always = found


def used(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The names from outside that a statement reads: at once, and inside of functions that it makes."""
    direct, later = set(), set()

    def look(table, names):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
                names.add(symbol.get_name())
        for child in table.get_children():
            look(child, names if child.get_name() in COMPREHENSIONS else later)

    look(symtable.symtable(ast.unparse(statement), "statement", "exec"), direct)
    if isinstance(statement, ast.For):  # what the loop itself makes
        direct -= {node.id for node in ast.walk(statement.target) if isinstance(node, ast.Name)} - used_names(statement.iter)
    return direct, later


def used_names(tree: ast.AST) -> set[str]:
    """The names that stand in it to be read."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def bound(statement: ast.stmt) -> set[str]:
    """The names that are new from this statement on, whatever they were before."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        parts = [
            part for target in statement.targets for part in ([target] if isinstance(target, ast.Name) else ast.walk(target))
        ]
        return {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return made(statement) if isinstance(statement, (ast.Import, ast.ImportFrom)) else set()


def made(statement: ast.stmt) -> set[str]:
    """The names that a statement binds or whose contents it changes."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            names |= used_names(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGERS:
            names |= used_names(node.func.value)
    return names
