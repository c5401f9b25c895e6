"""The journal of a run: what happened, one JSON object a line, only ever appended to.

    {"time": 1763700000000, "event": "start", "uid": ..., "name": ..., "params": {...}, "tags": {...}}
    {"time": ..., "event": "tags", "values": {...}}
    {"time": ..., "event": "data", "name": "digits", "digest": ..., "source": "{...}", "schema": "{...}", "profile": "{...}"}
    {"time": ..., "event": "metric", "step": 3, "values": {"loss/train": 0.21, ...}}
    {"time": ..., "event": "machine", "step": 0, "values": {"system/cpu_utilization_percentage": 41.5, ...}}
    {"time": ..., "event": "artifact", "path": "config.yaml", "into": ""}
    {"time": ..., "event": "model", "path": "model", "register": ""}
    {"time": ..., "event": "confusion", "part": "test", "classes": [...], "counts": [[...], ...]}     # counts[true][predicted]
    {"time": ..., "event": "health", "epoch": 1, "step": 20, "rows": 256, "loss": ..., "layers": [...], "tensors": [...]}
    {"time": ..., "event": "diagnosed", "found": [{"name": "overfitting", "evidence": ..., "override": ..., ...}]}
    {"time": ..., "event": "end", "status": "FINISHED", "message": "", "epoch": 3}
    {"time": ..., "event": "resume", "pid": ..., "step": 3}
    {"time": ..., "event": "changed", "name": ..., "params": {"training.epochs": "20"}, "shown": {...}, "tags": {...}}

and, of the summary run of a sweep,

    {"time": ..., "event": "compare", "quantity": "loss/validation", "curves": {"learning_rate=0.1": {"1": 0.4, ...}, ...},
     "grows": false, "trials": [{"label": ..., "value": 0.4, "params": {"optimizer.learning_rate": "0.1"}, "done": true}, ...],
     "repeats": ["seed"]}

Times are milliseconds since 1970.  The journal is the truth about a run: the tracking store is written from it and can be written again.
A line is one write, so a process that is killed leaves at most one torn line, the last; readers pass over it.

The last key of a line, "crc", is the checksum of the text before it: a changed line is known by it, told by its number and left out.
Lines of earlier versions have none.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pipeline import files
from pipeline.errors import ConfigError, RunError
from pipeline.records import Family, names, plain, read, record, setting
from pipeline.text import in_json
from pipeline.tracking.event import Event
from pipeline.tracking.health import Diagnosed, Health, Number

Status = Literal["FINISHED", "FAILED", "KILLED"]
FILE = "journal.jsonl"
_SUM, _SUM_LENGTH = b', "crc": "', len(b', "crc": "00000000"}')


@record
class Start(Event):
    """The run begins: params is its config by path, `shown` what of it MLflow's page shows, about what its experiment is about."""

    uid: str = setting("")
    name: str = setting("")
    params: Mapping[str, Any] = setting({})
    tags: Mapping[str, Any] = setting({})
    shown: Mapping[str, Any] | None = setting(None)
    about: str = setting("")


@record
class Tags(Event):
    """What is known only after the start."""

    values: Mapping[str, Any] = setting()


@record
class Metric(Event):
    """The metrics of an epoch, which is the step."""

    step: int = setting()
    values: Mapping[str, Number] = setting()


@record
class Data(Event):
    """What the run was trained on; source, schema and profile as JSON, in MLflow's terms."""

    name: str = setting()
    digest: str = setting()
    kind: str = setting("code")
    source: str = setting("{}")
    schema: str = setting("")
    profile: str = setting("")


@record
class Machine(Event):
    """How busy the machine is: the sample `step`."""

    step: int = setting()
    values: Mapping[str, Number] = setting()


@record
class Artifact(Event):
    """A file of the run folder, to be copied to folder `into` of the store's artifacts."""

    path: str = setting()
    into: str = setting("")


