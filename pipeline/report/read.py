"""Run folders and folders of sweeps, read back for a document.  Nothing but the folders is asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import RunError
from pipeline.records import record
from pipeline.sweeps.journal import FILE, judged_by, searched
from pipeline.sweeps.table import Sweep, summarize_sweep
from pipeline.tracking.journal import Confusion, Data, end_of, last_values, read_journal, restored, series, start_of


@record
class Run:
    """What is told of a run.

    params     its config by path;  shown, what of it differs from the defaults
    metrics    the values that hold in the end;  curves: metric -> epoch -> value
    confusion  of the last part that was tested
    restored   the epoch whose weights are kept, where that is not the last
    """

    name: str
    folder: Path
    status: str
    message: str
    about: str
    params: Mapping[str, str]
    shown: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Mapping[int, float]]
    confusion: Confusion | None
    data: Data | None
    restored: int | None


def run_of(folder: Path) -> Run:
    """What the journal of a run folder holds.  Raises RunError."""
    events = read_journal(folder)
    if not events:
        raise RunError(f"{files.shown(folder)}: has no journal of a run; give the folder of a run or of a sweep")
    begun, end = start_of(events), end_of(events)
    message = "" if end is None else end.message
    params = {name: str(value) for name, value in begun.params.items()}
    shown = begun.shown if begun.shown is not None else {name: value for name, value in params.items() if value != "null"}
    return Run(
        name=begun.name or folder.name,
        folder=folder,
        status="running" if end is None else end.status.lower(),
        message=message,
        about=begun.about,
        params=params,
        shown={name: str(value) for name, value in shown.items()},
        tags={name: str(value) for name, value in begun.tags.items()},
        metrics=last_values(events),
        curves=series(events),
        confusion=next((event for event in reversed(events) if isinstance(event, Confusion)), None),
        data=next((event for event in reversed(events) if isinstance(event, Data)), None),
        restored=restored(events),
    )


@record
class Swept:
    """A sweep: its table, the runs of its trials, the command that began it."""

    table: Sweep
    runs: tuple[Run, ...]
    command: str
    folder: Path


def sweep_of(folder: Path) -> Swept:
    """What the journal of a sweep and those of its trials hold.  Raises RunError."""
    head: dict[str, Any] = {}
    judged: dict[str, Any] = {}
    runs: dict[str, tuple[int, Path]] = {}
    points: dict[int, dict[str, Any]] = {}
    for line in _lines(folder):
        if line.get("event") == "sweep":
            head = line
        elif line.get("event") == "judged" and isinstance(line.get("by"), dict):
            judged = line["by"]
        elif line.get("event") == "points":
            points |= dict(enumerate(line["points"], int(line["first"])))
        elif line.get("event") == "run":
            runs[str(line["trial"])] = int(line["job"]), Path(str(line["folder"]))
    found = {job: place for job, path in sorted(runs.values()) if (place := _place(path, folder)) is not None}
    if not head or not found:
        raise RunError(f"{files.shown(folder)}: has no trial with a run folder; give the folder of a run or of a sweep")
    overrides = [str(text) for text in head.get("overrides") or ()]
    asked = _asked(head, points)
    table = summarize_sweep(str(head["id"]), found.values(), settings=judged_by(judged), asked=asked, searched=searched(head))
    words = ["python", "-m", "pipeline", "-m", *(text.lstrip("+") for text in overrides)]
    command = shlex.join(words) if overrides else "pipeline.sweep"
    return Swept(table=table, runs=tuple(run_of(place) for place in found.values()), command=command, folder=folder)


def _asked(head: dict[str, Any], points: dict[int, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What was asked of each job, as path -> value: of a grid it stands in the first line, of a search with its points."""
    jobs = dict(enumerate(head.get("jobs") or ()))
    repeats = (head.get("search") or {}).get("runs") or [""]
    for number, point in points.items():
        for place, text in enumerate(repeats):
            own = dict(pair.lstrip("+").partition("=")[::2] for pair in str(text).split() if "=" in pair)
            jobs[number * len(repeats) + place] = {**point, **own}
    return {str(number): {name: str(value) for name, value in job.items()} for number, job in jobs.items()}


def _lines(folder: Path) -> list[dict[str, Any]]:
    try:
        text = files.content(folder / FILE, most=files.LONGEST).decode(errors="replace")
    except OSError as error:
        raise RunError(f"{files.shown(folder / FILE)}: cannot be read ({error.strerror}); give the folder of a sweep") from error
    lines = []
    for line in text.splitlines():
        with suppress(ValueError):  # a torn line
            found = json.loads(line)
            if isinstance(found, dict):
                lines.append(found)
    return lines


def _place(path: Path, folder: Path) -> Path | None:
    """A run folder as it leads there from here, or from a folder above the sweep's; None where it is gone."""
    places = [path] if path.is_absolute() else [path, *(parent / path for parent in folder.absolute().parents)]
    return next((place for place in places if place.is_dir()), None)
