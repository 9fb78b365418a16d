"""The console that the command writes to, whatever its encoding, and whether it is there or not."""

import codecs
import contextlib
import errno
import os
import sys
import warnings

from nstlab.errors import NstlabError

ESCAPED = "nstlab-console"  # what the handler of characters that an encoding lacks is registered as


class ConsoleError(NstlabError):
    """Standard output that takes no more. `closed` if its reader has gone away, as that of a pipe does."""

    def __init__(self, error: OSError):
        super().__init__(f"standard output cannot be written ({error.strerror or error}): make room, or write it elsewhere")
        self.closed = error.errno == errno.EPIPE


class _Stream:
    """A text stream that calls `failed(error)` once the system refuses what is written; everything else is the stream's."""

    def __init__(self, stream, failed):
        self._stream, self._failed, self._error = stream, failed, None

    def write(self, text: str) -> int:
        with self._watched():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            self._stream.flush()

    @contextlib.contextmanager
    def _watched(self):
        try:
            yield
        except OSError as error:
            self._error = error
            self._discard()
        if self._error:  # also later on: whoever tried first may have caught it
            self._failed(self._error)

    def _discard(self) -> None:
        """Let what is still buffered go nowhere: it would fail once more when Python ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str):
        if name == "buffer":  # Typer would write to it where the encoding is ASCII
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextlib.contextmanager
def console():
    """Within this context stdout and stderr take any text, and warnings are notes on stderr; afterwards all is as before.

    Characters that the encoding lacks are escaped; bytes of file names that are no text are written as they are. A stream that
    is closed is replaced by one that leads nowhere. Where stderr cannot be written there is nobody to tell: the text is
    dropped. Where stdout cannot, printing and flushing raise ConsoleError: flush it before the context ends.
    """
    codecs.register_error(ESCAPED, _escape)
    with contextlib.ExitStack() as stack:
        for number in range(3):  # a file opened later must not get the number of a closed stream, which others write to
            _occupy(number)
        stderr = _Stream(stack.enter_context(_stream(sys.stderr)), lambda error: None)
        stdout = _Stream(stack.enter_context(_stream(sys.stdout)), _refuse)
        stack.enter_context(contextlib.redirect_stderr(stderr))
        stack.enter_context(contextlib.redirect_stdout(stdout))
        stack.enter_context(warnings.catch_warnings())
        warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
        yield


@contextlib.contextmanager
def _stream(stream):
    """The stream, told to escape what its encoding lacks; one that leads nowhere instead of None."""
    if stream is None:
        with open(os.devnull, "w", encoding="utf-8", errors=ESCAPED) as nowhere:
            yield nowhere
        return
    errors = getattr(stream, "errors", None)
    if not hasattr(stream, "reconfigure"):  # a notebook's, or a test's: it takes any text
        yield stream
        return
    stream.reconfigure(errors=ESCAPED)
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):  # it flushes first
            stream.reconfigure(errors=errors)


def _occupy(number: int) -> None:
    """Open the null device under this number of a file descriptor if it is free."""
    try:
        os.fstat(number)
    except OSError:
        with contextlib.suppress(OSError):
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.close(found)


def _escape(error: UnicodeError):
    """Error handler of codecs: the bytes of file names that are no text as they are, other characters as \\u2603."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    made = b""
    for character in error.object[error.start : error.end]:
        code = ord(character)
        made += bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else character.encode("ascii", "backslashreplace")
    return made, error.end


def _refuse(error: OSError) -> None:
    raise ConsoleError(error) from None
