"""Runs a plan trial by trial, step by step, call by call."""

# K trials, S steps, B batch rows
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.contract import Array, Buffer, Call, Feed, Plan, Results
from backends.reference.arena import DTYPES, Memory, Slabs
from backends.reference.kernels import KERNELS


class Executable:
    """A plan and the bytes of its work region."""

    def __init__(self, plan: Plan) -> None:
        ordered = sorted(plan.calls, key=lambda call: call.phase)
        before = plan.phases if plan.guard is None else plan.guard_phase
        self.plan = plan
        self._before_guard = [call for call in ordered if call.phase < before]
        self._after_guard = [call for call in ordered if call.phase >= before]

    def run(self, memory: Memory, feed: Feed) -> Results:
        """Runs every step of `feed` for every trial.  A trial whose guard is not finite stops there, its state as before that step."""
        trials, steps = feed.order.shape[:2]
        outputs = {name: _blank((trials, steps, *b.shape), b.dtype) for name, b in self.plan.outputs}
        done = np.zeros(trials, np.int64) if feed.done is None else feed.done
        # a diverging step overflows; the guard deals with it, a warning would only repeat it
        with np.errstate(all="ignore"):
            for trial in range(trials):
                done[trial] = _Trial(self.plan, memory, feed, trial).run(self._before_guard, self._after_guard, outputs)
        return Results(outputs=outputs, done=done)

    def again(self, memory: Memory, feed: Feed, x: Array, output: str) -> Array:
        """One output for other rows x [rows, ...]."""
        return self.run(memory, replace(feed, x=x)).outputs[output]

    def source(self) -> str:
        """The plan as text, one call a line: the reference generates no code."""
        return "\n".join(_line(call) for call in (*self._before_guard, *self._after_guard))


class _Trial:
    """One trial of a run: finds its tensors and makes its calls."""

    def __init__(self, plan: Plan, memory: Memory, feed: Feed, trial: int) -> None:
        self.plan, self.memory, self.feed, self.trial = plan, memory, feed, trial
        self.work = Slabs(1, plan.work_bytes, 2 if plan.precision == "float32" else 1)

    def run(self, before_guard: list[Call], after_guard: list[Call], outputs: dict[str, Array]) -> int:
        """Fills row `trial` of the outputs -> the number of completed steps."""
        steps = int(self.feed.order.shape[1])
        for step in range(steps):
            for call in before_guard:
                self.make(call, step)
            guard = self.plan.guard
            stopped = guard is not None and not np.isfinite(self.tensor(guard, step))
            for call in () if stopped else after_guard:
                self.make(call, step)
            for name, buffer in self.plan.outputs:
                if not stopped or buffer == guard:
                    outputs[name][self.trial, step] = self.tensor(buffer, step)
            if stopped:
                return step
        return steps

    def make(self, call: Call, step: int) -> None:
        """Makes one call.  All results are there before the first is stored: an output may lie on an input's bytes."""
        if call.op == "gather":
            results: Any = self.gather(call, step)
        else:
            inputs = (self.tensor(buffer, step) for buffer in call.inputs)
            results = KERNELS[call.op](*inputs, **call.attributes)
        for buffer, result in zip(call.outputs, results if isinstance(results, tuple) else (results,), strict=True):
            self.tensor(buffer, step)[...] = result

    def gather(self, call: Call, step: int) -> Array:
        """The rows of this step's batch: x [rows, ...] -> [B, ...], their numbers made as the feed says."""
        source: Array = getattr(self.feed, call.attributes["source"])
        rows: Array = source[self.feed.rows_of(call.attributes["source"])[self.trial, step]]
        if call.attributes["source"] == "x" and self.feed.affine is not None:
            rows = rows.reshape(len(rows), -1).astype(self.plan.precision)
            pairs = self.feed.pairs
            for shift, factor in pairs[self.trial if len(pairs) > 1 else 0].astype(self.plan.precision):
                rows = (rows - shift) * factor
        return rows.reshape(call.outputs[0].shape)

    def tensor(self, buffer: Buffer, step: int) -> Array:
        """The tensor of `buffer`: a view for state and work, a scalar of the step's row for values and words."""
        match buffer.region:
            case "state":
                return self.memory.view(self.trial, buffer)
            case "work":
                return self.work.view(0, buffer)
            case "values":
                return np.asarray(self.feed.values[self.trial, step, buffer.offset], np.float64)
            case "words":
                return np.asarray(self.feed.words[self.trial, step, buffer.offset], np.uint32)


def _blank(shape: tuple[int, ...], dtype: str) -> Array:
    kind = np.dtype(DTYPES[dtype])
    return np.full(shape, np.nan if kind.kind == "f" else 0, kind)


def _line(call: Call) -> str:
    results, inputs = (", ".join(buffer.name for buffer in buffers) for buffers in (call.outputs, call.inputs))
    attributes = "".join(f"; {key}={value!r}" for key, value in sorted(call.attributes.items()))
    return f"{call.phase:4d}  {results} = {call.op}({inputs}{attributes})"
