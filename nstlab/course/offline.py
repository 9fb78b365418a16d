"""JavaScript that pages need when there is no network: MathJax and reveal.js, as two packages carry them."""

import importlib.metadata
import shutil
from pathlib import Path

from nstlab.errors import SettingError

MATHJAX, REVEAL = "sphinx-mathjax-offline", "sphinx-revealjs"
MATH_SCRIPT = "mathjax/tex-chtml-full.js"  # with all extensions of TeX inside, so that only fonts are loaded later
MATH_FONTS = "mathjax/output/chtml/fonts/woff-v2"


def package_file(package: str, end: str) -> Path:
    """The file or folder of an installed package whose path ends like that. Raises SettingError without the package."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise SettingError(f'{package} is not installed: pip install "nstlab[book]"') from None
    for file in files:
        head, found, _ = f"/{file.as_posix()}/".partition(f"/{end}/")
        if found:
            return Path(importlib.metadata.distribution(package).locate_file(f"{head}/{end}".lstrip("/")))
    raise SettingError(f'{package} has no {end}: pip install --force-reinstall "nstlab[book]"')


def copy_mathjax(folder: Path) -> str:
    """Copy MathJax 3 and its fonts into `folder`; returns the path of its script there."""
    for end in (MATH_SCRIPT, MATH_FONTS):
        source, target = package_file(MATHJAX, end), Path(folder, end)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    return MATH_SCRIPT


def copy_reveal(folder: Path) -> str:
    """Copy reveal.js, one theme and its notes into `folder`; returns the path of its folder there."""
    for end in (
        "dist/reveal.js",
        "dist/reveal.css",
        "dist/theme/white-contrast.css",
        "dist/theme/fonts",
        "plugin/notes/notes.js",
    ):
        source, target = package_file(REVEAL, f"revealjs/{end}"), Path(folder, "reveal", end)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    return "reveal"
