"""The API reference: one page of Markdown for each room of the package, from the docstrings, read and not imported."""

import ast
import re
import textwrap
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
FLOORS = {  # the rooms by what they are for, in the order in which a reader meets them
    "Pictures and numbers": ("samples", "images", "formats", "color", "filters", "stats", "pyramid", "matting", "plots"),
    "Seeing": ("encoders", "guidance", "metrics"),
    "Painting": ("objective", "optimize", "losses", "feature_transforms", "networks", "systems"),
    "Training": ("data", "training"),
    "Running": ("experiments", "panels", "cli", "course"),
    "Foundations": ("errors", "files", "options", "devices", "step"),
}
CODE = re.compile(r"(`+[^`]+`+)")
SPECIAL = re.compile(r"([\\*_$<>\[\]{}#|~^])")


def rooms() -> list[str]:
    """The rooms of the package in the order of `FLOORS`; one that is listed nowhere comes last."""
    found = {
        path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    found -= {"__init__", "__main__"}
    listed = [room for floor in FLOORS.values() for room in floor if room in found]
    return listed + sorted(found - set(listed))


def pages() -> dict[str, str]:
    """{path in the book: Markdown} of the reference: an index, and a page for each room."""
    made = {f"reference/{room}.md": page(room) for room in rooms()}
    lines = [
        "# API reference",
        "",
        "Every public function and class, from its docstring. Shapes and units stand in the docstrings.",
        "",
    ]
    rest = [room for room in rooms() if room not in sum(FLOORS.values(), ())]
    for title, names in [*FLOORS.items(), *([("More", tuple(rest))] if rest else [])]:
        lines += [f"```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n", *(name for name in names if name in rooms()), "```", ""]
    return made | {"reference/index.md": "\n".join(lines)}


def page(room: str) -> str:
    """The page of one room: the documentation of all of its files."""
    base = PACKAGE / room
    files = sorted(base.glob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
    files.sort(key=lambda file: file.name != "__init__.py")
    parts = [part for file in files if (part := _module(file))]
    return f"# nstlab.{room}\n\n" + "\n\n".join(parts) + "\n"


def _module(file: Path) -> str:
    """What a file offers: its docstring, and every public function and class that it defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    name = ".".join(("nstlab", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    members = [part for node in tree.body if (part := _member(node, ""))]
    title = [] if name.count(".") == 1 else [f"## {name}"]  # the room has its name above
    return "\n\n".join([*title, f"```{{py:module}} {name}\n```", prose(ast.get_docstring(tree) or ""), *members])


def _member(node: ast.stmt, indent: str) -> str:
    """A public function, class, method or property as a directive of Sphinx's Python domain; "" for anything else."""
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
        return ""
    fence = ":" * (4 if indent else 6)
    if isinstance(node, ast.FunctionDef):
        decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
        is_property = bool(decorators & {"property", "cached_property"})
        kind = "property" if is_property else "method" if indent else "function"
        signature = (
            node.name if is_property else node.name + _signature(node, bool(indent) and "staticmethod" not in decorators)
        )
        inside = []
        if indent and not ast.get_docstring(node):
            return ""  # it does what its base class says
    else:
        kind = "class"
        signature = node.name + _constructor(node)
        inside = [part for each in node.body if (part := _member(each, indent + " "))]
    text = prose(ast.get_docstring(node) or "")
    return "\n\n".join([f"{fence}{{py:{kind}}} {signature}\n\n{text}", *inside, fence])


def _constructor(node: ast.ClassDef) -> str:
    """The parameters of `__init__`, or the fields of a dataclass; "" for a class with neither."""
    makers = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    if makers:
        return _signature(makers[0], True, returns=False)
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return ""
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return f"({', '.join(' '.join(ast.unparse(field).split()) for field in fields)})"


def _signature(node: ast.FunctionDef, bound: bool, returns: bool = True) -> str:
    """The parameters of a function, without `self`, and what it returns, on one line."""
    arguments = node.args
    if bound and (arguments.posonlyargs or arguments.args):
        (arguments.posonlyargs or arguments.args).pop(0)
    result = f" -> {ast.unparse(node.returns)}" if returns and node.returns else ""
    return " ".join(f"({ast.unparse(arguments)}){result}".split())


def prose(docstring: str) -> str:
    """A docstring as Markdown: code in backticks and indented blocks stay as they are, all other signs are only signs."""
    blocks = []
    for block in re.split(r"\n{2,}", docstring):
        if block.startswith("    "):
            blocks.append(f"```text\n{textwrap.dedent(block)}\n```")
        else:
            blocks.append(
                "".join(part if number % 2 else SPECIAL.sub(r"\\\1", part) for number, part in enumerate(CODE.split(block)))
            )
    return "\n\n".join(blocks)
