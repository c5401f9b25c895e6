"""The journal of a sweep: what it is, and which run folder is whose; one JSON object a line, only ever appended to.

    {"event": "sweep", "id": "2026-11-28_17-20-01-3f2a", "flags": [], "overrides": ["optimizer.learning_rate=0.1,0.01", ...], "jobs": [...]}
    {"event": "judged", "by": {"metric": "loss/validation", "direction": "auto", "value": "last"}}
    {"event": "points", "first": 0, "points": [{"optimizer.learning_rate": 0.0123, ...}, ...]}
    {"event": "run", "trial": "9c0f1e...", "job": 0, "folder": "runs/2026-11-28_17-20-02_digits"}
    {"event": "end", "trial": "9c0f1e...", "status": "finished", "metrics": {"accuracy/validation": 0.97, ...}}
    {"event": "summary", "folder": "runs/2026-11-28_17-21-00_sweep"}

A sweep is known by the id in its first line, whatever its folder is called; a trial by the digest of its values, whatever its number.
A later line of a trial holds in place of an earlier one: so its run counts once, however often it was begun.  A line is one write: a
killed process leaves at most one torn line, the last, which readers pass over.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.config.spec import to_plain
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError, RunError
from pipeline.records import plain, read
from pipeline.search.parameters import Point
from pipeline.text import hidden

FILE = "sweep.jsonl"
ORDERS = "orders"  # the folder of the journals of its orders (pipeline/sweeps/engines/orders.py)
PRUNED = "pipeline.pruned"  # the tag of a run that a search stopped at a rung: the epoch
JUDGED = ("metric", "direction", "value")  # the settings that say what trials are judged by
ASIDE = ("output", "tracking")  # what is no value of a trial: where it is kept


def identity(experiment: Experiment) -> str:
    """What a trial is known by: the digest of all its values, its seed among them."""
    values = {name: value for name, value in to_plain(experiment).items() if name not in ASIDE}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def seen(job: Mapping[str, str]) -> dict[str, str]:
    """The values of a job without credentials, as they are written down."""
    return {path: hidden(value) for path, value in job.items()}


class SweepJournal:
    """The journal of the sweep in `folder`; `head` is its first line, {} where there is none yet.

    points    of a search: number of the first -> the points that were asked for together
    runs      trial -> its run folder, in the order of the jobs
    ends      trial -> the line that says how it ended
    summary   the folder of the run that sums the sweep up
    judged    what its trials were judged by last: metric, direction, value; only what differs from the defaults has a line
    file      another than that of the sweep itself: an order's (pipeline/sweeps/engines/orders.py), which is a journal of the same form
    One process at a time has it.  Raises RunError where another has, or where the folder cannot be written.
    """

    def __init__(self, folder: Path, *, project: Path, file: str = FILE) -> None:
        self.folder, self._project = folder, project
        self.head: dict[str, Any] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        self.points: dict[int, list[Point]] = {}
        self.summary: Path | None = None
        self.judged = _judged(SweepSettings())
        self._runs: dict[str, tuple[int, Path]] = {}
        path = self._path = folder / file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.check_kept(path, inside=folder)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise RunError(f"{files.shown(folder)}: another process runs this sweep; wait for its end, or stop it first") from None
        except OSError:
            pass  # a file system that knows no locks: it is anyone's
        text = files.content(path, most=files.LONGEST)
        if text and not text.endswith(b"\n"):
            os.write(self._file, b"\n")  # closes the torn line of a killed process
        for line in text.splitlines():
            with suppress(
                ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
            ):  # torn, or one that nobody here writes
                self._note(json.loads(line))

    @property
    def runs(self) -> dict[str, Path]:
        """Trial -> run folder, in the order of the jobs."""
        return {trial: folder for trial, (_, folder) in sorted(self._runs.items(), key=lambda item: item[1][0])}

    def job(self, trial: str) -> int:
        """The number of a trial that has a run folder."""
        return self._runs[trial][0]

    def begin(
        self, *, id: str, flags: Sequence[str], overrides: Sequence[str] | None, jobs: Sequence[Mapping[str, str]], search: object = None
    ) -> None:
        """The first line: which sweep this is, its jobs or its search; overrides None: it is one of Python.

        Without credentials: who goes on with the sweep gives them again.
        """
        asked = None if overrides is None else list(map(hidden, overrides))
        self.write("sweep", id=id, flags=list(flags), overrides=asked, jobs=list(map(seen, jobs)), search=search)
        os.fsync(self._file)

    def judge(self, settings: SweepSettings) -> None:
        """What the trials are judged by from now on."""
        if (judged := _judged(settings)) != self.judged:
            self.write("judged", by=judged)

    def asked_for(self, first: int, points: Sequence[Point]) -> None:
        """The points of a search from number `first` on."""
        self.write("points", first=first, points=[dict(point) for point in points])

    def run(self, trial: str, job: int, folder: Path) -> None:
        """The run folder of a trial has begun to be written."""
        self.write("run", trial=trial, job=job, folder=self._stored(folder))

    def end(self, trial: str, status: str, metrics: Mapping[str, float], message: str = "") -> None:
        """How a trial ended: finished, diverged, failed or killed."""
        told = {name: repr(float(value)) for name, value in metrics.items()}
        self.write("end", trial=trial, status=status, metrics=told, message=hidden(message))

    def summed_up(self, folder: Path) -> None:
        """The run folder of the summary."""
        self.write("summary", folder=self._stored(folder))

    def write(self, event: str, **values: Any) -> None:
        """Appends one line."""
        line = {"event": event, **values}
        try:
            os.write(self._file, (json.dumps(line) + "\n").encode())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._note(line)

    def close(self) -> None:
        """Lets others have it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _note(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "sweep":
                self.head = dict(event)
            case "points":
                self.points[event["first"]] = event["points"]
            case "run":
                self._runs[event["trial"]] = (event["job"], self._project / event["folder"])
                self.ends.pop(event["trial"], None)
            case "end":
                self.ends[event["trial"]] = {**event, "metrics": {name: float(value) for name, value in event["metrics"].items()}}
            case "judged":
                self.judged = dict(event["by"])
            case "summary":
                self.summary = self._project / event["folder"]

    def _stored(self, folder: Path) -> str:
        """A run folder as it is written down: from the project's folder, so that both can be moved together."""
        return str(folder.relative_to(self._project)) if folder.is_relative_to(self._project) else str(folder)


def _judged(settings: SweepSettings) -> dict[str, Any]:
    return {name: plain(getattr(settings, name)) for name in JUDGED}


def judged_by(given: Mapping[str, Any]) -> SweepSettings:
    """The settings that `judged` of a journal tells; the defaults where it tells none that could be."""
    try:
        return read(SweepSettings, given, at="sweep")
    except ConfigError:  # a line that nobody here writes
        return SweepSettings()


def searched(head: Mapping[str, Any]) -> Mapping[str, str]:
    """The parameters of a search by its first line, path -> space in words; none for a grid."""
    return dict(line.partition(": ")[::2] for line in (head.get("search") or {}).get("space", ()))


def called(folder: Path) -> str:
    """What a sweep is called: the last word of its folder."""
    return folder.resolve().name or "root"


def is_sweep(folder: Path) -> bool:
    """Whether a sweep lies in `folder`.  Raises RunError where its journal is a pipe, a device or a folder."""
    files.check_kept(folder / FILE, inside=folder)
    return (folder / FILE).is_file()


def _unwritable(path: Path, error: OSError) -> RunError:
    hint = "choose another folder with hydra.sweep.dir=..."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"make room, and go on with -m resume={files.shown(path.parent)}"
    return RunError(f"{files.shown(path)}: cannot be written ({error.strerror}); {hint}")
