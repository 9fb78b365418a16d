"""The log of a training: one row a step, kept in memory and in log.csv, and in TensorBoard where asked for; and its notes."""

import contextlib
import csv
import sys
from pathlib import Path

from nstlab.errors import SettingError
from nstlab.files import atomic_write

FIRST = ("index", "scale", "total")  # columns of every row


class Log:
    """Rows of numbers by name: FIRST, and a training's losses. With a folder each goes into log.csv as it comes.

    Of a log that is there the rows up to step `done` are kept; others belong to steps that are made again, and a row that a
    kill or a full disk cut short to one of these. `notes` are sentences about the data, such as which picture was left out:
    each stands once in notes.txt, however often the training is stopped and resumed. Raises SettingError.
    """

    def __init__(self, folder: Path | None, done: int = 0, tensorboard: bool = False):
        self.path = None if folder is None else folder / "log.csv"
        self.rows: list[dict] = [] if self.path is None else _read(self.path)
        self.columns: list[str] = []
        self._notes_path = None if folder is None else folder / "notes.txt"
        self.notes = _lines(self._notes_path)
        self._board = _board(folder, done) if tensorboard else None
        self.keep(done)

    def keep(self, done: int) -> None:
        """Forget the rows after step `done`."""
        self.rows[:] = [row for row in self.rows if row["index"] <= done]
        self.columns = list(dict.fromkeys(name for row in self.rows for name in row))
        self._write()

    def add(self, row: dict) -> None:
        """Take in the row of the next step."""
        self.rows.append(row)
        new = [name for name in row if name not in self.columns]
        if new:  # a loss that was switched off so far: the file gets a column
            self.columns += new
            self._write()
        elif self.path is not None:
            with _written(self.path), open(self.path, "a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(row)
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(name, value, row["index"])
            self._board.flush()

    def note(self, text: str) -> None:
        """Keep a sentence, unless it is there already."""
        text = " ".join(text.split())
        if text in self.notes:
            return
        self.notes.append(text)
        if self._notes_path is not None:
            with _written(self._notes_path), open(self._notes_path, "a", encoding="utf-8", errors="replace") as file:
                file.write(f"{text}\n")

    def _write(self) -> None:
        if self.path is None:
            return
        with _written(self.path), atomic_write(self.path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            if self.columns:
                writer.writeheader()
            writer.writerows(self.rows)


def report(training, every: int) -> None:
    """Make all steps of a Training, and say on stderr after each `every` and at the end what the losses are."""
    for step in training:
        if training.rank == 0 and (step.index % every == 0 or step.index == training.steps):
            terms = ", ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
            print(f"step {step.index} of {training.steps}: {terms}", file=sys.stderr)


@contextlib.contextmanager
def _written(path: Path):
    """Says which file cannot be written, where one cannot."""
    try:
        yield
    except OSError as error:
        raise SettingError(f"{path} cannot be written ({error.strerror}): make room, or name another folder") from None


def _read(path: Path) -> list[dict]:
    """The rows of a log, as far as one step follows the other."""
    if not path.exists():
        return []
    rows: list[dict] = []
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        if not set(FIRST) <= set(reader.fieldnames or FIRST):
            raise SettingError(f"{path} is not the log of a training, and would be written over: name another folder")
        for texts in reader:
            try:
                row = {name: _number(text) for name, text in texts.items() if text}
            except (AttributeError, ValueError):  # a row that was cut short
                break
            if not set(FIRST) <= row.keys() or (rows and row["index"] != rows[-1]["index"] + 1):
                break
            rows.append(row)
    return rows


def _lines(path: Path | None) -> list[str]:
    if path is None or not path.exists():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _board(folder: Path | None, done: int):
    if folder is None:
        raise SettingError("TensorBoard needs a folder to write in: name one")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise SettingError("TensorBoard is not installed: pip install tensorboard, or leave it out") from None
    return SummaryWriter(folder, purge_step=done + 1 if done else None)
