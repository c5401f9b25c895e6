"""The metrics of each epoch: a sequence that is added to in no time, however long it is, and its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import RunError

FILE = "history.jsonl"
Values = Mapping[str, float]


class History(Sequence[Values]):
    """The first `count` entries of a list that only grows: what is added shares it with what it was added to."""

    def __init__(self, entries: Iterable[Values] = ()) -> None:
        self._entries = list(entries)
        self._count = len(self._entries)

    def plus(self, values: Values) -> History:
        """This history and one epoch more."""
        longer = History()
        longer._entries = self._entries if len(self._entries) == self._count else list(self)
        longer._entries.append(values)
        longer._count = self._count + 1
        return longer

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self._entries[: self._count][place] if isinstance(place, slice) else self._entries[range(self._count)[place]]

    def __iter__(self) -> Iterator[Values]:
        return (self._entries[place] for place in range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it is compared as what it holds

    def __repr__(self) -> str:
        return f"History({list(self)})"


class Writer:
    """The history of a run on disk, a line an epoch: only what is new is written.

    The manifest of a checkpoint names how many bytes are its own and their sha256; what a crash left behind them is not read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._epochs, self._bytes, self._sum = -1, 0, hashlib.sha256()

    def write(self, history: Sequence[Values]) -> dict[str, Any]:
        """Writes what is not written yet -> the entry of the manifest.  Raises RunError."""
        if self._epochs < 0 or len(history) < self._epochs:  # of another life: the same lines again, as one step
            content = _lines(history)
            files.write(self._path, content)
            self._sum = hashlib.sha256(content)
            self._bytes = 0
        elif len(history) > self._epochs:
            content = _lines(history[place] for place in range(self._epochs, len(history)))
            self._append(content)
            self._sum.update(content)
        else:
            content = b""
        self._epochs, self._bytes = len(history), self._bytes + len(content)
        return {"file": FILE, "epochs": self._epochs, "bytes": self._bytes, "sha256": self._sum.hexdigest()}

    def _append(self, content: bytes) -> None:
        try:
            with self._path.open("r+b") as file:
                file.truncate(self._bytes)
                file.seek(self._bytes)
                file.write(content)
                file.flush()
                files.sync(file.fileno())
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            hint = "free space or choose another folder, then try again"
            raise RunError(f"{files.shown(self._path)}: cannot be written ({why}); {hint}") from error


def _lines(history: Iterable[Values]) -> bytes:
    return b"".join(json.dumps(dict(values)).encode() + b"\n" for values in history)


def parse(content: bytes) -> History:
    """The history whose lines are `content`."""
    return History(json.loads(line) for line in content.splitlines())
