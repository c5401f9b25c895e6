"""Trials of one structure trained together: each is the coroutine that a run alone is, and a stack does what all of them ask for.

The members go in lock step, by as many steps at a time as the one that wants fewest; where all want an evaluation, each of its own rows,
that is one call too.  Each sees only its own losses, so its schedule, validation, early stopping, checkpoints and journal are those of a
run alone, and so are its bits.  One that is over leaves the stack.
"""

# K members, S steps, B batch rows, N rows
from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import files
from pipeline.compiler.structure import Structure
from pipeline.data.prepared import Rows
from pipeline.program import inputs, together
from pipeline.program.program import Program
from pipeline.program.stack import Stack
from pipeline.records import record
from pipeline.rows import Streamed, arrays_of
from pipeline.tasks.results import Result
from pipeline.tasks.train import Ready, steps
from pipeline.training.blocks import Feed
from pipeline.training.steps import Done, Evaluation, Made, Taken, Wanted, evaluated

Array = npt.NDArray[Any]
MOST = 64  # members: more gain nothing
CALL_SECONDS = 0.1  # of the steps that are taken before anyone is asked again
SMALL = 2**24  # bytes of rows that may lie in a stack for each of many splits
BLOCK = 2**10  # rows
SHARE = 4  # the states of a stack, or its rows, take at most this part of the machine's memory


def alone_because(ready: Ready) -> str:
    """Why a training cannot be a member of a stack; empty where it can."""
    asked, train = ready.begun.experiment, ready.data.train
    if asked.backend.kind == "reference":
        return "backend.kind = reference"
    if asked.budget.seconds is not None:
        return "budget.seconds: a stack's clock is not that of a run alone"
    if isinstance(train.targets, Streamed) or (isinstance(train.x, Streamed) and (train.x.mapped or not train.x.raw)):
        return "its rows are streamed"
    return ""


