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
from pipeline.sweeps.journal import SweepJournal, is_sweep
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
    if not isinstance(error, RunError) or not given or not is_sweep(Path(given)):
        return error
    from pipeline.sweeps.table import summarize_sweep  # noqa: PLC0415  # the command line starts without it

    with suppress(PipelineError), closing(SweepJournal(Path(given), project=Path.cwd())) as journal:
        folders = [folder for folder in journal.runs.values() if folder.is_dir()]
        best = summarize_sweep(str(journal.head.get("id")), folders).best if folders else None
        if best is not None:
            said = f"run = {given}: is a sweep of {len(folders)} trials, and this task works on one run"
            return RunError(f"{said}; its best, by default measures, is run={files.shown(best.folder)}")
    return error
