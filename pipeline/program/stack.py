"""Trials of one structure run as one program."""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.contract import Memory
from pipeline.graph.values import Array
from pipeline.program import inputs, micro, together
from pipeline.program.program import Program
from pipeline.program.shown import layers_table
from pipeline.program.steps import Pace
from pipeline.rows import Streamed
from pipeline.training.steps import Evaluation, Made

POOLS = 4  # of rows that were put together for an evaluation: each epoch asks for the same ones


class Stack:
    """K programs over one memory; `programs[k]` is trial k with the whole interface of a program.

    members   those that still train, in the order of their places in the memory
    """

    def __init__(self, programs: Sequence[Program], memory: Memory) -> None:
        self.programs, self._memory, self._pace = tuple(programs), memory, Pace()
        self.members = list(programs)
        self._pools: dict[tuple[int, ...], together.Pool] = {}

    def __repr__(self) -> str:
        return (
            f"<Stack of {len(self.programs)}: {self.programs[0]!r}, ...>"
            if len(self.programs) > 1
            else f"<Stack of 1: {self.programs[0]!r}>"
        )

    def _repr_html_(self) -> str:
        count = len(self.programs)
        return layers_table(repr(self), self.programs[0].layers, after=f"{count} trials of this structure, run as one program")

    def __getstate__(self) -> list[Any]:
        """What a copy is given after it is compiled."""
        return [program.__getstate__() for program in self.programs]

    def __setstate__(self, given: list[Any]) -> None:
        for program, own in zip(self.programs, given, strict=True):
            program.__setstate__(own)

    def run(self, x: npt.ArrayLike, y: npt.ArrayLike, orders: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Array:
        """One optimizer step of every trial for each of orders [K, S, B], in native calls of a tenth of a second -> losses [K, S].

        A trial whose loss is not finite stops there, its state as before that step, and its further losses are NaN; the others go on.
        """
        first = self.programs[0]
        given = np.asarray(inputs.check_x(x, first.structure.network))
        targets = np.asarray(inputs.check_y(y, first.structure.network, len(given)))
        wanted = inputs.check_order(orders, len(given), axes=(str(len(self.programs)), "steps", "batch"))
        inputs.check_trials(wanted, len(self.programs))
        inputs.check_finite(given, targets, wanted)
        weight = None if sample_weight is None else inputs.check_weight(sample_weight, len(given))
        losses = np.full(wanted.shape[:2], np.nan)
        going = np.ones(len(wanted), bool)
        for part in self._pace.cuts(wanted.shape[2:], wanted.shape[1]):
            made, done = self._steps(given, targets, wanted[:, part], weight, going)
            losses = losses.astype(made.dtype, copy=False)
            for trial in np.flatnonzero(going):
                losses[trial, part.start : part.start + done[trial]] = made[trial, : done[trial]]
            going &= done == part.stop - part.start
            if not going.any():
                break
        return losses

    def _steps(
        self, x: Array, y: Array, orders: npt.NDArray[np.int64], weight: Array | None, going: npt.NDArray[np.bool_]
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        """One call -> losses [K, S], completed steps [K].  Of a trial that is not `going` any more the state stays as it is."""
        with self.programs[0].access:
            kept = {trial: self.programs[trial].state() for trial in np.flatnonzero(~going)}
            made, counted = micro.steps(self.programs, self._memory, [x] * len(self.programs), y, np.ascontiguousarray(orders), weight)
            for trial, state in kept.items():
                self.programs[trial].load_state(state)
        return made, counted

    def take(self, x: Sequence[Array | Streamed], y: Array, orders: npt.NDArray[np.int64], weight: Array | None) -> tuple[Array, Array]:
        """One call for the members, a step for each of orders [K, S, B] -> losses [K, S], steps done [K].

        x   the rows [N, ...], known to fit, as each member sees them: one array, or one store of which each makes its own numbers
        """
        with self.members[0].access:
            return micro.steps(self.members, self._memory.part(0, len(self.members)), x, y, orders, weight)

    def evaluate(self, wanted: Sequence[Evaluation]) -> list[Made]:
        """What `Program.evaluate` makes of the rows of each member, in calls for all of them."""
        key = tuple(place for rows in wanted for place in (id(rows.x), id(rows.y)))  # the pool keeps them, so no other has their place
        if key not in self._pools:
            if len(self._pools) == POOLS:
                self._pools.clear()
            self._pools[key] = together.pooled(wanted, self.programs[0].structure)
        with self.members[0].access:
            return together.evaluate(self.members, self._memory.part(0, len(self.members)), self._pools[key], self._pace)

    def leave(self, member: Program) -> None:
        """The member is done: the last one takes its place, so that those that train lie together.  It must not be used any more."""
        place, last = self.members.index(member), len(self.members) - 1
        if place < last:
            self._memory.move(last, place)
            self.members[last].moved(place)
            self.members[place] = self.members[last]
        self.members.pop()