def size(structure: Structure) -> int:
    """How many members a stack of this structure may have."""
    peak, free = structure.peak() or 1, structure.backend.free_bytes()
    return max(1, min(MOST, (_memory() // SHARE if free is None else free // 2) // peak))


def row_bytes(part: Rows) -> int:
    """What the rows of a training part take."""
    return arrays_of(part.x).nbytes


def rows_bytes(parts: Sequence[Rows]) -> int:
    """What the rows of these training parts take in one stack: as they are stored, or as numbers where some are."""
    distinct = {id(part.x): part for part in parts}.values()
    if _stored(distinct):
        return sum({id(array): array.nbytes for array in (arrays_of(part.x) for part in distinct)}.values())
    return sum(math.prod(part.x.shape) * part.x.dtype.itemsize for part in distinct)


def room(parts: Sequence[Rows]) -> bool:
    """Whether the rows of these training parts can lie together in one stack."""
    return len({id(part.x) for part in parts}) == 1 or rows_bytes(parts) <= _memory() // SHARE


def _memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@record
class Pool:
    """The training rows of all members: of splits that differ one after another, `starts` says where each begins.

    x   all of them [N, ...] as each member sees them
    """

    x: tuple[Array | Streamed, ...]
    y: Array
    weight: Array | None
    starts: tuple[int, ...]


def pooled(parts: Sequence[Rows], program: Program) -> Pool:
    """The training parts of the members, each once."""
    distinct = list({id(part.x): part for part in parts}.values())
    network, count = program.structure.network, sum(map(len, distinct))
    seen = {key: inputs.check_x(x, network) for key, x in _seen(distinct).items()}
    y = np.asarray(inputs.check_y(np.concatenate([np.asarray(part.targets) for part in distinct]), network, count))
    weights = [part.weight for part in distinct if part.weight is not None]
    weight = inputs.check_weight(np.concatenate(weights), count) if weights else None
    begins = dict(zip([id(part.x) for part in distinct], np.cumsum([0, *map(len, distinct)]), strict=False))
    starts = tuple(int(begins[id(part.x)]) for part in parts)
    return Pool(x=tuple(seen[id(part.x)] for part in parts), y=y, weight=weight, starts=starts)


def _seen(distinct: Sequence[Rows]) -> dict[int, Array | Streamed]:
    """All rows [N, ...] as those see them who have a part: in one store, of which each makes its own numbers, or as numbers."""
    if len(distinct) == 1:
        return {id(distinct[0].x): distinct[0].x}
    if not _stored(distinct):
        return dict.fromkeys([id(part.x) for part in distinct], _numbers([part.x for part in distinct]))
    views = [part.x for part in distinct if isinstance(part.x, Streamed)]
    stores = list({id(view.store): view.store for view in views}.values())
    begins = dict(zip(map(id, stores), np.cumsum([0, *map(len, stores)]), strict=False))
    places = [begins[id(view.store)] + (np.arange(len(view)) if view.rows is None else view.rows) for view in views]
    store, rows = stores[0] if len(stores) == 1 else np.concatenate(stores), np.concatenate(places)
    return {id(view): replace(view, store=store, rows=rows) for view in views}


def _stored(distinct: Collection[Rows]) -> bool:
    """Whether all rows wait in one form, for as many shifts and factors, so that one gather makes the numbers of each."""
    forms = {
        (part.x.store.dtype, part.x.pairs.shape) if isinstance(part.x, Streamed) and part.x.pairs is not None else None for part in distinct
    }
    return len(forms) == 1 and None not in forms


def _numbers(parts: Sequence[Array | Streamed]) -> Array:
    """Rows one after the other [N, ...]; what waits as bytes is made into numbers, block by block, as the gather would make it."""
    made = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    first = 0
    for part in parts:
        for start in range(0, len(part), BLOCK):
            rows = part[start : start + BLOCK]
            made[first + start : first + start + len(rows)] = rows
        first += len(part)
    return made


@dataclass(eq=False)
class Member:
    """One training in a stack: what it wants done next, and in the end what came of it, which `over` is told.

    x, start   the rows of all members [N, ...] as it sees them, and where its own begin
    feed       the steps that it wants taken;  rows: what it wants evaluated before that;  neither: it is over
    """

    ready: Ready
    program: Program
    x: Array | Streamed
    start: int
    over: Callable[[Result | None, BaseException | None], None]
    feed: Feed | None = None
    rows: Evaluation | None = None
    _steps: Generator[Wanted, Done, Result] | None = None
    _end: tuple[Result | None, BaseException | None] | None = None

    def begin(self) -> None:
        """To its first steps."""
        self._steps = steps(self.ready, self.program)
        self.go_on(None)

    def go_on(self, done: Done | Exception | None) -> None:
        """Tells it what came of what it wanted; it then wants something else, or is over."""
        assert self._steps is not None
        self.feed = self.rows = None
        try:
            if isinstance(done, Exception):
                wanted = self._steps.throw(done)
            else:
                wanted = next(self._steps) if done is None else self._steps.send(done)
            self.feed, self.rows = (wanted, None) if isinstance(wanted, Feed) else (None, wanted)
        except StopIteration as end:
            self._end = end.value, None
        except (Exception, KeyboardInterrupt) as error:
            self._end = None, error

    def tell(self) -> None:
        """Tells its end, once."""
        if self._end is not None:
            end, self._end = self._end, None
            self.over(*end)

    def close(self) -> None:
        """Ends it where it stands."""
        if self._steps is not None:
            self._steps.close()


def train_together(stack: Stack, members: Sequence[Member], pool: Pool) -> None:
    """Trains the members of `stack`, whose programs they have in order, to the end of each."""
    of = {id(member.program): member for member in members}
    most = 1
    try:
        with _told(members):
            for member in members:
                member.begin()
            _evaluate(stack, members)
        while stack.members:
            active = [of[id(program)] for program in stack.members]
            taken, each = _steps(stack, active, pool, most)
            most = max(1, min(int(CALL_SECONDS / each), 8 * most))
            with _told(active):
                for member, own in zip(active, taken, strict=True):
                    member.go_on(own)
                _evaluate(stack, active)
    finally:
        for member in members:
            member.close()


@contextmanager
def _told(members: Sequence[Member]) -> Iterator[None]:
    """What members write within it comes to the disk together, and only then is told which of them are over."""
    try:
        with files.synced_together():
            yield
    finally:
        for member in members:
            member.tell()


def _steps(stack: Stack, active: Sequence[Member], pool: Pool, most: int) -> tuple[list[Taken], float]:
    """Lets every member take as many steps as all of them want, at most so many -> what came of them, seconds of a step of all."""
    wanted = [member.feed.order + member.start for member in active if member.feed is not None]
    count = min([most, *map(len, wanted)])
    orders = np.stack([order[:count] for order in wanted])
    start = time.perf_counter()
    losses, done = stack.take([member.x for member in active], pool.y, orders, pool.weight)
    seconds = max(time.perf_counter() - start, 1e-9)
    taken = []
    for member, order, row, own in zip(active, orders, losses, done, strict=True):
        error = None
        if own < count:
            error = member.program.diverged(member.x, pool.y, order[own], pool.weight, losses=row[:own])
        taken.append(Taken(losses=row[:own], seconds=seconds / len(active), error=error))
    return taken, seconds / count


def _evaluate(stack: Stack, members: Sequence[Member]) -> None:
    """Evaluates what the members want evaluated, until each wants steps or is over; who is over leaves."""
    while asking := [member for member in members if member.rows is not None]:
        for member, made in zip(asking, _made(stack, asking), strict=True):
            member.go_on(made)
    for member in members:
        if member.feed is None and member.program in stack.members:
            stack.leave(member.program)


def _made(stack: Stack, asking: Sequence[Member]) -> Iterator[Made | Exception]:
    """What comes of the evaluation of each: all at once where all members of the stack ask for one, and their rows have room together."""
    wanted = [member.rows for member in asking if member.rows is not None]
    if [member.program for member in asking] == stack.members and len(asking) > 1 and together.fits(wanted, stack.programs[0].structure):
        yield from stack.evaluate(wanted)
        return
    for member, rows in zip(asking, wanted, strict=True):
        try:
            yield evaluated(member.program, rows)
        except Exception as error:  # as in a run alone, it ends this one
            yield error
