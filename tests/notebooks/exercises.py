"""The exercises of a notebook and their verdicts on answers, without running more of the notebook than the answers need.

`answers/NAME.toml` holds answers that the checks of a notebook must reject, and others that they must accept:

    [parameters]
    size = 64  # of the notebook: small, to be quick

    [1.wrong]  # exercise 1
    "what is wrong with it" = "code in the place of the solution"

    [1.right]
    "how it differs from the reference" = "code"

A top-level `remember = ["paint"]` names functions of the notebook whose results are kept, for answers that call them alike.

Of the cells above an exercise, only those statements run whose names an answer or a check uses, directly or through other
statements. Each runs once for all exercises of the notebook.
"""

import ast
import contextlib
import functools
import io
import json
import pickle
import symtable
import textwrap
import tomllib
from pathlib import Path

import torch

from nstlab.course.trees import CHECK, SOLUTION, STUB, check

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
CHANGERS = {"append", "extend", "update", "add", "pop", "setdefault", "prepare"}  # methods that change what they belong to
COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}


def answers(name: str) -> dict:
    """What answers/NAME.toml holds."""
    return tomllib.loads((HERE / "answers" / f"{name}.toml").read_text(encoding="utf-8"))


class Lesson:
    """The exercises of one notebook. Ask for them in order: going back runs the notebook from its start."""

    def __init__(self, name: str):
        self.given = answers(name)
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in code]
        values = "\n".join(f"{key} = {value!r}" for key, value in self.given.get("parameters", {}).items())
        tagged = ["parameters" in cell["metadata"].get("tags", []) for cell in code]
        parsed = [ast.parse(f"{source}\n{values}" if tag else source).body for source, tag in zip(sources, tagged)]
        self.statements = [statement for part in parsed for statement in part]

        starts = [place for place, source in enumerate(sources) if SOLUTION.search(source)]
        self.asked = {}  # {number: (number of statements above it, its cell, the cells from there to its last check)}
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(sources)]), 1):
            last = max(place for place in range(start, end) if CHECK.search(sources[place]))
            self.asked[number] = sum(map(len, parsed[:start])), sources[start], sources[start + 1 : last + 1]
        self.exercises = {number: Exercise(own, after, self._answers(number)) for number, (_, own, after) in self.asked.items()}
        self.needed = set().union(
            *(needed(self.statements[: self.asked[n][0]], *made.texts) for n, made in self.exercises.items())
        )
        self._restart()

    def _answers(self, number: int) -> list[str]:
        return [code for kind in ("wrong", "right") for code in self.given[str(number)].get(kind, {}).values()]

    def _restart(self) -> None:
        self.done, self.space = 0, {"__name__": "notebook"}

    def exercise(self, number: int) -> "Exercise":
        """An exercise, with what stands above it run."""
        end, made = self.asked[number][0], self.exercises[number]
        if end < self.done:
            self._restart()
        places = [place for place in range(self.done, end) if place in self.needed]
        code = "\n".join(ast.unparse(self.statements[place]) for place in places)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "above the exercise", "exec"), self.space)
        for name in self.given.get("remember", []):
            if name in self.space and not hasattr(self.space[name], "kept"):
                self.space[name] = remembered(self.space[name])
        self.done, made.space = end, dict(self.space)
        return made


class Exercise:
    """One exercise: `judge(code)` says "right", or what its checks said. `space` holds the names from above it."""

    def __init__(self, own: str, after: list[str], codes: list[str]):
        self.own, self.space = own, {}
        self.reference = SOLUTION.search(own)[2]
        self.checks = [part for part in after if CHECK.search(part)]
        between = [statement for part in after if not CHECK.search(part) for statement in ast.parse(part).body]
        places = sorted(needed(between, "\n".join(self.checks)))
        self.between = "\n".join(ast.unparse(between[place]) for place in places)
        rest = "\n".join([self.between, *self.checks])
        self.texts = [f"{self.with_answer(code)}\n{rest}" for code in (self.reference, *codes)]

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


class Values(pickle.Pickler):
    """Writes equal tensors as equal bytes, which torch does not."""

    def reducer_override(self, value):
        if not isinstance(value, torch.Tensor):
            return NotImplemented
        return bytes, (str(tuple(value.shape)).encode() + value.detach().float().cpu().numpy().tobytes(),)


def remembered(function):
    """The function, with its results kept by its arguments; of a run that it makes, the end is kept too."""

    @functools.wraps(function)
    def call(*given, **options):
        key = io.BytesIO()
        Values(key).dump((given, sorted(options.items())))
        key = key.getvalue()
        if key not in call.kept:
            made = function(*given, **options)
            if hasattr(made, "finish"):
                made.finish = functools.cache(made.finish)
            call.kept[key] = made
        return call.kept[key]

    call.kept = {}
    return call


def needed(above: list[ast.stmt], *texts: str) -> set[int]:
    """The places of those statements that make a name that one of `texts` uses, or that such a statement uses.

    A name is what the last statement before its use made it; one that a function uses may be used at any time, so for it all
    statements count that make it.
    """
    return set().union(*(_places(above, ast.parse(text).body) for text in texts))


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
