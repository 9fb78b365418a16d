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
    """One exercise of a notebook: `judge(code)` says "right", or what its checks said. `codes` are all that will be judged."""

    def __init__(self, name: str, number: int, parameters: dict, codes=()):
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in code]
        places = [place for place, source in enumerate(sources) if SOLUTION.search(source)]
        start, end = places[number - 1], [*places, len(sources)][number]
        last = max(place for place in range(start, end) if CHECK.search(sources[place]))
        self.own, after = sources[start], sources[start + 1 : last + 1]
        self.reference = SOLUTION.search(self.own)[2]

        self.checks = [part for part in after if CHECK.search(part)]
        self.between = needed([part for part in after if not CHECK.search(part)], "\n".join(self.checks))
        rest = "\n".join([self.between, *self.checks])
        every = [f"{self.with_answer(code)}\n{rest}" for code in (self.reference, *codes)]
        values = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        tagged = ["parameters" in cell["metadata"].get("tags", []) for cell in code]
        above = [f"{source}\n{values}" if tag else source for source, tag in zip(sources[:start], tagged)]
        self.space = {"__name__": "notebook"}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(needed(above, *every), "above the exercise", "exec"), self.space)

    def with_answer(self, code: str) -> str:
        """The exercise's cell with this code in the place of the solution."""
        body = textwrap.indent(textwrap.dedent(code).strip(), SOLUTION.search(self.own)[1])
        return SOLUTION.sub(lambda _: body, self.own)

    def judge(self, code: str) -> str:
        """What the checks say of this code in the place of the solution."""
        space = {**self.space, "check": check}  # the one that raises where work is wrong
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                for part in (self.with_answer(code), self.between, *self.checks):
                    exec(compile(part, f"exercise, {part[:30]!r}", "exec"), space)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "right"

    def blank(self) -> str:
        """What the checks say of the exercise as students get it."""
        function = SOLUTION.search(self.own)[1]
        return self.judge(STUB + ("\nraise NotImplementedError()" if function else ""))


def needed(sources: list[str], *texts: str) -> str:
    """Those statements of the sources, in order, that make a name that one of `texts` uses, or that such a statement uses.

    A name is what the last statement before its use made it; one that a function uses may be used at any time, so for it all
    statements count that make it.
    """
    above = [statement for source in sources for statement in ast.parse(source).body]
    places = sorted(set().union(*(_places(above, ast.parse(text).body) for text in texts)))
    return "\n".join(ast.unparse(above[place]) for place in places)


def _places(above: list[ast.stmt], by: list[ast.stmt]) -> set[int]:
    always: set[str] = set()
    while True:
        kept, wanted, found = set(), set(always), set(always)
        for place, statement in reversed([*enumerate(above), *((None, statement) for statement in by)]):
            if place is None or made(statement) & wanted:
                kept.add(place)
                direct, later = used(statement)
                found |= later
                wanted = (wanted - bound(statement) | direct | later) | always
        if found == always:
            return kept - {None}
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
