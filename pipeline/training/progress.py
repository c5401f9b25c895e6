"""What the user sees of a training: a bar on a terminal, one line an epoch in a pipe, and the table of results."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Started
from pipeline.wording import MACRO, number


class Display(Protocol):
    """Takes the events of one training; a context manager that leaves the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Shows `event`, or passes over it."""

    def __enter__(self) -> Self:
        """Before the first event."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """After the last one, also when training failed."""


def console_for(*, quiet: bool = False) -> Console:
    """The console of standard output, or one that swallows everything."""
    width = None if sys.stdout.isatty() else 200  # a file has no edge at which a table would have to fold
    return Unheard(file=sys.stdout, quiet=quiet, highlight=False, width=width)


class Unheard(Console):
    """A console whose reader may leave (`| head`): the training goes on without it."""

    def on_broken_pipe(self) -> None:
        """Says nothing more."""
        self.quiet = True
        sys.stdout = self.file = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives


def display(console: Console, *, job: str = "", said: set[str] | None = None) -> Display:
    """A bar on a terminal, plain lines elsewhere; of a job of a sweep, whose notes so far are `said`, less."""
    if said is not None:
        return Job(console, job, said)
    return Bar(console) if console.is_terminal and not console.quiet else Lines(console)


def say(console: Console, text: str) -> None:
    """One line as it is: never wrapped, never marked up, so that a path or a link can be copied."""
    console.print(escape(text), soft_wrap=True)


class Lines:
    """One plain line an epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs: int | None = None

    def __call__(self, event: Event) -> None:
        """Shows an epoch's end or a note."""
        if isinstance(event, Started):
            self._epochs = event.epochs
        elif isinstance(event, Noted):
            say(self._console, f"note: {event.text}")
        elif isinstance(event, EpochEnded):
            number = f"{event.epoch}" if self._epochs is None else f"{event.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            say(self._console, f"epoch {number}  {in_words(event.values)}")
            self._console.file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._console.file.flush()


class Bar:
    """A bar over all steps with the newest metrics beside it; with the name of a job it leaves nothing behind."""

    def __init__(self, console: Console, *, job: str = "") -> None:
        self._console = console
        one_line = Column(no_wrap=True)
        columns = [
            TextColumn("epoch {task.fields[epoch]}{task.fields[epochs]}", table_column=one_line),
            BarColumn(bar_width=None if console.width >= 60 else 5),
            TextColumn("{task.description}", markup=False, table_column=one_line),
            TimeElapsedColumn(table_column=one_line),
        ]
        if job and console.width >= 120:
            columns.insert(0, TextColumn("{task.fields[job]}", markup=False, table_column=one_line))
        shown = columns if console.width >= 60 else [*columns[:2], columns[3]] if console.width >= 30 else columns[:1]
        self._progress = Progress(*shown, console=console, expand=console.width >= 60, transient=bool(job))
        self._job = job
        self._task: TaskID | None = None
        self._steps = 1

    def __call__(self, event: Event) -> None:
        """Moves the bar."""
        if isinstance(event, Started):
            self._steps = event.steps_per_epoch
            done = event.epoch * self._steps + event.step
            of = "" if event.epochs is None else f"/{event.epochs}"
            self._task = self._progress.add_task("", total=event.total, completed=done, epoch=event.epoch, epochs=of, job=self._job)
        elif isinstance(event, Noted):
            say(self._console, f"note: {event.text}")
        elif isinstance(event, Advanced) and self._task is not None:
            self._progress.update(self._task, completed=(event.epoch - 1) * self._steps + event.step)
        elif isinstance(event, EpochEnded) and self._task is not None:
            self._progress.update(self._task, epoch=event.epoch, description=self._newest(event.values))

    def _newest(self, values: Mapping[str, float]) -> str:
        shown = newest(values)
        if self._console.width < 90:
            shown = dict(list(shown.items())[-1:])
        return in_words(shown)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()


class Job:
    """A job of a sweep, which ends in one line: a bar meanwhile on a terminal, and the notes before its first step that are new."""

    def __init__(self, console: Console, job: str, said: set[str]) -> None:
        self._console, self._said, self._begun = console, said, False
        self._bar = Bar(console, job=job) if console.is_terminal and not console.quiet else None

    def __call__(self, event: Event) -> None:
        """Moves the bar, or says a note."""
        if isinstance(event, Noted):
            if not self._begun:
                say_once(self._console, event.text, self._said)
            return
        self._begun = self._begun or isinstance(event, Advanced)
        if self._bar is not None:
            self._bar(event)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)


def say_once(console: Console, note: str, said: set[str]) -> None:
    """A note, unless it is among those `said`."""
    if note not in said:
        said.add(note)
        say(console, f"note: {note}")


def newest(values: Mapping[str, float]) -> dict[str, float]:
    """The few that say how a training stands."""
    names = ("loss/train", "loss/validation", "accuracy/validation", "rmse/validation")
    return {name: value for name, value in values.items() if name in names}


def in_words(values: Mapping[str, float]) -> str:
    """`loss/train 0.2513  accuracy/validation 97.20 %  0.31 s`."""
    return "  ".join(number(name, value) if name.startswith("time/") else f"{name} {number(name, value)}" for name, value in values.items())


def results_table(title: str, metrics: Mapping[str, float], parts: Sequence[str] = ("train", "validation", "test")) -> Table:
    """One row a quantity, one column a part of the data; parts of which nothing is known are left out."""
    known = [part for part in parts if any(name.endswith(f"/{part}") for name in metrics)]
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for part in known:
        table.add_column(part, justify="right")
    for quantity in dict.fromkeys(name.split("/")[0] for name in metrics if name.split("/")[-1] in known):
        cells = [f"{quantity}/{part}" for part in known]
        table.add_row(
            f"{quantity} (macro)" if quantity in MACRO else quantity,
            *(number(name, metrics[name]) if name in metrics else "" for name in cells),
        )
    return table


def classes_table(names: Sequence[str], rows: Sequence[Mapping[str, float]], *, part: str) -> Table:
    """Precision, recall, F1, ROC AUC against the rest, and rows of each class."""
    table = Table(title=f"classes of the {part} part", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    for heading in ("precision", "recall", "f1", "roc_auc", "rows"):
        table.add_column(heading, justify="right")
    for name, row in zip(names, rows, strict=True):
        cells = [number(key, row[key]) if key in row else "" for key in ("precision", "recall", "f1", "roc_auc")]
        table.add_row(escape(name), *cells, str(int(row["rows"])))
    return table


def confusion_table(names: Sequence[str], counts: Sequence[Sequence[int]], *, part: str) -> Table:
    """Row = true class, column = predicted class; empty where there is none."""
    title = f"confusion of the {part} part (row: true, column: predicted)"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in names:
        table.add_column(escape(name), justify="right")
    for index, (name, row) in enumerate(zip(names, counts, strict=True)):
        cells = [f"[bold]{count}[/bold]" if index == column else str(count) if count else "" for column, count in enumerate(row)]
        table.add_row(escape(name), *cells)
    return table
