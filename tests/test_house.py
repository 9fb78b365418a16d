"""The house stands as it says: floors, file lengths, pinned versions, one set-up."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nstlab"
FLOORS = [
    {"errors", "files", "containers", "decode", "images", "filters", "samples", "weights", "devices"},
    {"encoder", "pocket", "stats", "pyramid", "color", "data", "scenes", "checkpoints"},
    {"guidance", "losses", "feature_transforms", "networks", "metrics", "probing"},
    {"objective", "optimize", "perceptual", "journal", "parallel", "train"},
    {"systems"},
    {
        "plots",
        "panels",
        "comparison",
        "rerun",
        "recipe",
        "contact",
        "sweep",
        "figures",
        "badges",
        "course",
        "cli",
        "__main__",
        "cli_training",
        "cli_sweep",
        "notebook",
    },
]


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if module in rooms)


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nstlab":
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "nstlab" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("nstlab.")]
        rooms |= {name.split(".")[1] for name in names if "." in name}
    return {room for room in rooms if (PACKAGE / room).exists() or (PACKAGE / f"{room}.py").exists()}


def test_a_room_imports_only_from_its_floor_or_below():
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            above = {other for other in imported_rooms(path) if floor(other) > floor(room)}
            assert not above, f"{path.relative_to(ROOT)} imports {above} from above"


def test_rooms_are_small():
    for path in [*PACKAGE.rglob("*.py"), ROOT / "run.py", *(ROOT / "benchmarks").glob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 320, path


def test_every_public_thing_says_what_it_is():
    for path in PACKAGE.rglob("*.py"):
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
