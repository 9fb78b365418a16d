"""The command on consoles of every encoding, closed, and full: the right bytes, or one sentence, and never a traceback."""

import io
import os
import subprocess
import sys
import warnings

import pytest

from nstlab import images
from nstlab.cli import app as cli
from nstlab.cli.console import console

POSIX = pytest.mark.skipif(os.name == "nt", reason="names of files are text on Windows")
NAME = os.fsdecode(b"\xff.png")  # no UTF-8
FAST = ["--system", "conditional", "--size", "24"]


def run(monkeypatch, arguments, stdout=None, stderr=None):
    """Exit code of the command, with these streams for its own."""
    monkeypatch.setattr(sys, "argv", ["nstlab", *map(str, arguments)])
    for name, stream in (("stdout", stdout), ("stderr", stderr)):
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def text(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")


def written(stream) -> bytes:
    stream.flush()
    return stream.buffer.getvalue()


class Full(io.RawIOBase):
    """A device that takes nothing."""

    def writable(self):
        return True

    def write(self, data):
        raise OSError(28, "No space left on device")


def full():
    return io.TextIOWrapper(Full(), encoding="utf-8", write_through=True)


@pytest.mark.parametrize(
    "encoding, snow", [("ascii", rb"\u2603.png"), ("cp1252", rb"\u2603.png"), ("utf-8", "\u2603.png".encode())]
)
@POSIX
def test_names_on_consoles_of_every_encoding(monkeypatch, tmp_path, encoding, snow):
    monkeypatch.chdir(tmp_path)
    for out, said in (("\u2603.png", snow), (NAME, b"\xff.png")):
        streams = text(encoding), text(encoding)
        assert run(monkeypatch, ["stylize", "cat", *FAST, "-o", out], *streams) == 0
        assert written(streams[0]) == said + b"\n" and written(streams[1]) == b"" and (tmp_path / out).exists()
    streams = text(encoding), text(encoding)
    assert run(monkeypatch, ["stylize", NAME, *FAST, "-o", "again.png"], *streams) == 0  # as content too
    for arguments in (["stylize", "no\u2603.jpg", "-o", "a.png"], ["recipe", "no\u2603.jpg"], ["weights", "get", "\u2603"]):
        streams = text(encoding), text(encoding)
        assert run(monkeypatch, arguments, *streams) == 2
        assert written(streams[0]) == b"" and written(streams[1]).count(b"\n") == 1


@POSIX
def test_the_recipe_of_such_a_name_is_a_command_that_a_shell_takes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    images.save(images.load("cat", 24), NAME)
    run(monkeypatch, ["stylize", NAME, *FAST, "-o", "\u00fc'\u2603.png"], text("utf-8"), text("utf-8"))
    for encoding, name in (("utf-8", '"\u00fc\'"\'"\'"\'\u2603.png"'), ("ascii", r"$'\xc3\xbc\'\xe2\x98\x83.png'")):
        stream = text(encoding)
        assert run(monkeypatch, ["recipe", "\u00fc'\u2603.png"], stream, text(encoding)) == 0
        said = written(stream).decode(encoding)
        assert r"$'\xff.png'" in said and (encoding == "utf-8" or name in said)
        words = subprocess.run(["bash", "-c", f"printf '%s\\0' {said}"], capture_output=True, check=True).stdout.split(b"\0")
        assert os.fsencode(NAME) in words and "\u00fc'\u2603.png".encode() in words


def test_streams_that_are_closed(monkeypatch, tmp_path):
    out = tmp_path / "a.png"
    assert run(monkeypatch, ["stylize", "cat", *FAST, "-o", out], None, None) == 0 and out.exists()
    assert run(monkeypatch, ["stylize", "nobody", *FAST, "-o", out], None, None) == 2
    assert run(monkeypatch, ["--help"], None, None) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["samples"], ["stylize", "--help"], ["weights", "list"]])
def test_a_console_that_is_full(monkeypatch, arguments):
    said = text("utf-8")
    assert run(monkeypatch, arguments, full(), said) == 2
    assert written(said).decode().startswith("nstlab: standard output cannot be written (No space left on device)")
    assert written(said).count(b"\n") == 1
    assert run(monkeypatch, arguments, text("utf-8"), full()) == 0
    assert run(monkeypatch, ["recipe", "nothing.png"], text("utf-8"), full()) == 2


def test_the_picture_is_kept_where_its_name_cannot_be_said(monkeypatch, tmp_path):
    out, said = tmp_path / "a.png", text("utf-8")
    assert run(monkeypatch, ["stylize", "cat", *FAST, "-o", out], full(), said) == 2
    assert b"No space left" in written(said) and images.load(out).shape[-1] == 24 and list(tmp_path.iterdir()) == [out]


def test_a_reader_that_goes_away_is_no_error(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    said = text("utf-8")
    with open(writer, "w", encoding="utf-8") as stream:
        assert run(monkeypatch, ["samples"], stream, said) == 141 and written(said) == b""


def test_nothing_of_it_outlasts_the_command(monkeypatch):
    streams, shown = (text("ascii"), text("ascii")), warnings.showwarning
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    with console():
        warnings.warn("look \u2603", stacklevel=1)
        assert sys.stdout is not streams[0] and warnings.showwarning is not shown
    assert (sys.stdout, sys.stderr) == streams and warnings.showwarning is shown
    assert [stream.errors for stream in streams] == ["strict", "strict"]
    assert written(streams[1]) == b"note: look \\u2603\n"


@POSIX
def test_without_docstrings_and_without_streams():
    """PYTHONOPTIMIZE=2, in a process of its own whose descriptors 0 to 2 are closed."""
    words = [sys.executable, "-OO", "-m", "nstlab", "samples"]
    assert subprocess.run(["bash", "-c", 'exec "$@" <&- >&- 2>&-', "-", *words], timeout=120).returncode == 0


def test_a_file_that_the_system_refuses_is_one_sentence(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", "closed/last.safetensors")

    monkeypatch.setattr("nstlab.systems.train.training", refuse)
    said = text("utf-8")
    assert run(monkeypatch, ["train", "johnson", "-o", tmp_path / "run"], text("utf-8"), said) == 2
    assert written(said).startswith(b"nstlab: closed/last.safetensors cannot be used: permission denied")
