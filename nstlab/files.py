"""Files written whole or not at all, and the one folder where nstlab keeps what it has measured."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise.

    Raises OSError where the folder is missing or cannot be written, before anything is computed into it.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def cache_dir() -> Path:
    """The user's cache folder for nstlab: $NSTLAB_CACHE, else the platform's. Made only when something is written."""
    if os.environ.get("NSTLAB_CACHE"):
        return Path(os.environ["NSTLAB_CACHE"])
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "nstlab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nstlab"
