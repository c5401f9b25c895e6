"""What a killed process left unsaid: run folders of a sweep that its journal does not name, and ends that it does not know."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import PipelineError, RunError
from pipeline.sweeps.journal import ORDERS, SweepJournal
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import FILE, end_of, read_journal, series, start_of
from pipeline.training import checkpoint

PATIENCE = 30.0  # seconds that the processes of a sweep whose giver died have to save what they train


def adopt(journal: SweepJournal, project: Path) -> None:
    """Writes into the journal of a sweep what is only in the folders of its runs; a folder in which no run has begun is removed."""
    for path in sorted((journal.folder / ORDERS).glob("*.jsonl")):
        _take_over(journal, path, project)
    known = {*journal.runs.values(), journal.summary}
    for folder in list(run_folders(project / "runs")):
        if folder not in known and _sweep_of(folder) == journal.head["id"]:
            _adopt(journal, folder)
    for trial, folder in journal.runs.items():
        if trial not in journal.ends and (metrics := _result(folder)) is not None:
            journal.end(trial, "finished", metrics)


def _take_over(journal: SweepJournal, path: Path, project: Path) -> None:
    """What the process of an order wrote whose giver died before it read that.  Raises RunError while that process still saves."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            order = SweepJournal(journal.folder, project=project, file=f"{ORDERS}/{path.name}")
            break
        except RunError:
            if time.monotonic() > end:
                rule = "a process that was begun for this sweep still trains; wait for its end, or stop it first"
                raise RunError(f"{files.shown(journal.folder)}: {rule}") from None
            time.sleep(0.1)
    with closing(order):
        for trial, folder in order.runs.items():
            if trial not in journal.ends:
                journal.run(trial, order.job(trial), folder)
        for trial, told in order.ends.items():
            if trial not in journal.ends:
                journal.end(trial, told["status"], told["metrics"], told["message"])
        path.unlink()


def _sweep_of(folder: Path) -> str | None:
    try:
        return read_info(folder).sweep
    except PipelineError:  # a folder that is no run any more
        return None


def _adopt(journal: SweepJournal, folder: Path) -> None:
    tags: Mapping[str, Any] = start_of(read_journal(folder)).tags if (folder / FILE).exists() else {}
    if tags.get("pipeline.kind") == "sweep":
        journal.summed_up(folder)
    elif "pipeline.trial" in tags and tags["pipeline.trial"] not in journal.runs:
        journal.run(tags["pipeline.trial"], int(tags["pipeline.job"]), folder)
    elif not tags:
        shutil.rmtree(folder, ignore_errors=True)


def _result(folder: Path) -> dict[str, float] | None:
    """The metrics of a run that has ended well, of the epoch whose weights it keeps; None for any other."""
    if not (folder / FILE).exists():
        return None
    events = read_journal(folder)
    end = end_of(events)
    if end is None or end.status != "FINISHED":
        return None
    values = series(events)
    epoch = max((max(told) for told in values.values()), default=0)
    if checkpoint.exists(folder / CHECKPOINTS):
        try:
            found = checkpoint.load(folder / CHECKPOINTS)
        except RunError:  # torn by a power cut: the trial is begun anew
            return None
        epoch = found.progress.best_epoch if found.final == "best" and found.best_state is not None else epoch
    return {name: told[epoch] for name, told in values.items() if epoch in told}
