"""One trial of a sweep by itself: the command that runs it again, and the best where a sweep is given for a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from pipeline import files
from pipeline.config.overrides import asks_for_several, values_of
from pipeline.config.sweep_settings import SWEEP
from pipeline.errors import PipelineError, RunError
from pipeline.records import record
from pipeline.sweeps.journal import SweepJournal, judged_by
from pipeline.sweeps.resumed import sweep_at
from pipeline.tasks.context import RunContext


def command_of(context: RunContext, flags: Sequence[str]) -> str:
    """`python -m pipeline ...` with the values of a job; `flags` are those of the sweep."""
    asked = [text for text in context.overrides if not text.startswith(f"{SWEEP}.")]
    if asks_for_several(asked):
        asked.append("hydra.mode=RUN")
    kept = [flag for flag in flags if flag not in ("-m", "--multirun")]
    return shlex.join(["python", "-m", "pipeline", *kept, *asked])


def best_instead(error: BaseException, overrides: Sequence[str]) -> BaseException:
    """`error`, or, where a sweep was given to a task that works on one run, the sentence that names the sweep's best."""
    given = values_of(overrides).get("run", "").strip("'\"")
    with suppress(PipelineError):
        folder = sweep_at(given) if given and isinstance(error, RunError) else None
        if folder is not None and (best := _best(folder)) is not None:
            said = f"run = {given}: is a sweep of {best.trials} trials, and this task works on one run"
            return RunError(f"{said}; its best, by {best.metric}, is run={files.shown(best.folder)}")
    return error


@record
class _Best:
    trials: int
    metric: str
    folder: Path


def _best(folder: Path) -> _Best | None:
    """The best trial of a sweep by what it is judged by; None where none finished."""
    from pipeline.sweeps.table import summarize_sweep  # noqa: PLC0415  # the command line starts without it

    with closing(SweepJournal(folder, project=Path.cwd())) as journal:
        folders = [run for run in journal.runs.values() if run.is_dir()]
        summary = summarize_sweep(str(journal.head.get("id")), folders, settings=judged_by(journal.judged)) if folders else None
    best = None if summary is None else summary.best
    return None if summary is None or best is None else _Best(trials=len(folders), metric=summary.metric, folder=best.folder)
