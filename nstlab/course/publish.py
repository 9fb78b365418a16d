"""Links that open a notebook on Colab and on Binder, for the address in pyproject.toml.

Each notebook has two cells tagged `hosted`: the badges, and, for Colab, the installation. They are no part of the lesson: the
hash of its code leaves them out.
"""

import re
import sys
import tomllib
from pathlib import Path

from nstlab.errors import NstlabError, SettingError
from nstlab.experiments.results import HOSTED
from nstlab.files import atomic_write

BRANCH, FIRST = "main", "00_start_here.ipynb"
HIDDEN = {"jupyter": {"source_hidden": True}}  # in JupyterLab a click on the dots shows it
LINE = re.compile(r"^\[!\[Open in Colab\]\(.*$", re.M)
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def address(project="pyproject.toml") -> str:
    """OWNER/NAME of the repository on GitHub: `Repository` under [project.urls]. Raises SettingError."""
    try:
        said = tomllib.loads(Path(project).read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    except (OSError, KeyError, ValueError) as error:
        raise SettingError(f"{project} names no Repository under [project.urls] ({error}): write its address there") from None
    found = GITHUB.fullmatch(said)
    if not found:
        raise SettingError(f"{project}: Colab and Binder open https://github.com/OWNER/NAME; Repository is {said}")
    return found[1]


def badges(repository: str, notebook: str) -> str:
    """The line of markdown that opens notebooks/NOTEBOOK of OWNER/NAME on Colab and on Binder."""
    colab = f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/notebooks/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{BRANCH}?labpath=notebooks/{notebook}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def installation(repository: str) -> str:
    """The code that installs nstlab on Colab and does nothing anywhere else."""
    return f"""\
import sys

if "google.colab" in sys.modules:  # Colab has the notebook alone: fetch the library and the pictures
    import subprocess

    from google.colab import output

    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "git+https://github.com/{repository}"], check=True)
    output.enable_custom_widget_manager()  # for maps that are painted with the mouse"""


def write(path: Path, repository: str) -> None:
    """Put both cells behind the title of the notebook at `path`, in place of those that are there."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell

    notebook, tagged = nbformat.read(path, 4), {"tags": [HOSTED]}
    lesson = [cell for cell in notebook.cells if HOSTED not in cell.metadata.get("tags", [])]
    link = new_markdown_cell(badges(repository, path.name), metadata=tagged)
    install = new_code_cell(installation(repository), metadata=tagged | HIDDEN, execution_count=1)
    notebook.cells = [lesson[0], link, install, *lesson[1:]]
    count = 0
    for number, cell in enumerate(notebook.cells):  # as if it had run from the top: the new cell shows nothing
        cell["id"] = f"c{number:03d}"
        if cell.get("execution_count"):
            cell.execution_count = count = count + 1
            for shown in cell.outputs:
                if "execution_count" in shown:
                    shown.execution_count = count
    with atomic_write(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def main() -> None:
    """Write the badges into all notebooks and the README of the repository in the working folder. Raises SettingError."""
    repository = address()
    for path in sorted(Path("notebooks").glob("[0-9]*.ipynb")):
        write(path, repository)
    text = Path("README.md").read_text(encoding="utf-8")
    with atomic_write("README.md") as temporary:
        temporary.write_text(LINE.sub(badges(repository, FIRST), text), encoding="utf-8")
    print(f"all links lead to https://github.com/{repository}")


if __name__ == "__main__":
    try:
        main()
    except NstlabError as error:
        sys.exit(f"badges: {error}")
