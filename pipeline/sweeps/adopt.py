"""What a killed process left unsaid: run folders of a sweep that its journal does not name, and ends that it does not know."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.sweeps.journal import SweepJournal
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import FILE, end_of, read_journal, series, start_of
from pipeline.training import checkpoint


def adopt(journal: SweepJournal, project: Path) -> None:
    """Writes into the journal of a sweep what is only in the folders of its runs; a folder in which no run has begun is removed."""
    known = {*journal.runs.values(), journal.summary}
    for folder in list(run_folders(project / "runs")):
        if folder not in known and _sweep_of(folder) == journal.head["id"]:
            _adopt(journal, folder)
    for trial, folder in journal.runs.items():
        if trial not in journal.ends and (metrics := _result(folder)) is not None:
            journal.end(trial, "finished", metrics)


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
        found = checkpoint.load(folder / CHECKPOINTS)
        epoch = found.progress.best_epoch if found.final == "best" and found.best_state is not None else epoch
    return {name: told[epoch] for name, told in values.items() if epoch in told}
