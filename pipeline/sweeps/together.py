"""Which trials train together: those of one structure, as many as memory has room for; the others alone, and it is said why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from backends import load
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import BackendSettings
from pipeline.errors import ConfigError, complain
from pipeline.program.make import load_backend, stacked
from pipeline.records import record
from pipeline.screen.console import console_for
from pipeline.sweeps import stacks
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.expected import Expected, expected, in_all, of_all, of_the_rest
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.objective import check_measured
from pipeline.sweeps.stacks import Member
from pipeline.tasks import train
from pipeline.tasks.results import Result
from pipeline.tasks.train import Ready
from pipeline.tracking.settings import Tracking
from pipeline.training.events import Event
from pipeline.training.interrupt import Interrupt
from pipeline.training.progress import Bar

if TYPE_CHECKING:
    from backends.contract import Backend

Kind = tuple[BackendSettings, str]


@record
class Opened:
    """A trial whose data are there, and the structure of its program."""

    trial: Trial
    ready: Ready
    structure: Structure

    @property
    def kind(self) -> Kind:
        """What the members of a stack have in common."""
        return self.ready.begun.experiment.backend, self.structure.digest


@record
class Alone:
    """A trial that can be no member of a stack, and why."""

    trial: Trial
    why: str


@record
class Share:
    """Trials that one process can train together, the bytes they take, 0 where that is not known, and how long; of those alone, why."""

    trials: tuple[Trial, ...]
    memory: int = 0
    expected: Expected = Expected(why="its time is not estimated")
    why: str = ""


class Around:
    """What trials that train together share: the signal that stops them, the console, the bar that shows the first that still trains."""

    def __init__(self, interrupt: Interrupt) -> None:
        self.interrupt, self.console = interrupt, console_for()
        self._bar: Bar | None = None
        self._training: list[str] = []

    def watch(self, trial: Trial) -> Callable[[Event], None]:
        """Takes the events of a trial."""

        def watched(event: Event) -> None:
            if self._bar is not None and self._training and self._training[0] == trial.name:
                self._bar(event)

        return watched

    def over(self, trial: Trial) -> None:
        """It trains no more."""
        if trial.name in self._training:
            self._training.remove(trial.name)

    @contextmanager
    def shown(self, trials: Sequence[Trial]) -> Iterator[None]:
        """While these train."""
        if not self.console.is_terminal:
            yield
            return
        self._training = [trial.name for trial in trials]
        with Bar(self.console, job=f"{len(trials)} trials") as self._bar:
            yield
        self._bar = None


def run_together(doing: Doing, trials: Sequence[Trial]) -> Iterator[JobResult]:
    """Trains the trials, in stacks where they can, whatever becomes of each."""
    compiled: dict[Kind, Structure] = {}
    with Interrupt() as interrupt, doing.asked_by(interrupt):
        around = Around(interrupt)
        over = 0
        for made in _windows(doing, trials, around):
            over += len(made) if isinstance(made, list) else 1
            if not isinstance(made, list):
                result = made if isinstance(made, JobResult) else _alone(doing, made)
                yield result
                if interrupt() or isinstance(result.error, KeyboardInterrupt):
                    return
                if isinstance(made, Alone) and doing.left is not None:
                    doing.tell_time(of_the_rest(result.seconds, doing.left - over))
                continue
            groups = list(_groups(made))
            for group in groups:
                group[0] = replace(group[0], structure=compiled.setdefault(group[0].kind, group[0].structure))
            if doing.left is not None:
                doing.tell_time(of_all(in_all(list(map(_expected, groups))), len(made), doing.left - over + len(made)))
            for group in groups:
                yield from _trained(doing, group[0].structure, group, around)
                if interrupt():
                    return


def shares(doing: Doing, trials: Sequence[Trial], *, among: int = 1) -> Iterator[Share | JobResult]:
    """The stacks that the trials make, none larger than where `among` processes share its structure; what came of a trial refused."""
    for made in _windows(doing, trials, Around(Interrupt()), runs=False):
        if isinstance(made, JobResult):
            yield made
        elif isinstance(made, Alone):
            yield Share(trials=(made.trial,), why=made.why)
        else:
            for group in _groups(made, among=among):
                yield Share(
                    trials=tuple(one.trial for one in group),
                    memory=len(group) * (group[0].structure.peak() or 0) + _rows(group),
                    expected=_expected(group),
                )
            for one in made:
                train.close(one.ready)


def show_together(doing: Doing, trials: Sequence[Trial]) -> list[JobResult]:
    """Says how the trials would be run, and runs none -> what is said of those that could not be."""
    refused: list[JobResult] = []
    parts, count = list[Expected](), 0
    for made in _windows(doing, trials, Around(Interrupt()), runs=False):
        if isinstance(made, JobResult):
            refused.append(made)
        if isinstance(made, Alone):
            print(f"1 trial trains alone, {made.why}: job {made.trial.context.job}", flush=True)
        for group in _groups(made) if isinstance(made, list) else []:
            first = group[0].structure
            room = f"{len(group) * (first.peak() or 0) / 2**20:,.1f} MiB, their rows {_rows(group) / 2**20:,.1f} MiB"
            parts.append(_expected(group))
            count += len(group)
            print(f"{_said(len(group))}, structure {first.digest}: {room}; {parts[-1]}: {_jobs(group)}", flush=True)
    if len(parts) > 1:
        print(of_all(in_all(parts), count, count), flush=True)
    return refused


def _expected(group: Sequence[Opened]) -> Expected:
    """What is left of them; those that a search may stop at a rung are taken to their end."""
    members = [(one.ready.begun.experiment, one.ready.data, one.ready.begun.found) for one in group]
    found = expected(group[0].structure, members)
    return replace(found, most=found.most or any(one.trial.until is not None for one in group))


def _rows(group: Sequence[Opened]) -> int:
    """The bytes of their rows, those of one split once."""
    return stacks.rows_bytes([one.ready.data.train for one in group])


def _windows(doing: Doing, trials: Sequence[Trial], around: Around, *, runs: bool = True) -> Iterator[list[Opened] | Alone | JobResult]:
    """As many trials at a time as have room for their rows, ready to train; those that train alone; what came of those that failed."""
    structures = Structures()
    left, opened, count = list(trials), list[Opened](), min(stacks.MOST, len(trials))
    while left:
        made = _opened(doing, left.pop(0), structures, around, runs=runs, count=count)
        if not isinstance(made, Opened):
            yield made
            continue
        if doing.judged is not None:
            asked, data = made.ready.begun.experiment.training, made.ready.data.dataset
            try:
                check_measured(doing.judged, asked, data)
            except ConfigError:
                train.close(made.ready)
                raise
            doing.judged = None
        if not opened and stacks.row_bytes(made.ready.data.train) > stacks.SMALL:
            left.sort(key=lambda trial: _split(trial) != _split(made.trial))  # rows that are many are shared by those of one split
        if opened and (len(opened) == stacks.MOST or not stacks.room([one.ready.data.train for one in (*opened, made)])):
            yield opened
            opened = []
        opened.append(made)
    if opened:
        yield opened


def _split(trial: Trial) -> tuple[object, ...]:
    asked = trial.experiment
    return asked.data, asked.seed, asked.preprocessing, asked.precision


def _groups(opened: Sequence[Opened], *, among: int = 1) -> Iterator[list[Opened]]:
    """Those of one structure, as many as memory has room for, in as many parts as there are processes for them."""
    kinds: dict[Kind, list[Opened]] = {}
    for one in opened:
        kinds.setdefault(one.kind, []).append(one)
    for group in kinds.values():
        most = min(stacks.size(group[0].structure), -(-len(group) // among))
        for first in range(0, len(group), most):
            yield group[first : first + most]


def _said(count: int) -> str:
    return f"{count} trials train together, as one program" if count > 1 else "1 trial trains alone"


def _jobs(group: Sequence[Opened]) -> str:
    numbers = [str(one.trial.context.job) for one in group]
    return f"job{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


class Structures:
    """The structures of trials: one for all that differ in their seed and in where they are kept, which no structure depends on.

    Trials of equal settings have one backend, and with `auto` those of one structure.
    """

    def __init__(self) -> None:
        self._backends: dict[Kind, tuple[Backend, str]] = {}
        self._made: dict[str, Structure] = {}

    def of(self, ready: Ready, count: int) -> Structure:
        """That of a training in a stack of `count` at most.  Raises ConfigError, BackendError."""
        asked, shape = ready.begun.experiment, ready.data.shape
        known = repr((replace(asked, seed=0, resume=None, output=None, tracking=Tracking(kind="none")), shape))
        if known in self._made:
            return self._made[known]
        key = asked.backend, ""
        if asked.backend.kind == "auto":
            key = asked.backend, Structure(replace(asked, backend=BackendSettings()), shape, load("numpy")).digest
        if key not in self._backends:
            self._backends[key] = load_backend(asked, shape, trials=count)
        self._made[known] = Structure(asked, shape, *self._backends[key])
        return self._made[known]


def _opened(doing: Doing, trial: Trial, structures: Structures, around: Around, *, runs: bool, count: int) -> Opened | Alone | JobResult:
    """A trial ready for a stack of `count` at most; why it cannot be in one; what came of it where it failed."""
    experiment, context = doing.asked(trial)
    if not runs:
        experiment = replace(experiment, tracking=Tracking(kind="none"))  # no sender is started for nothing
    try:
        context = replace(context, interrupt=around.interrupt, watch=around.watch(trial))
        ready = train.opened(experiment, context, console=around.console)
        if why := stacks.alone_because(ready):
            train.close(ready)
            return Alone(trial=trial, why=why)
        return Opened(trial=trial, ready=ready, structure=structures.of(ready, count))
    except (Exception, KeyboardInterrupt) as error:
        return doing.over(trial, None, error)


def _alone(doing: Doing, alone: Alone) -> JobResult:
    if alone.why not in doing.said:
        doing.said.add(alone.why)
        complain(f"note: trials run one by one: {alone.why}")
    return doing.run_alone(alone.trial)


def _trained(doing: Doing, structure: Structure, group: Sequence[Opened], around: Around) -> list[JobResult]:
    """One stack, from its first step to the end of its last member."""
    results: list[JobResult] = []
    if len(group) > 1:
        print(_said(len(group)), flush=True)
    experiments = [one.ready.begun.experiment for one in group]
    stack = stacked(structure, experiments, [one.structure for one in group])
    pool = stacks.pooled([one.ready.data.train for one in group], stack.programs[0])
    members = []
    for one, program, x, start in zip(group, stack.programs, pool.x, pool.starts, strict=True):

        def over(value: Result | None, error: BaseException | None, trial: Trial = one.trial) -> None:
            around.over(trial)
            results.append(doing.over(trial, value, error))

        members.append(Member(ready=one.ready, program=program, x=x, start=start, over=over))
    try:
        with around.shown([one.trial for one in group]):
            stacks.train_together(stack, members, pool)
    finally:
        for one in group:
            train.close(one.ready)
    return results
