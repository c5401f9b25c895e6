"""What the user sees of a training: a line an epoch, in a terminal with a bar below, in a notebook one line; and the log of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from pipeline.screen.console import say, say_once
from pipeline.screen.page import in_notebook
from pipeline.screen.wording import fitting, in_words, newest
from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Started

MOST_LINES, SILENCE = 50, 5.0  # epochs of which each gets a line; seconds without one
FIRST, PACE = 10, 1.0  # epochs that each get a line where their number is not known, and then a line in so many seconds
SHORTEST = 0.1  # seconds between two changes of a line


class Display(Protocol):
    """Takes the events of one training; a context manager that leaves the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Shows `event`, or passes over it."""

    def __enter__(self) -> Self:
        """Before the first event."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """After the last one, also when training failed."""


def display(console: Console, *, job: str = "", said: set[str] | None = None, bar: bool = True) -> Display:
    """A bar on a terminal, plain lines elsewhere; of a job of a sweep, whose notes so far are `said`, less; bar: may show one."""
    if said is not None:
        return Job(console, job, said, bar=bar)
    if in_notebook() and not console.quiet:
        return Cell(console)
    return Bar(console) if console.is_terminal and not console.quiet else Lines(console)


class Epochs:
    """The lines of a training: one an epoch; of more than MOST_LINES epochs, the first, one every so many, and one after some silence.

    Of an unknown number the first few, and then one a second.
    """

    def __init__(self, say: Callable[[str], None], *, width: int | None = None) -> None:
        """width: of a line; what does not fit is left out."""
        self._say, self._width = say, width
        self._epochs: int | None = None
        self._every = 1
        self._said = 0.0

    def __call__(self, event: Event) -> None:
        """Says an epoch's end or a note."""
        if isinstance(event, Started):
            self._epochs = event.epochs
            self._every = -(-(event.epochs or 1) // MOST_LINES)
        elif isinstance(event, Noted):
            self._say(f"note: {event.text}")
        elif isinstance(event, EpochEnded) and self._is_due(event.epoch):
            self._said = time.monotonic()
            number = f"{event.epoch}" if self._epochs is None else f"{event.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            begun = f"epoch {number}  "
            values = event.values if self._width is None else fitting(event.values, self._width - len(begun))
            self._say(f"{begun}{in_words(values)}")

    def _is_due(self, epoch: int) -> bool:
        silence = time.monotonic() - self._said
        if self._epochs is None:  # nobody knows how many there will be
            return epoch <= FIRST or silence > PACE
        return epoch == 1 or epoch % self._every == 0 or epoch == self._epochs or silence > SILENCE


class Lines:
    """The lines in a pipe."""

    def __init__(self, console: Console) -> None:
        self._console, self._epochs = console, Epochs(lambda text: say(console, text))

    def __call__(self, event: Event) -> None:
        """Shows an epoch's end or a note."""
        self._epochs(event)
        if isinstance(event, EpochEnded):
            self._console.file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._console.file.flush()


class Cell:
    """One line below the cell of a notebook, which says what the newest epoch made; notes stand above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line: Any = None
        self._shown = 0.0
        self._epochs = ""
        self._text = ""

    def __call__(self, event: Event) -> None:
        """Changes the line at the end of an epoch, ten times a second at most."""
        if isinstance(event, Started):
            self._epochs = "" if event.epochs is None else f"/{event.epochs}"
        elif isinstance(event, Noted):
            say(self._console, f"note: {event.text}")
        elif isinstance(event, EpochEnded):
            self._text = f"epoch {event.epoch}{self._epochs}  {in_words(event.values)}"
            if time.monotonic() - self._shown > SHORTEST:
                self._show()

    def _show(self) -> None:
        from IPython.display import display as shown  # noqa: PLC0415  # there is a notebook

        told = {"text/plain": self._text}
        if self._line is None:
            self._line = shown(told, raw=True, display_id=True)
        else:
            self._line.update(told, raw=True)
        self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._text:
            self._show()


class Bar:
    """A bar over all steps with the newest metrics beside it, below a line for each epoch; of a job of a sweep it leaves nothing behind."""

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
        self._lines: Callable[[Event], None] = (lambda event: None) if job else Epochs(lambda text: say(console, text), width=console.width)
        self._task: TaskID | None = None
        self._steps = 1

    def __call__(self, event: Event) -> None:
        """Moves the bar, below the lines."""
        self._lines(event)
        if isinstance(event, Started):
            self._steps = event.steps_per_epoch
            done = event.epoch * self._steps + event.step
            of = "" if event.epochs is None else f"/{event.epochs}"
            self._task = self._progress.add_task("", total=event.total, completed=done, epoch=event.epoch, epochs=of, job=self._job)
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
    """A job of a sweep, which ends in one line: a bar meanwhile on a terminal, the notes before its first step that are new, grave ones."""

    def __init__(self, console: Console, job: str, said: set[str], *, bar: bool = True) -> None:
        self._console, self._job, self._said, self._begun = console, job, said, False
        self._bar = Bar(console, job=job) if bar and console.is_terminal and not console.quiet else None

    def __call__(self, event: Event) -> None:
        """Moves the bar, or says a note."""
        if isinstance(event, Noted):
            if event.grave:
                say(self._console, f"note: {self._job}: {event.text}")
            elif not self._begun:
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