@record
class Model(Event):
    """The trained model in folder `path` of the run folder, to be logged; register: its name in the registry, "" for none."""

    path: str = setting()
    register: str = setting("")


@record
class Confusion(Event):
    """counts [true class, predicted class] of a part of the data."""

    part: str = setting()
    classes: tuple[str, ...] = setting()
    counts: tuple[tuple[int, ...], ...] = setting()


@record
class Compared:
    """A trial of a sweep: what sets it apart, path -> value, and what it is judged by; done: it finished."""

    label: str
    value: Number
    params: Mapping[str, str]
    done: bool


@record
class Compare(Event):
    """The curves of the trials of a sweep: label -> epoch -> value of the quantity, of which more is better where it `grows`.

    what     was trained: the experiment, or the data
    trials   in the order in which they were begun;  repeats: the parameters that only repeat an arm, such as the seed
    """

    quantity: str = setting()
    curves: Mapping[str, Mapping[str, Number]] = setting()
    what: str = setting("")
    grows: bool = setting(False)
    trials: tuple[Compared, ...] = setting(())
    repeats: tuple[str, ...] = setting(())


@record
class End(Event):
    """The run is over; epoch: the one whose weights are the result, 0 where there is none."""

    status: Status = setting()
    message: str = setting("")
    epoch: int = setting(0)


@record
class Resume(Event):
    """The run goes on after epoch `step`, in another process."""

    pid: int = setting(0)
    step: int = setting(0)


@record
class Changed(Event):
    """The run goes on with other settings than it began with: `params` by path, None for one that it has no more, `shown` as of Start."""

    name: str = setting("")
    params: Mapping[str, Any] = setting({})
    shown: Mapping[str, Any] = setting({})
    tags: Mapping[str, Any] = setting({})


EVENTS: Family[Event, None] = Family(
    "event",
    {
        "start": (Start, None),
        "tags": (Tags, None),
        "data": (Data, None),
        "metric": (Metric, None),
        "machine": (Machine, None),
        "artifact": (Artifact, None),
        "model": (Model, None),
        "confusion": (Confusion, None),
        "health": (Health, None),
        "diagnosed": (Diagnosed, None),
        "compare": (Compare, None),
        "end": (End, None),
        "resume": (Resume, None),
        "changed": (Changed, None),
    },
)


