"""What another process is asked to do, and how it does it: some trials, a journal of their own, and nothing else that is shared.

An order is text (JSON), so that it goes through a pipe, a scheduler or a cluster alike.  Whoever has it trains its trials in their run
folders and writes into the journal of the order what becomes of them and what is said; the process that gave it reads that journal.  An
order that is done again, after a death or a preemption, goes on where the journal ends.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.config.spec import experiment
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import PipelineError, sentence
from pipeline.extend.load import use
from pipeline.records import record
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.engines import local
from pipeline.sweeps.jobs import Trial
from pipeline.sweeps.journal import SweepJournal
from pipeline.tasks.context import RunContext, Senders
from pipeline.tasks.shelf import Shelf
from pipeline.tracking.outbox import Sender
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store
from pipeline.training.interrupt import stopping


@record
class Order:
    """Trials for one process.

    project   the folder that paths count from
    folder    of the sweep; file, the journal of the order in it
    sweep     the id of the sweep
    stack     whether its trials train together
    trials    job, trial, overrides, varied, plain config of each, and the epoch after which it pauses
    cores     those that it may use; none: all there are
    memory    bytes that it is expected to take, 0 where that is not known
    gpus      devices that it needs
    modules   the extensions that its trials use, which the user allowed; paths, where Python finds them
    """

    project: str
    folder: str
    file: str
    sweep: str
    stack: bool
    trials: tuple[Mapping[str, Any], ...]
    cores: tuple[int, ...] = ()
    memory: int = 0
    gpus: int = 0
    modules: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Its journal."""
        return Path(self.folder) / self.file

    def text(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))


def order_of(text: str) -> Order:
    """The order that `text` is."""
    given: Any = json.loads(text)
    lists: Any = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Order(**{**given, **lists})


def asked_of(trial: Trial) -> dict[str, Any]:
    """A trial as an order has it."""
    context = trial.context
    own = {"overrides": list(context.overrides), "varied": list(context.varied)}
    return {"job": context.job, "trial": trial.name, **own, "plain": trial.plain, "until": trial.until}


def do(order: Order, *, apart: bool = True) -> bool:
    """Trains the trials of an order that are not over -> whether all are now.

    apart  what is said goes into its journal: it is another process than the one that reads that
    Raises RunError where another process has the order, Stopped where a signal ends it early.
    """
    with (
        contextlib.chdir(order.project),
        contextlib.closing(SweepJournal(Path(order.folder), project=Path(order.project), file=order.file)) as journal,
        _spoken(journal) if apart else contextlib.nullcontext(),
        stopping(),
    ):
        if not _ready(order, journal):
            return True
        shelf = Shelf()
        trials = [trial_of(given, order, Elsewhere(), shelf) for given in order.trials]
        left = [trial for trial in trials if journal.ends.get(trial.name, {"status": "killed"})["status"] == "killed"]
        doing = Doing(journal, failed=_with_its_traceback)
        for result in local.run(doing, left, SweepSettings(stack=order.stack)):
            if isinstance(result.error, KeyboardInterrupt):
                raise result.error
        return all(journal.ends.get(trial.name, {"status": "killed"})["status"] != "killed" for trial in trials)


def _ready(order: Order, journal: SweepJournal) -> bool:
    """Whether the extensions of the order are there; where they are not, its trials are over, and it is said why."""
    sys.path.extend(path for path in order.paths if path not in sys.path)
    try:
        use(order.modules)
    except PipelineError as error:
        for given in order.trials:
            journal.end(given["trial"], "failed", {}, sentence(error))
        return False
    return True


def trial_of(given: Mapping[str, Any], order: Order, senders: Senders | None, shelf: Shelf | None = None) -> Trial:
    """One of the trials of an order."""
    context = RunContext(
        sweep=order.sweep,
        job=given["job"],
        overrides=tuple(given["overrides"]),
        varied=tuple(given["varied"]),
        senders=senders,
        shelf=shelf,
    )
    plain = given["plain"]
    asked, began = experiment(plain), time.perf_counter()
    return Trial(context=context, experiment=asked, plain=plain, name=given["trial"], began=began, until=given["until"])


def _with_its_traceback(trial: Trial, error: BaseException) -> None:
    """The line about a failure is said by who reads the journal; where it is a mistake of ours, it has a traceback."""
    if not isinstance(error, (PipelineError, OSError)):
        traceback.print_exception(error)


class Elsewhere(Senders):
    """Another process sends what these runs write."""

    def get(self, settings: Tracking, project: Path) -> Sender:
        """One that sends nothing."""
        return _Silent(project, None)


class _Silent(Sender):
    def add(self, folder: Path, store: Store) -> None:
        """It is in the care of another."""


@contextlib.contextmanager
def _spoken(journal: SweepJournal) -> Iterator[None]:
    """While entered, what is printed goes into the journal, line by line."""
    out = _Lines(lambda line: journal.write("said", text=line))
    err = _Lines(lambda line: journal.write("said", text=line, error=True))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
    for lines in (out, err):
        lines.end()


class _Lines(io.TextIOBase):
    """Text that is written, as whole lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take, self._rest = take, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)

    def end(self) -> None:
        """The last line, where it is not whole."""
        if self._rest:
            self._take(self._rest)
            self._rest = ""
