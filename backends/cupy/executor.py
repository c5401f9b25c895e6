"""Runs a fused plan trial by trial, step by step, call by call, on device arrays."""

# K trials, S steps, B batch rows, R x C the grid of a fused body
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from backends.contract import Array, Body, Buffer, Call, Feed, Instruction, Level, Plan, Results
from backends.cupy.arena import Memory, Slabs, host
from backends.cupy.kernels import KERNELS


class Executable:
    """A plan on the array namespace `xp`."""

    def __init__(self, xp: Any, plan: Plan) -> None:
        self.xp, self.plan = xp, plan
        ordered = sorted(plan.calls, key=lambda call: call.phase)
        before = plan.phases if plan.guard is None else plan.guard_phase
        self._before_guard = [call for call in ordered if call.phase < before]
        self._after_guard = [call for call in ordered if call.phase >= before]

    def run(self, memory: Memory, feed: Feed) -> Results:
        """Runs every step of `feed` for every trial.  A trial whose guard is not finite stops there, its state as before that step.

        The guard is read back at every step, so the device waits for the host: this is the mode to debug in, not the one to time.
        """
        trials, steps = feed.order.shape[:2]
        given = {name: getattr(feed, name) for name in ("y", "order", "values", "words", "weight", "affine")}
        given["x"], given["x_order"] = _needed(feed)
        tables = Feed(**{name: self.xp.asarray(array) for name, array in given.items() if array is not None})
        outputs = {name: self._blank((trials, steps, *b.shape), b.dtype) for name, b in self.plan.outputs}
        done = np.zeros(trials, np.int64) if feed.done is None else feed.done
        # a diverging step overflows; the guard deals with it, a warning would only repeat it
        with np.errstate(all="ignore"):
            for trial in range(trials):
                done[trial] = self._run_trial(_Trial(self.xp, self.plan, memory, tables, trial), steps, outputs)
        return Results(outputs={name: host(self.xp, value) for name, value in outputs.items()}, done=done)

    def again(self, memory: Memory, feed: Feed, x: Array) -> Mapping[str, Array]:
        """The outputs for other rows x [rows, ...]."""
        return self.run(memory, replace(feed, x=x)).outputs

    def source(self) -> str:
        """The plan as text, one line a call and one an instruction: this mode generates no code."""
        return "\n".join(line for call in (*self._before_guard, *self._after_guard) for line in _lines(call))

    def _run_trial(self, trial: _Trial, steps: int, outputs: dict[str, Any]) -> int:
        guard = self.plan.guard
        for step in range(steps):
            for call in self._before_guard:
                trial.make(call, step)
            stopped = guard is not None and not bool(self.xp.isfinite(trial.tensor(guard, step)))
            for call in () if stopped else self._after_guard:
                trial.make(call, step)
            for name, buffer in self.plan.outputs:
                if not stopped or buffer == guard:
                    outputs[name][trial.number, step] = trial.tensor(buffer, step)
            if stopped:
                return step
        return steps

    def _blank(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self.xp.full(shape, np.nan if dtype.startswith("float") else 0, np.dtype(dtype))


class _Trial:
    """One trial of a run: finds its tensors and makes its calls."""

    def __init__(self, xp: Any, plan: Plan, memory: Memory, feed: Feed, number: int) -> None:
        self.xp, self.memory, self.feed, self.number = xp, memory, feed, number
        self.work = Slabs(xp, 1, plan.work_bytes)

    def make(self, call: Call, step: int) -> None:
        """Makes one call.  All results are there before the first is stored: an output may lie on an input's bytes."""
        inputs = [self.tensor(buffer, step) for buffer in call.inputs]
        if call.op == "gather":
            results = [self.gather(call.attributes["source"], call.outputs[0], step)]
        elif call.body is not None:
            results = interpret(self.xp, call.body, inputs)
        else:
            made = KERNELS[call.op](self.xp, *inputs, **call.attributes)
            results = list(made) if isinstance(made, tuple) else [made]
        for buffer, result in zip(call.outputs, results, strict=True):
            self.tensor(buffer, step)[...] = result.reshape(buffer.shape)

    def gather(self, source: str, buffer: Buffer, step: int) -> Any:
        """The rows of this step's batch: x [rows, ...] -> [B, ...], their numbers made as the feed says."""
        rows = getattr(self.feed, source)[self.feed.rows_of(source)[self.number, step]]
        if source == "x" and self.feed.affine is not None:
            rows = rows.reshape(len(rows), -1).astype(buffer.dtype)
            for shift, factor in self.feed.affine.astype(buffer.dtype):
                rows = (rows - shift) * factor
        return rows

    def tensor(self, buffer: Buffer, step: int) -> Any:
        """The tensor of `buffer`: a view for state and work, a scalar of the step's row for values and words."""
        match buffer.region:
            case "state":
                return self.memory.view(self.number, buffer)
            case "work":
                return self.work.view(0, buffer)
            case "values":
                return self.xp.asarray(self.feed.values[self.number, step, buffer.offset], np.dtype(buffer.dtype))
            case "words":
                return self.xp.asarray(self.feed.words[self.number, step, buffer.offset])


def _needed(feed: Feed) -> tuple[Any, Any]:
    """x and the row numbers of its gather; the rows of these steps alone where x has more, as all of them may fit no device."""
    order = feed.rows_of("x")
    if order.size >= len(feed.x):
        return feed.x, order
    used, places = np.unique(order, return_inverse=True)
    return feed.x[used], places.reshape(order.shape)


def interpret(xp: Any, body: Body, inputs: list[Any]) -> list[Any]:
    """The results of a fused body, instruction by instruction.

    Every value is seen on the grid: full [R, C], column [1, C], row [R, 1], scalar [1, 1].
    """
    values = {name: x.reshape(_extent(body, level)) for (name, level), x in zip(body.inputs, inputs, strict=True)}
    for instruction in body.instructions:
        operands = [values[name] for name in instruction.operands]
        if body.blocks > 1 and instruction.reduces:
            values[instruction.name] = _by_blocks(xp, instruction.op, operands[0], body.blocks)
        else:
            values[instruction.name] = _result(xp, instruction, operands, _extent(body, instruction.level))
    return [values[name] for name in body.outputs]


def _by_blocks(xp: Any, op: str, x: Any, blocks: int) -> Any:
    """[R, C] -> [blocks, C]: the columns of each run of rows summed up."""
    limits = [len(x) * n // blocks for n in range(blocks + 1)]
    return xp.stack([getattr(xp, op)(x[a:b], axis=0) for a, b in pairwise(limits)])


def _result(xp: Any, instruction: Instruction, operands: list[Any], extent: tuple[int, int]) -> Any:
    if instruction.op in ("sum", "max"):
        (x,) = operands
        axes = tuple(axis for axis in (0, 1) if x.shape[axis] != extent[axis])
        return getattr(xp, instruction.op)(x, axis=axes, keepdims=True) if axes else x.copy()
    if instruction.op == "spread":
        # a copy, not a view: a result must not change when another result is stored on its input's bytes
        return xp.broadcast_to(operands[0], extent).copy()
    result = KERNELS[instruction.op](xp, *operands, **instruction.attributes)
    return result.reshape(extent) if result.size == extent[0] * extent[1] else xp.broadcast_to(result, extent).copy()


def _extent(body: Body, level: Level) -> tuple[int, int]:
    return (body.rows if level in ("full", "row") else 1, body.columns if level in ("full", "column") else 1)


def _lines(call: Call) -> list[str]:
    results, inputs = (", ".join(buffer.name for buffer in buffers) for buffers in (call.outputs, call.inputs))
    if call.body is None:
        return [f"{call.phase:4d}  {results} = {call.op}({inputs}{_written(call.attributes)})"]
    head = f"{call.phase:4d}  {results} = fused {call.body.kind} [{call.body.rows} x {call.body.columns}] ({inputs})"
    return [
        head,
        *(f"        {i.name}: {i.level} = {i.op}({', '.join(i.operands)}{_written(i.attributes)})" for i in call.body.instructions),
    ]


def _written(attributes: Any) -> str:
    return "".join(f"; {key}={value!r}" for key, value in sorted(attributes.items()))