class Journal:
    """Appends events to the journal of a run folder.  Raises RunError when the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            self._file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._mend()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def write(self, event: Event, *, durable: bool = False) -> None:
        """Appends one event; `durable` waits until it is on the disk (a killed process loses nothing even without, a power cut may)."""
        told: dict[str, Any] = {"time": time.time_ns() // 1_000_000, "event": EVENTS.kind_of(event)}
        for name in names(type(event)):
            if name not in told:
                value = getattr(event, name)
                told[name] = in_json(plain(value) if isinstance(value, tuple) else value)
        line = json.dumps(told)
        try:
            self._append(_signed(line.encode()))
            if durable:
                files.sync(self._file)
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
    with files.opened(folder / FILE, most=files.LONGEST) as file:
        file.seek(start)
        data = file.read()
    return data[: data.rfind(b"\n") + 1]


def whole_length(folder: Path) -> int:
    """The bytes of the whole lines, 0 where there is no journal: read from its end, however long it is."""
    try:
        with files.opened(folder / FILE, most=files.LONGEST) as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 4096)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    return start + found + 1
                end = start
    except OSError:
        pass
    return 0


def parse(lines: bytes) -> list[Event]:
    """The events of whole lines.  Passed over: a damaged line, and what a later version may tell."""
    return _parse(lines)[0]


def damaged(folder: Path) -> list[int]:
    """The numbers, from 1, of the lines that are torn or not as they were written: none of them is used."""
    return _parse(read_lines(folder))[1]


def damage(folder: Path) -> str:
    """What to say of damaged lines, "" where there are none."""
    numbers = damaged(folder)
    some = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    lines = f"line {some} is" if len(numbers) == 1 else f"{len(numbers)} lines ({some}) are"
    return f"{files.shown(folder / FILE)}: {lines} not as written, and left out" if numbers else ""


def _parse(lines: bytes) -> tuple[list[Event], list[int]]:
    """The events, and the numbers of the damaged lines.  After the first line with a checksum each has one."""
    events, faults, signed = [], [], False
    for number, line in enumerate(lines.split(b"\n")[:-1], start=1):
        if line[-_SUM_LENGTH : len(_SUM) - _SUM_LENGTH] == _SUM:
            signed, text = True, line[:-_SUM_LENGTH]
            whole = line + b"\n" == _signed(text + b"}")
            line = text + b"}"
        else:
            whole = not signed
        event = _event(line) if whole else None
        if event is not None:
            events.append(event)
        elif not whole or not _is_object(line):
            faults.append(number)
    return events, faults


def _signed(line: bytes) -> bytes:
    """The JSON object `line` with the checksum of its text as its last value, and the end of the line."""
    return b'%s%s%08x"}\n' % (line[:-1], _SUM, zlib.crc32(line[:-1]))


def _event(line: bytes) -> Event | None:
    try:
        told = json.loads(line)
        event_type = EVENTS[told.pop("event")]
        return read(event_type, {name: value for name, value in told.items() if name in event_type.__dataclass_fields__}, at="")
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError, RecursionError):
        return None


def _is_object(line: bytes) -> bool:
    """Whether a line that is no event of ours may be one of a later version."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and isinstance(told.get("event"), str | None) and told.get("event") not in EVENTS


def start_of(events: Iterable[Event]) -> Start:
    """The start event, an empty one if there is none; with what was changed since, as the run went on."""
    begun: Start | None = None
    for event in events:
        if isinstance(event, Start) and begun is None:
            begun = event
        elif isinstance(event, Changed):
            old = begun or Start()
            shown = None if old.shown is None else _laid(old.shown, event.shown)
            begun = replace(old, name=event.name, params=_laid(old.params, event.params), shown=shown, tags={**old.tags, **event.tags})
    return begun or Start()


def _laid(before: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the values of `over`; without those that are None there."""
    return {name: value for name, value in {**before, **over}.items() if value is not None or name not in over}


def end_of(events: Iterable[Event], *, before: End | None = None) -> End | None:
    """The end event that holds now: None while the run goes on or after it was resumed.  `before` held before these events."""
    end = before
    for event in events:
        if isinstance(event, Start | Resume):
            end = None
        elif isinstance(event, End):
            end = event
    return end


def series(events: Iterable[Event]) -> dict[str, dict[int, float]]:
    """Metric name -> step -> value.  A step told twice (a resumed run repeats those after its checkpoint) counts as told last."""
    found: dict[str, dict[int, float]] = {}
    for event in events:
        if isinstance(event, Metric):
            for name, value in event.values.items():
                found.setdefault(name, {})[event.step] = float(value)
    return found


def last_values(events: Iterable[Event]) -> dict[str, float]:
    """Metric name -> value at its last step; of a training that is over, at the epoch whose weights are the result."""
    told = list(events)
    end = end_of(told)
    kept = 0 if end is None else end.epoch
    return {name: values[kept if kept and kept in values else max(values)] for name, values in series(told).items()}


def restored(events: Iterable[Event]) -> int | None:
    """The epoch whose weights are the result, where later ones were trained."""
    told = list(events)
    end = end_of(told)
    last = max(series(told).get("loss/train", {}), default=0)
    return end.epoch if end is not None and 0 < end.epoch < last else None


def unwritable(path: Path, error: OSError) -> RunError:
    """The sentence for a file that the system refuses to write."""
    return RunError(f"{files.shown(path)}: cannot be written ({error.strerror}); free the disk or choose another folder with output=...")
