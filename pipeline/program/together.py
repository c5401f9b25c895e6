"""Evaluations of the members of a stack in native calls for all of them, each on rows of its own.

The rows of all lie one after the other, and each member gathers its own; a row's values are the same to the bit however it is reached.
"""

# K members, S steps, B batch rows, N rows of all
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from backends.contract import Feed, Memory
from pipeline.compiler.lower import Form
from pipeline.compiler.structure import Structure
from pipeline.graph.values import Array
from pipeline.program import inputs, micro
from pipeline.program.steps import Pace, in_steps
from pipeline.records import record
from pipeline.rows import known_finite
from pipeline.training.steps import Evaluation, Made

if TYPE_CHECKING:
    from pipeline.program.program import Program

CHUNK = 64  # steps in one native call, at most
SMALL, WORD = 2**24, 8  # bytes of all rows and predictions: where there are more, each evaluation is long enough for a call of its own


@record
class Pool:
    """The rows that the members want evaluated: x [N, ...] and y of all, of which each has `counts` from `starts` on."""

    wanted: tuple[Evaluation, ...]
    x: Array
    y: Array
    starts: tuple[int, ...]
    counts: tuple[int, ...]


def fits(wanted: Sequence[Evaluation], structure: Structure) -> bool:
    """Whether these can be evaluated together: rows in memory, few of them, few predictions."""
    arrays = [part for rows in _distinct(wanted).values() for part in (rows.x, rows.y)]
    made = len(wanted) * max(len(rows.x) for rows in wanted) * math.prod(structure.network.output.shape) * WORD
    return all(isinstance(part, np.ndarray) for part in arrays) and made + sum(np.asarray(part).nbytes for part in arrays) <= SMALL


def _distinct(wanted: Sequence[Evaluation]) -> dict[tuple[int, int], Evaluation]:
    return {(id(rows.x), id(rows.y)): rows for rows in wanted}


def pooled(wanted: Sequence[Evaluation], structure: Structure) -> Pool:
    """The rows of all, those that several want once.  Raises DataError."""
    distinct = _distinct(wanted)
    checked = []
    for rows in distinct.values():
        x, y = inputs.check_x(rows.x, structure.network), inputs.check_y(rows.y, structure.network, len(rows.x))
        inputs.check_finite(x, y)
        checked.append((np.asarray(x), np.asarray(y)))
    begins = dict(zip(distinct, np.cumsum([0, *(len(x) for x, _ in checked)]), strict=False))
    return Pool(
        wanted=tuple(wanted),
        x=known_finite(np.concatenate([x for x, _ in checked])),
        y=np.concatenate([y for _, y in checked]),
        starts=tuple(int(begins[id(rows.x), id(rows.y)]) for rows in wanted),
        counts=tuple(len(rows.x) for rows in wanted),
    )


def evaluate(members: Sequence[Program], memory: Memory, pool: Pool, pace: Pace) -> list[Made]:
    """What `Program.evaluate` makes of the rows of each of `members`, whose `memory` it is."""
    structure, most = members[0].structure, max(pool.counts)
    if any(member.needs_fold for member in members):
        structure.executable("fold", 1).run(memory, _feed("fold", members, pool, np.zeros((len(members), 1, 1), np.int64)))
        for member in members:
            member.was_folded()
    batch = structure.evaluation_rows(most)
    executable, steps = structure.executable("evaluate", batch, False), in_steps(most, batch)
    orders = np.stack([np.where(steps < count, steps, 0) + start for start, count in zip(pool.starts, pool.counts, strict=True)])
    made: list[tuple[Array, Array]] = []
    for part in pace.cuts(("evaluate", batch, len(members)), len(steps), most=CHUNK):
        outputs = executable.run(memory, _feed("evaluate", members, pool, orders[:, part])).outputs
        made.append((outputs["prediction"], outputs["row_loss"]))
    prediction, row_loss = (np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0] for parts in zip(*made, strict=True))
    results = []
    for k, (member, rows, count, start) in enumerate(zip(members, pool.wanted, pool.counts, pool.starts, strict=True)):
        own = row_loss[k].reshape(-1)[:count].astype(np.float64, copy=False)
        own = inputs.weighed(own, pool.y[start : start + count], member.class_weights, rows.weight)
        results.append((prediction[k].reshape(-1, *prediction.shape[3:])[:count], own))
    return results


def _feed(form: Form, members: Sequence[Program], pool: Pool, orders: npt.NDArray[np.int64]) -> Feed:
    """What `form` consumes for all members: orders [K, S, B]."""
    first = members[0].feed(form, pool.x, pool.y, orders[0])
    if first.values.size or first.words.size:
        return micro.together([member.feed(form, pool.x, pool.y, order) for member, order in zip(members, orders, strict=True)])
    none = len(members), *first.values.shape[1:]
    return replace(first, order=orders, values=np.empty(none), words=np.empty(none, np.uint32))
