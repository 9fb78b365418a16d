"""Links to the repository that the course is published in: `python -m nstlab.course.publish --repository URL | --remove`.

Until a repository is named there are none. Naming one adds two cells with the tag `hosted` behind the title of every notebook:
the badges, and, where Colab can open the repository, the installation on Colab. They are not part of the lesson, and the hash
of its code leaves them out. README.md gets the badges of the first notebook, pyproject.toml the address.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

from nstlab.course.build import number_cells
from nstlab.errors import NstlabError, SettingError
from nstlab.experiments.results import HOSTED
from nstlab.files import atomic_write

BRANCH, FIRST = "main", "00_start_here.ipynb"
COLAB_HOST = "github.com"  # Colab opens public repositories of no other host
HIDDEN = {"jupyter": {"source_hidden": True}}  # collapsed in JupyterLab
ADDRESS = re.compile(r"https://([a-zA-Z0-9][a-zA-Z0-9.-]*)/(\w[\w.-]*)/(\w[\w.-]*?)(?:\.git)?/?", re.ASCII)
BADGES = re.compile(r"^\[!\[Open in .*\n\n", re.M)
URLS, REPOSITORY = "[project.urls]\n", re.compile(r"^Repository = .*\n", re.M)


def checked(url: str) -> str:
    """`url` as https://HOST/OWNER/NAME, without .git or a final slash. Raises SettingError for anything else."""
    found = ADDRESS.fullmatch(url)
    if not found:
        raise SettingError(f"{url} is not the address of a repository: give it as https://HOST/OWNER/NAME")
    return "https://{}/{}/{}".format(*found.groups())


def named(project="pyproject.toml") -> str | None:
    """The repository that pyproject.toml names under [project.urls], or None. Raises SettingError if it is no address."""
    urls = tomllib.loads(Path(project).read_text(encoding="utf-8"))["project"].get("urls", {})
    return checked(urls["Repository"]) if "Repository" in urls else None


def on_colab(repository: str) -> str | None:
    """OWNER/NAME if Colab can open the repository, else None."""
    host, owner, name = ADDRESS.fullmatch(repository).groups()
    return f"{owner}/{name}" if host.lower() == COLAB_HOST else None


def badges(repository: str, notebook: str) -> str:
    """A line of Markdown whose badges open notebooks/NOTEBOOK of the repository on Binder, and on Colab where it can."""
    place = f"https://mybinder.org/v2/git/{quote(repository, safe='')}/{BRANCH}?labpath=notebooks/{notebook}"
    line = f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({place})"
    if found := on_colab(repository):
        place = f"https://colab.research.google.com/github/{found}/blob/{BRANCH}/notebooks/{notebook}"
        line = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({place}) {line}"
    return line


def installation(repository: str) -> str:
    """The code that installs nstlab on Colab and does nothing anywhere else."""
    return f"""\
import sys

if "google.colab" in sys.modules:  # Colab has only this notebook: install the library and its pictures
    import subprocess

    from google.colab import output

    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "git+{repository}"], check=True)
    output.enable_custom_widget_manager()  # for the controls of the panels"""


def hosted_cells(repository: str | None, notebook: str) -> list:
    """The cells that a notebook of this name gets behind its title; none without a repository."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    if repository is None:
        return []
    cells = [new_markdown_cell(badges(repository, notebook), metadata={"tags": [HOSTED]})]
    if on_colab(repository):
        metadata = {"tags": [HOSTED], **HIDDEN}
        cells.append(new_code_cell(installation(repository), metadata=metadata, execution_count=1))
    return cells


def write_notebook(path: Path, repository: str | None) -> None:
    """Replace the hosted cells of the notebook at `path` by those of the repository, or remove them if it is None.

    Cells and executions are numbered as if the notebook had been run from the top.
    """
    import nbformat

    notebook = nbformat.read(path, 4)
    lesson = [cell for cell in notebook.cells if HOSTED not in cell.metadata.get("tags", [])]
    notebook.cells = [*lesson[:1], *hosted_cells(repository, path.name), *lesson[1:]]
    number_cells(notebook)
    count = 0
    for cell in notebook.cells:
        if cell.get("execution_count"):
            cell.execution_count = count = count + 1
            for shown in cell.outputs:
                if "execution_count" in shown:
                    shown.execution_count = count
    _write(path, nbformat.writes(notebook) + "\n")


def readme(text: str, repository: str | None) -> str:
    """The README's text with the badges of the first notebook behind its title, or without badges."""
    text = BADGES.sub("", text)
    title, gap, rest = text.partition("\n\n")
    return text if repository is None else f"{title}{gap}{badges(repository, FIRST)}\n\n{rest}"


def project(text: str, repository: str | None) -> str:
    """The text of pyproject.toml with this Repository under [project.urls], or with none."""
    text = REPOSITORY.sub("", text).replace(f"\n{URLS}\n", "\n")  # the section goes with its last line
    if repository is None:
        return text
    line = f'Repository = "{repository}"\n'
    if URLS in text:
        return text.replace(URLS, URLS + line)
    return text.replace("\n[project.scripts]\n", f"\n{URLS}{line}\n[project.scripts]\n")


def publish(repository: str | None, folder=".") -> None:
    """Let all links of the repository in `folder` lead to this address, or remove them if it is None. Raises SettingError."""
    repository = checked(repository) if repository else None
    folder = Path(folder)
    paths = sorted(folder.glob("notebooks/[0-9]*.ipynb"))
    if not paths:
        raise SettingError(f"{folder.resolve()} has no notebooks: run this in the root of the repository")
    for path in paths:
        write_notebook(path, repository)
    for path, change in ((folder / "README.md", readme), (folder / "pyproject.toml", project)):
        _write(path, change(path.read_bytes().decode("utf-8"), repository))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def main(arguments: list[str]) -> int:
    """`--repository URL` or `--remove`, for the repository in the working folder. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="run.py publish", description="Add links to a repository, or remove them.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--repository", metavar="URL", help="https://HOST/OWNER/NAME; an empty value removes the links")
    choice.add_argument("--remove", action="store_true", help="remove all links")
    repository = parser.parse_args(arguments).repository or None
    try:
        publish(repository)
    except (NstlabError, OSError) as error:
        print(f"run.py publish: {error}", file=sys.stderr)
        return 2
    print(f"all links lead to {checked(repository)}" if repository else "there are no links to a repository")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
