"""Paths, files written whole or not at all, and the folder where nstlab caches what it has measured."""

import contextlib
import os
import secrets
from pathlib import Path

from nstlab.errors import ImageError


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path next to `path`; it is renamed to `path` if the block ends well and deleted otherwise.

    The file gets the permissions that any new file would get. Raises OSError if the folder is missing or cannot be written,
    before anything is computed into it.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:32]}-{secrets.token_hex(8)}{path.suffix}")
    # the umask applies to 0o666 here: it needs not be read, which only changing it would do, nor chmod called, which network
    # drives may refuse
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def expanded(path) -> Path:
    """The path with ~ replaced by the home folder. Raises ImageError if there is no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ImageError(f"{path}: no home folder is known for ~, write the whole path") from None


def mode(path: Path) -> int:
    """The mode of what is at `path`, 0 if nothing is. Raises OSError where that cannot be known, ValueError for no path."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, and what to do where permissions are the cause."""
    if isinstance(error, PermissionError):
        return "permission denied; change the permissions of the file or its folder, or choose another"
    return getattr(error, "strerror", None) or str(error)


def cache_dir() -> Path:
    """The user's cache folder for nstlab: $NSTLAB_CACHE, else the platform's. Created only when something is written.

    Without a home folder it is a path that cannot be created, so that nothing is cached.
    """
    if os.environ.get("NSTLAB_CACHE"):
        return expanded(os.environ["NSTLAB_CACHE"])
    given = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    try:
        return Path(given or (Path.home() if os.name == "nt" else Path.home() / ".cache")) / "nstlab"
    except RuntimeError:
        return Path(os.devnull, "nstlab")
