"""The journal of a run: what happened, one JSON object a line, only ever appended to.

    {"time": 1763700000000, "event": "start", "uid": ..., "name": ..., "params": {...}, "tags": {...}}
    {"time": ..., "event": "tags", "values": {...}}
    {"time": ..., "event": "metric", "step": 3, "values": {"loss/train": 0.21, ...}}
    {"time": ..., "event": "artifact", "path": "config.yaml", "into": ""}
    {"time": ..., "event": "confusion", "part": "test", "classes": [...], "counts": [[...], ...]}     # counts[true][predicted]
    {"time": ..., "event": "end", "status": "FINISHED", "message": ""}
    {"time": ..., "event": "resume", "pid": ..., "step": 3}

Times are milliseconds since 1970.  The journal is the truth about a run: the tracking store is written from it and can be written again.
A line is one write, so a process that is killed leaves at most one torn line, the last; readers pass over it.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pipeline import files
from pipeline.errors import RunError

Event = dict[str, Any]
Status = Literal["FINISHED", "FAILED", "KILLED"]
FILE = "journal.jsonl"


class Journal:
    """Appends events to the journal of a run folder.  Raises RunError when the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            self._file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._mend()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def write(self, event: str, *, durable: bool = False, **values: object) -> None:
        """Appends one event; `durable` waits until it is on the disk (a killed process loses nothing even without, a power cut may)."""
        line = json.dumps({"time": time.time_ns() // 1_000_000, "event": event, **_plain(values)}) + "\n"
        try:
            self._append(line.encode())
            if durable:
                os.fsync(self._file)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Nothing is written after this; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        """All of the line or, on a full disk, none of it."""
        before = os.fstat(self._file).st_size
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written:
                os.ftruncate(self._file, before)
            raise

    def _mend(self) -> None:
        """Closes the torn last line of a killed process, so that the next event starts a line of its own."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def read_journal(folder: Path, *, start: int = 0) -> list[Event]:
    """The events from byte `start` on; a torn line is left out."""
    return parse(read_lines(folder, start=start))


def read_lines(folder: Path, *, start: int = 0) -> bytes:
    """The whole lines from byte `start` on."""
    with (folder / FILE).open("rb") as file:
        file.seek(start)
        data = file.read()
    return data[: data.rfind(b"\n") + 1]


def parse(lines: bytes) -> list[Event]:
    """The events of whole lines; a line torn by a kill (and closed by the next writer) is passed over."""
    events = []
    for line in lines.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            events.append(event)
    return events


def start_of(events: Iterable[Event]) -> Event:
    """The start event, or {} if there is none."""
    return next((event for event in events if event["event"] == "start"), {})


def end_of(events: Iterable[Event]) -> Event | None:
    """The end event that holds now: None while the run goes on or after it was resumed."""
    end = None
    for event in events:
        if event["event"] in ("start", "resume"):
            end = None
        elif event["event"] == "end":
            end = event
    return end


def series(events: Iterable[Event]) -> dict[str, dict[int, float]]:
    """Metric name -> step -> value.  A step told twice (a resumed run repeats those after its checkpoint) counts as told last."""
    found: dict[str, dict[int, float]] = {}
    for event in events:
        if event["event"] == "metric":
            for name, value in event["values"].items():
                found.setdefault(name, {})[int(event["step"])] = float(value)
    return found


def last_values(events: Iterable[Event]) -> dict[str, float]:
    """Metric name -> value at its last step."""
    return {name: values[max(values)] for name, values in series(events).items()}


def _plain(value: Any) -> Any:
    """`value` in JSON's terms: NumPy scalars become numbers, non-finite numbers the words nan, inf, -inf (`float` reads them back)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def unwritable(path: Path, error: OSError) -> RunError:
    """The sentence for a file that the system refuses to write."""
    return RunError(f"{files.shown(path)}: cannot be written ({error.strerror}); free the disk or choose another folder with output=...")
