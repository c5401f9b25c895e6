"""The end of a sweep: its table on the screen, its summary run in MLflow."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import PipelineError, sentence
from pipeline.screen.console import console_for, say
from pipeline.sweeps import comparison, forms, page
from pipeline.sweeps.conclusions import NAMED, at_an_end, conclusions
from pipeline.sweeps.importance import importance
from pipeline.sweeps.jobs import SweepResult
from pipeline.sweeps.journal import searched
from pipeline.sweeps.objective import against
from pipeline.sweeps.shown import show_arms, show_trials
from pipeline.sweeps.table import receipt_of, record_sweep, summarize_sweep
from pipeline.tasks import served
from pipeline.tasks.context import Senders
from pipeline.tracking.delivery import FIGURES
from pipeline.tracking.journal import Journal, Model, Tags, read_journal
from pipeline.tracking.outbox import WAIT, Sender
from pipeline.tracking.store import locate


def finished(sweep: SweepResult) -> None:
    """Prints the trials, best marked, and writes the summary run.  Raises PipelineError."""
    console = console_for()
    done = sum(job.error is None for job in sweep.jobs)
    others = f"; {sweep.twice} more {'have' if sweep.twice > 1 else 'has'} the values of others" if sweep.twice else ""
    stopped = ", stopped" if sweep.stopped else ""
    say(console, f"sweep {sweep.name}: {done} of {sweep.count - sweep.twice} jobs done{stopped}{others}")
    if sweep.stopped:
        same = shlex.quote(f"hydra.sweep.dir={sweep.folder}")
        say(console, f"note: go on with {sweep.again}, or with the same command and {same}")
    experiment = next((job.experiment for job in sweep.jobs if job.experiment is not None), None)
    project = Path.cwd()
    folders = [folder for folder in sweep.journal.runs.values() if folder.is_dir()]
    if experiment is None or not folders:
        return
    asked = {str(job.number): job.columns for job in sweep.planned}
    summary = summarize_sweep(sweep.id, folders, settings=sweep.settings, asked=asked, searched=searched(sweep.journal.head))
    show_trials(console, summary)
    for line in _without_a_run(sweep):
        say(console, line)
    arms = comparison.compare(summary)
    if arms:
        show_arms(console, summary, arms)
    shares = importance(summary)
    if sweep.stopped:
        say(console, "note: what is best is said when all jobs are over: arms that have not run yet may be better than these")
        for text in (*against(summary.objectives), *summary.notes):
            say(console, f"note: {text}")
    else:
        for line in [*conclusions(summary, arms, shares), *at_an_end(summary, arms, _ranges(sweep))]:
            say(console, line)
    if summary.best is not None:
        say(console, f"{'best so far' if sweep.stopped else 'best run   '} {files.shown(summary.best.folder)}")
    for note in sweep.notes:
        say(console, f"note: {note}")
    sender = (sweep.senders or Senders()).get(experiment.tracking, project)
    if experiment.tracking.kind != "none":
        _settle(sender, folders)
    texts = {**_texts("arms", comparison.table(summary, arms) if arms else []), **_texts("importance", _shares(shares))}
    before = sweep.journal.summary
    if before is not None and before.is_dir() and all(job.found for job in sweep.jobs):  # nothing has changed since it was written
        receipt = receipt_of(before, experiment.tracking, project, sweep.id)
    else:
        receipt = record_sweep(
            summary.as_sent(), experiment.tracking, project=project, sender=sender, texts=texts, name=sweep.name,
            folder=project / sweep.folder, before=before, begun=sweep.journal.summed_up,
        )  # fmt: skip
    if experiment.tracking.kind != "none" and summary.best is not None:  # last: its figures take the sender's time
        _ask_for_more(summary.best.folder, sender, experiment, sweep.id)
    store = locate(experiment.tracking, project)
    if sweep.journal.summary is not None:
        drawn = "" if store is None else "   (its pictures are drawn into figures/ there)"
        say(console, f"tables      {files.shown(sweep.journal.summary)}{drawn}")
    if receipt.link is None or store is None:
        say(console, f"note: {receipt.note}")
        return
    page.tell(page.trials_of(summary), sender, store, receipt.link, lambda text: say(console, text))


def _without_a_run(sweep: SweepResult) -> list[str]:
    """What became of the jobs that are no row of the table, in a line each: they were refused, or failed before they had a folder."""
    lines = []
    for job in sweep.jobs:
        folder = sweep.journal.runs.get(job.trial)
        if isinstance(job.error, Exception) and (folder is None or not folder.is_dir()):
            lines.append(f"not run: {job.context.label}: {sentence(job.error)}")
    left = len(lines) - NAMED
    return [*lines[:NAMED], f"not run: {left} more, see above"] if left > 0 else lines


def _ranges(sweep: SweepResult) -> set[str]:
    """The parameters of a search that are ranges: the search itself says where their best lies."""
    return {path for path, said in searched(sweep.journal.head).items() if not said.startswith("choice(")}


def _texts(name: str, table: Sequence[Sequence[str]]) -> dict[str, str]:
    """File -> a table in each of its forms; none for an empty one."""
    if not table:
        return {}
    heading, *rows = table
    forms_of = {"md": forms.markdown, "tex": forms.latex, "csv": forms.comma_separated}
    return {f"{name}.{ending}": form(heading, rows) for ending, form in forms_of.items()}


def _shares(shares: Mapping[str, float]) -> list[list[str]]:
    return [["parameter", "share"], *([name, f"{share:.4f}"] for name, share in shares.items())] if shares else []


def _ask_for_more(folder: Path, sender: Sender, experiment: Experiment, sweep: str) -> None:
    """The best trial has its figures drawn and its model sent; figures of the others are drawn by task=sync."""
    events, store = read_journal(folder), locate(experiment.tracking, Path.cwd())
    if store is None or any(FIGURES in event.values for event in events if isinstance(event, Tags)):
        return
    with closing(Journal(folder)) as journal:
        if experiment.tracking.model != "none":
            with suppress(PipelineError, OSError):  # a full disk, say: the sweep is whole all the same
                written = served.write(folder)
                journal.write(Model(path=written.name, register=experiment.tracking.register or ""))
        journal.write(Tags(values={FIGURES: f"the best of {sweep}"}))
    sender.add(folder, store)


def _settle(sender: Sender, folders: list[Path]) -> None:
    """Waits, in all as long as for one run, until MLflow has the trials: the summary names their run ids."""
    end = time.monotonic() + WAIT
    for folder in folders:
        sender.wait_for(folder, max(0.0, end - time.monotonic()))
