"""The end of a sweep: its table on the screen, its summary run in MLflow."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.screen.console import console_for, say
from pipeline.sweeps import comparison
from pipeline.sweeps.jobs import SweepResult
from pipeline.sweeps.table import Sweep, record_sweep, summarize_sweep
from pipeline.tasks.context import Senders
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.outbox import WAIT, Sender


def finished(sweep: SweepResult) -> None:
    """Prints the trials, best marked, and writes the summary run.  Raises PipelineError."""
    console = console_for()
    done = sum(job.error is None for job in sweep.jobs)
    say(console, f"sweep {sweep.id}: {done} of {sweep.planned} jobs done{', stopped' if sweep.stopped else ''}")
    if sweep.stopped and (left := sweep.planned - len(sweep.jobs)):
        say(console, f"note: {left} job{'s were' if left > 1 else ' was'} not begun; a new sweep over the values left runs them")
    experiment = next((job.experiment for job in sweep.jobs if job.experiment is not None), None)
    project = Path.cwd()
    folders = _folders(project, sweep.id)
    if experiment is None or not folders:
        return
    asked = {str(job.context.job): dict(text.partition("=")[::2] for text in job.context.overrides) for job in sweep.jobs}
    summary = summarize_sweep(sweep.id, folders, asked=asked)
    console.print(_fitting(console, _table(summary)))
    arms = comparison.compare(summary)
    if arms:
        console.print(_fitting(console, _arms(summary, arms)))
    if summary.best is not None:
        say(console, f"best run    {files.shown(summary.best.folder)}")
    sender = (sweep.senders or Senders()).get(experiment.tracking, project)
    if experiment.tracking.kind != "none":
        _settle(sender, folders)
    texts = {"arms.md": comparison.markdown(summary, arms)} if arms else {}
    receipt = record_sweep(
        summarize_sweep(sweep.id, folders, asked=asked), experiment.tracking, project=project, sender=sender, texts=texts
    )
    say(console, f"MLflow      {receipt.link}" if receipt.link is not None else f"note: {receipt.note}")


def _folders(project: Path, sweep: str) -> list[Path]:
    """The run folders of the sweep's trials, in the order they began."""
    found = []
    for folder in run_folders(project / "runs"):
        try:
            info = read_info(folder)
        except PipelineError:  # a folder that is no run any more is no trial
            continue
        if info.sweep == sweep:
            found.append((info.created, folder))
    return [folder for _, folder in sorted(found)]


def _settle(sender: Sender, folders: list[Path]) -> None:
    """Waits, in all as long as for one run, until MLflow has the trials: the summary names their run ids."""
    end = time.monotonic() + WAIT
    for folder in folders:
        sender.wait_for(folder, max(0.0, end - time.monotonic()))


def _shown(sweep: Sweep) -> Sweep:
    """The sweep with the columns that a terminal has room for; all are in its summary run."""
    quantities = {sweep.metric.split("/")[0], "loss", "accuracy", "rmse", "mae", "r2"}
    return replace(sweep, metrics=tuple(name for name in sweep.metrics if name.split("/")[0] in quantities))


def _table(sweep: Sweep) -> Table:
    """A row a trial, best first."""
    sweep = _shown(sweep)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"ranked by {sweep.metric}", title_justify="left", title_style="bold")
    for heading in sweep.header():
        name = heading.rpartition(".")[2] if heading in sweep.params else heading
        table.add_column(escape(name), overflow="fold")
    for trial, row in sorted(zip(sweep.trials, sweep.rows(), strict=True), key=lambda pair: sweep.rank(pair[0])):
        table.add_row(*map(escape, row), style="bold" if trial is sweep.best else None)
    return table


def _fitting(console: Console, table: Table) -> RenderableType:
    """The table where its lines fit the console, else a block for each of its rows: a cell is never broken into letters."""
    unbounded = console.options.update(width=10_000)
    if Measurement.get(console, unbounded, table).maximum <= console.width:
        return table
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    blocks = Table.grid(padding=(0, 3, 0, 0))
    blocks.title, blocks.title_justify, blocks.title_style = table.title, "left", "bold"
    blocks.add_column(no_wrap=True)
    blocks.add_column(overflow="fold")
    for index, row in enumerate(table.rows):
        for column, own in zip(table.columns, cells, strict=True):
            if own[index]:
                blocks.add_row(str(column.header), own[index], style=row.style)
        blocks.add_row()
    return blocks


def _arms(sweep: Sweep, arms: tuple[comparison.Arm, ...]) -> Table:
    """A row an arm, best mean first."""
    repeats = comparison.repeats(sweep)
    one = repeats.replace("seeds", "seed").replace("folds", "fold")
    title = f"means over the {repeats} with their {comparison.LEVEL:.0%} intervals; differences are of pairs of one {one}"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")
    heading, *rows = comparison.table(sweep, arms)
    for name in heading:
        table.add_column(escape(name.rpartition(".")[2] if name in sweep.params else name), overflow="fold")
    for index, row in enumerate(rows):
        table.add_row(*map(escape, row), style="bold" if index == 0 and arms[0].done else None)
    return table
