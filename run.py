"""One command for everything: see USAGE."""

import hashlib
import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

USAGE = """\
One command for everything: `python run.py demo | test [--fast] | lab | studio | notebooks [NAME...] | figures [NAME...]
| course --student DIR --teacher DIR | personal build NAME... | personal mark FOLDER | book [--teacher] | slides [NAME...]
| publish --repository URL | publish --remove`.

Needs only Python 3.11 or newer: the first command creates `.venv` and installs nstlab into it; all commands run in it."""
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "nstlab-setup"
WORKERS = min(4, os.cpu_count() or 1)  # that share the tests
SLOW = ("comparison", "every_system", "more_losses", "optimize", "painters", "registry", "train", "transfer", "weights")


def main(arguments: list[str]) -> int:
    commands = {"demo": demo, "test": test, "lab": lab, "studio": studio, "notebooks": notebooks, "figures": figures}
    commands |= {"course": course, "personal": personal, "book": book, "slides": slides, "publish": publish}
    if not arguments or arguments[0] not in commands:
        print(USAGE, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 (whoever has an older one should be told)
        print("run.py: Python 3.11 or newer is needed", file=sys.stderr)
        return 2
    set_up()
    return commands[arguments[0]](arguments[1:])


def set_up() -> None:
    """Create .venv and install nstlab under the constraints, unless that was done with the same dependencies."""
    wanted = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt"))
    wanted = re.sub(r"\n\[project\.urls\]\n(.+\n)*", "", wanted)  # a new address needs no new installation
    wanted = hashlib.sha256(wanted.encode()).hexdigest()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    print("run.py: setting up .venv (once, a few minutes)", flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    command = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-c",
        "constraints.txt",
        "-e",
        ".[lab,test]",
    ]
    if subprocess.run(command, cwd=ROOT).returncode:
        print("run.py: the installation failed; see above, then run the same command again", file=sys.stderr)
        raise SystemExit(1)
    STAMP.write_text(wanted)


def demo(arguments: list[str]) -> int:
    """Paint the astronaut like The Starry Night by running notebook 00."""
    out = ROOT / "out" / "demo"
    out.mkdir(parents=True, exist_ok=True)
    picture, started = out / "astronaut-starry-night.png", time.perf_counter()
    settings = {"size": 448, "steps": 85, "out": str(picture)}
    command = [
        PYTHON,
        "-m",
        "papermill",
        "00_start_here.ipynb",
        out / "00_start_here.ipynb",
        "-k",
        "python3",
        "--no-log-output",
    ]
    for name, value in settings.items():
        command += ["-p", name, str(value)]
    code = call([*command, *arguments], cwd=ROOT / "notebooks")
    if code == 0:
        print(f"The picture:  {picture}\nThe notebook: {out / '00_start_here.ipynb'}")
        print(f"It took {time.perf_counter() - started:.0f} s.")
    return code


def lab(arguments: list[str]) -> int:
    """Open JupyterLab on the first notebook."""
    first = [] if arguments else ["notebooks/00_start_here.ipynb"]
    return call([PYTHON, "-m", "jupyterlab", *first, *arguments], headless=False)


def studio(arguments: list[str]) -> int:
    """Serve the studio, an app in the browser; --rooms N for a class, --idle SECONDS, and Voila's, such as --no-browser."""
    return call([PYTHON, "-m", "nstlab.panels.serve", "notebooks/20_studio.ipynb", *arguments], headless=False)


def notebooks(arguments: list[str]) -> int:
    """Re-execute the committed notebooks and normalise their outputs."""
    return call([PYTHON, "-m", "nstlab.course.build", *arguments])


def figures(arguments: list[str]) -> int:
    """Make the pictures in figures/ again, each with its notebook."""
    return call([PYTHON, "-m", "nstlab.course.figures", *arguments])


def course(arguments: list[str]) -> int:
    """Build the course from the notebooks: for students without solutions, for a teacher to mark with nbgrader."""
    return call([PYTHON, "-m", "nstlab.course.trees", ROOT / "notebooks", *arguments], cwd=Path.cwd())


def personal(arguments: list[str]) -> int:
    """Write a sheet of exercises for each student, with numbers and pictures of their own, or mark what came back."""
    return call([PYTHON, "-m", "nstlab.course.personal", *arguments], cwd=Path.cwd())


def book(arguments: list[str]) -> int:
    """Build the book: a site of all notebooks, the words and the API reference, which needs no network."""
    return call([PYTHON, "-m", "nstlab.course.book", ROOT / "notebooks", *arguments], cwd=Path.cwd())


def slides(arguments: list[str]) -> int:
    """Make slides from the named notebooks, or from all."""
    return call([PYTHON, "-m", "nstlab.course.slides", ROOT / "notebooks", *arguments], cwd=Path.cwd())


def publish(arguments: list[str]) -> int:
    """Add links to the named repository (badges, installation on Colab, address in pyproject.toml), or remove them."""
    return call([PYTHON, "-m", "nstlab.course.publish", *arguments])


def test(arguments: list[str]) -> int:
    """Style, library tests; then, unless --fast, README and notebooks, and panels in a browser."""
    fast = "--fast" in arguments
    extra = [argument for argument in arguments if argument != "--fast"]
    pytest = [PYTHON, "-m", "pytest"]
    # Workers take what is next in order: files that take long come first, so that none of them waits long at the end.
    shared = [*pytest, "-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
    rooms = sorted((ROOT / "tests").glob("test_*.py"), key=lambda path: (path.stem.removeprefix("test_") not in SLOW, path))
    lessons = [f"tests/notebooks/test_{name}.py" for name in ("course", "sweep", "readme", "exercises", "notebooks")]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/notebooks/sanitize.cfg"]
    nbval += sorted((ROOT / "notebooks").glob("*.ipynb"))
    stages = [  # (name, command, threads of each process, or None for the default)
        ("code style", [PYTHON, "-m", "ruff", "check", "."], None),
        ("code format", [PYTHON, "-m", "ruff", "format", "--check", "."], None),
        ("library", [*shared, *rooms, *(["-m", "not slow"] if fast else []), *extra], 1),
    ]
    if not fast:
        stages += [
            ("README and notebooks", [*shared, *nbval, *lessons, *extra], 1),  # see tests/notebooks/conftest.py
            ("panels in a browser", [*pytest, "tests/browser", *extra], None),
        ]
    failed = []
    for name, command, threads in stages:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        if call(command, threads=threads):
            failed.append(name)
        print(f"   {time.perf_counter() - started:.0f} s", flush=True)
    print(f"{len(stages) - len(failed)} passed, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def call(command: list, cwd: Path = ROOT, headless: bool = True, threads: int | None = None) -> int:
    environment = dict(os.environ, PATH=f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if threads:  # for each of several workers
        environment["OMP_NUM_THREADS"] = str(threads)
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep: see nstlab/__init__.py
    if headless:
        environment["NSTLAB_HEADLESS"] = "1"
    return subprocess.run([str(part) for part in command], cwd=cwd, env=environment).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
