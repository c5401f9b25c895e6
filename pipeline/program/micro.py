"""The native calls of training steps, of one trial or of several together; a step may be made of micro-batches."""

# K trials, S updates, N rows of an update, B rows of a micro-batch
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from backends.contract import Feed, Memory
from pipeline.compiler.lower import Form
from pipeline.compiler.structure import Structure
from pipeline.graph.values import Array
from pipeline.rows import Streamed

Order = npt.NDArray[np.int64]


class Updated(Protocol):
    """What a program gives; `pipeline.program.Program` is one."""

    structure: Structure

    @property
    def steps_done(self) -> int:
        """Updates so far."""

    def feed(
        self,
        form: Form,
        x: Array | Streamed,
        y: Array,
        order: Order,
        weight: Array | None = None,
        first: int | None = None,
        total: int | None = None,
    ) -> Feed:
        """What the plan of `form` consumes: x [N, ...], y [N] or [N, T], order [S, B]."""

    def count_in(self, counted: Order, steps: int | None = None) -> None:
        """The updates from now on are counted in `counted` [1]."""

    def state(self) -> dict[str, Array]:
        """A copy of all that training changes: fc1.weight [I, O]."""

    def load_state(self, mapping: Mapping[str, Array]) -> None:
        """Goes back to a `state`: fc1.weight [I, O]."""


def steps(
    programs: Sequence[Updated], memory: Memory, x: Sequence[Array | Streamed], y: Array, orders: Order, weight: Array | None
) -> tuple[Array, Order]:
    """A training step of each trial of `memory` for each of orders [K, S, N] -> losses [K, S], steps done [K].

    x   the rows [N, ...] as each trial sees them: one array, or one store of which each makes its own numbers
    """
    structure = programs[0].structure
    if structure.accumulate > 1:
        return _updates(programs, memory, x, y, orders, weight)
    counted = np.zeros(len(orders), np.int64)
    executable = structure.executable("train", orders.shape[2], weight is not None)
    feeds = [program.feed("train", own, y, order, weight) for program, own, order in zip(programs, x, orders, strict=True)]
    for k, program in enumerate(programs):
        program.count_in(counted[k : k + 1])
    results = executable.run(memory, replace(together(feeds), done=counted))
    return np.asarray(results.outputs["loss"]), counted


def _updates(
    programs: Sequence[Updated], memory: Memory, x: Sequence[Array | Streamed], y: Array, orders: Order, weight: Array | None
) -> tuple[Array, Order]:
    """The same for updates of several micro-batches.

    A trial whose loss is not finite stops there, its state as before that update; the others go on.
    """
    trials, steps, _ = orders.shape
    losses, done = np.full((trials, steps), np.nan), np.zeros(trials, np.int64)
    stopped: dict[int, dict[str, Array]] = {}
    for step in range(steps):
        counted = np.zeros(trials, np.int64)
        losses[:, step] = _update(programs, memory, x, y, orders[:, step], weight, counted)
        going = (done == step) & (counted == 1)
        stopped |= {k: programs[k].state() for k in map(int, np.flatnonzero((done == step) & ~going))}
        done += going
        if not going.any():
            break
    for k, state in stopped.items():
        programs[k].load_state(state)
    return losses.astype(programs[0].structure.precision), done


def _update(
    programs: Sequence[Updated], memory: Memory, x: Sequence[Array | Streamed], y: Array, order: Order, weight: Array | None, counted: Order
) -> Array:
    """One update on the rows order [K, N] -> losses [K]; `counted` [K] says whose was made."""
    structure, (trials, rows) = programs[0].structure, order.shape
    parts, start, micro = [], 0, 0
    for form, size, count in structure.micro_batches(rows):
        executable = structure.executable(form, size, weight is not None, rows)
        taken = order[:, start : start + size * count].reshape(trials, count, size)
        feeds = [
            p.feed(form, seen, y, own, weight, p.steps_done * structure.accumulate + micro, rows)
            for p, seen, own in zip(programs, x, taken, strict=True)
        ]
        parts.append(executable.run(memory, together(feeds)).outputs["row_loss"].reshape(trials, -1))
        start, micro = start + size * count, micro + count
    made = np.concatenate(parts, axis=1)
    feeds = [p.feed("update", np.zeros((1, 1)), made.reshape(-1), k * rows + np.arange(rows)[None]) for k, p in enumerate(programs)]
    for k, program in enumerate(programs):
        program.count_in(counted[k : k + 1])
    update = structure.executable("update", rows)
    return np.asarray(update.run(memory, replace(together(feeds), done=counted)).outputs["loss"][:, 0])


def together(feeds: Sequence[Feed]) -> Feed:
    """The feeds of some trials over the same rows as one."""
    if len(feeds) == 1:
        return feeds[0]
    tables: dict[str, Any] = {name: np.concatenate([getattr(feed, name) for feed in feeds]) for name in ("values", "words", "order")}
    if feeds[0].x_order is not None:
        tables["x_order"] = np.concatenate([feed.x_order for feed in feeds if feed.x_order is not None])
    pairs = [feed.affine for feed in feeds if feed.affine is not None]
    if any(own is not pairs[0] for own in pairs):
        tables["affine"] = np.stack(pairs)
    return replace(feeds[0], **tables)
