"""The house stands as it says: floors without circles, small rooms, pinned versions, one set-up."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nstlab"
GROUND = ["errors", "files", "options", "devices", "samples", "formats", "images", "stats", "color", "filters", "pyramid"]
GROUND += ["matting", "step", "plots"]  # a stack: each imports only from those before it
FLOORS = [
    *({room} for room in GROUND),
    {"encoders", "data"},
    {"networks", "feature_transforms"},
    {"guidance", "losses"},
    {"metrics", "objective", "optimize"},
    {"training"},
    {"systems"},
    {"experiments"},
    {"panels", "cli", "course"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
TOP = ("__init__", "__main__")  # the front door looks into every floor


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imported(path: Path) -> set[Path]:
    """The files of the package that a file imports, also inside functions, but not for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = {
        id(inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inside in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nstlab":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if _file(inner) else node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("nstlab")}
    return {found for name in names if (found := _file(name))} - {PACKAGE / "__init__.py"}


def _file(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} - set(TOP) <= set().union(*FLOORS)


def test_a_room_imports_only_from_the_floors_below():
    for path in FILES:
        if room(path) not in TOP:
            others = {room(other) for other in imported(path)} - {room(path)}
            wrong = {other for other in others if floor(other) >= floor(room(path))}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}, which is not below it"


def test_no_file_is_in_a_circle():
    graph = {path: imported(path) for path in FILES if room(path) not in TOP}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the files


def test_rooms_are_small():
    for path in [*FILES, ROOT / "run.py", *(ROOT / "benchmarks").glob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 16


def test_no_check_is_left_out_when_python_optimises():
    """`python -OO` drops assertions and docstrings, so nothing may rest on them."""
    for path in [*FILES, ROOT / "run.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"
            read = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
            assert not (read and getattr(node, "id", getattr(node, "attr", "")) == "__doc__"), f"{path}:{node.lineno}"


def test_every_public_thing_says_what_it_is():
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and path.name != "parts.py":
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_versions_agree():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    assert pins["torch"] == "2.13.0" and pins["torchvision"] == "0.28.0"
    environment = (ROOT / "environment.yml").read_text()
    assert "-c constraints.txt" in environment
    for name, version in re.findall(r"- ([\w-]+)==(\S+)", environment):
        assert pins[name] == version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    for line in wanted:
        assert re.split(r"[><=\[ ]", line)[0].lower() in {name.lower() for name in pins}, line


def test_the_project_speaks_of_itself_alone():
    here = re.compile(r"\.\./shared|/work/|/root/")
    files = [p for folder in ("nstlab", "notebooks", "benchmarks") for p in (ROOT / folder).rglob("*")]
    for path in [*files, ROOT / "README.md", ROOT / "run.py"]:
        if path.suffix in (".py", ".md", ".ipynb", ".json", ".csv", ".safetensors"):
            assert not here.search(path.read_bytes().decode(errors="ignore")), path
