"""Trials of one structure run as one program."""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.contract import Memory
from pipeline.graph.values import Array
from pipeline.program import inputs
from pipeline.program.program import Program


class Stack:
    """K programs over one memory; `programs[k]` is trial k with the whole interface of a program."""

    def __init__(self, programs: Sequence[Program], memory: Memory) -> None:
        self.programs, self._memory = tuple(programs), memory

    def __repr__(self) -> str:
        return (
            f"<Stack of {len(self.programs)}: {self.programs[0]!r}, ...>"
            if len(self.programs) > 1
            else f"<Stack of 1: {self.programs[0]!r}>"
        )

    def __getstate__(self) -> list[Any]:
        """What a copy is given after it is compiled."""
        return [program.__getstate__() for program in self.programs]

    def __setstate__(self, given: list[Any]) -> None:
        for program, own in zip(self.programs, given, strict=True):
            program.__setstate__(own)

    def run(self, x: npt.ArrayLike, y: npt.ArrayLike, orders: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Array:
        """One optimizer step of every trial for each of orders [K, S, B], in one native call -> losses [K, S].

        A trial whose loss is not finite stops there, its state as before that step, and its further losses are NaN; the others go on.
        """
        first = self.programs[0]
        given = np.asarray(inputs.check_x(x, first.structure.network))
        targets = np.asarray(inputs.check_y(y, first.structure.network, len(given)))
        wanted = inputs.check_order(orders, len(given), axes=(str(len(self.programs)), "steps", "batch"))
        inputs.check_trials(wanted, len(self.programs))
        inputs.check_finite(given, targets, wanted)
        weight = None if sample_weight is None else inputs.check_weight(sample_weight, len(given))
        feeds = [program.feed("train", given, targets, order, weight) for program, order in zip(self.programs, wanted, strict=True)]
        values, words = (np.concatenate([getattr(feed, name) for feed in feeds]) for name in ("values", "words"))
        executable = first.structure.executable("train", wanted.shape[2], weight is not None)
        results = executable.run(self._memory, replace(feeds[0], order=wanted, values=values, words=words))
        losses = np.array(results.outputs["loss"])
        for program, done, row in zip(self.programs, results.done, losses, strict=True):
            program.trained_by_stack(int(done))
            row[int(done) :] = np.nan
        return losses
