"""Plans made ready and run: tables and data go to the device, then launch after launch, many steps in a graph."""

# K trials, S steps, B batch rows
from __future__ import annotations

import math
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np

from backends.contract import ALIGNMENT, STORED, Array, Feed, Plan, Resident, Results
from backends.cupy.data import Data, Passing, Rooms
from backends.cupy.device import Device, Launches, Room
from backends.cupy.memory import Memory
from backends.cupy.source.program import ARGUMENTS, CLOCK, Kernel, Source, forms, program

GRAPH_STEPS = 32  # of a graph
MOST_STEPS = 8 * GRAPH_STEPS  # whose tables and outputs the device holds at once
SHARE = 0.5  # of the free memory of the device that a data set may take
MOST_GRAPHS = 4  # that are kept: of two rooms of rows, of numbers of trials
XS = [name for _, name in ARGUMENTS].index("xs")


class Executable:
    """A plan on a device; captured: steps are recorded as graphs of GRAPH_STEPS and replayed, else each kernel is launched by itself."""

    def __init__(self, device: Device, plan: Plan, *, captured: bool = True) -> None:
        self.device, self.plan, self.captured = device, plan, captured
        self.made: Source = program(plan)
        self.code = device.compile(self.made)
        self.precision = np.dtype(plan.precision)
        self._arena: _Arena | None = None
        self._lock = Lock()  # its tables and rings are those of one run at a time
        self._data = Data(device)
        self._rooms: Rooms | None = None
        self._graphs: dict[tuple[Any, ...], Launches] = {}
        self._gathers = {str(c.attributes["source"]): c.outputs[0] for c in plan.calls if c.op == "gather"}

    def run(self, memory: Memory, feed: Feed) -> Results:
        """Runs every step of `feed` for every trial.  A trial whose guard is not finite stops there, its state as before that step."""
        steps, made = feed.order.shape[1], []
        done = np.zeros(len(feed.order), np.int64) if feed.done is None else feed.done
        with self._lock:
            for first in range(0, max(1, steps), MOST_STEPS):
                part = slice(first, first + MOST_STEPS)
                made.append(self._part(memory, _steps_of(feed, part), done, done < first, more=part.stop < steps))
        outputs = {name: np.concatenate([one[name] for one in made], axis=1) for name in made[0]} if len(made) > 1 else made[0]
        return Results(outputs=outputs, done=done)

    def _part(self, memory: Memory, feed: Feed, done: Array, stopped: Array, *, more: bool) -> dict[str, Array]:
        """Some steps of a run -> their outputs; `done` [K] counts on, trials that are `stopped` [K] take none; more: others follow."""
        taken = np.zeros_like(done)
        try:
            arena = self._taken(memory, feed, taken, stopped, more=more)
        finally:
            done += taken
        return self._outputs(arena, taken, feed.order.shape[1], stopped)

    def keep(self, memory: Memory, feed: Feed, name: str, target: Resident, row: int) -> None:
        """Runs a plan of one trial without a guard, and leaves of its outputs `name` alone, on the device.

        Its rows [steps B, ...] go into `target` [N, ...] from `row` on, as many as there is room for.
        """
        steps, width = feed.order.shape[1], target.nbytes // max(1, len(target))
        count = min(steps * self.plan.batch, len(target) - row)
        with self._lock:
            arena = self._taken(memory, feed, np.zeros(1, np.int64), np.zeros(1, bool))
            starts = dict(zip([n for n, _ in self.plan.outputs], arena.ring_starts(1, steps), strict=True))
            self.device.copy(target.address + row * width, arena.places["rings"] + starts[name], count * width)
            self.device.reached(self.device.mark())  # whoever reads it asks another stream

    def _taken(self, memory: Memory, feed: Feed, done: Array, stopped: Array, *, more: bool = False) -> _Arena:
        """Takes every step -> where the outputs lie; the steps taken are counted in `done` [K], zeros."""
        trials, steps = feed.order.shape[:2]
        assert (memory.trials == trials and memory.stride == self.plan.state_bytes) or not self.plan.state
        passing = self._passing(feed)
        rooms = None if passing is None else self._room_for(passing)
        arena = self._ready(trials, steps)
        arguments = self._filled(arena, memory, feed, passing)
        if stopped.any():
            self.device.upload(arena.places["stopped"], stopped.astype(np.int32))
        try:
            if passing is None or rooms is None:
                self._launch(arena, arguments, trials, steps, more=more)
            else:
                left = steps
                for address, count in passing.parts(rooms):
                    left -= count
                    self._launch(arena, (*arguments[:XS], address, *arguments[XS + 1 :]), trials, count, more=more or left > 0)
        finally:  # a signal may come between two launches: what is on its way is waited for, and counted
            self.device.download(arena.places["done"], done)
        return arena

    def again(self, memory: Memory, feed: Feed, x: Array, output: str) -> Array:
        """One output for other rows x [rows, ...]."""
        return self.run(memory, replace(feed, x=x)).outputs[output]

    def source(self) -> str:
        """The kernels as CUDA C."""
        return described(self.plan, self.made)

    # -- memory ---------------------------------------------------------------------------------------------------------------------

    def _ready(self, trials: int, steps: int) -> _Arena:
        """Room for a run of so many trials and steps: that of earlier runs, where it is large enough."""
        if self._arena is None or not self._arena.holds(trials, steps):
            self._graphs.clear()
            self._arena = None  # what it held is free before more is asked for
            self._arena = _Arena(self.device, self.plan, self.made, trials, MOST_STEPS if steps > GRAPH_STEPS else GRAPH_STEPS)
        return self._arena

    def _filled(self, arena: _Arena, memory: Memory, feed: Feed, passing: Passing | None) -> tuple[Any, ...]:
        """Puts the tables of `feed` where the kernels read them -> the arguments of every kernel, but for the number of the step."""
        device, places, plan = self.device, arena.places, self.plan
        trials, steps = feed.order.shape[:2]
        given = self._stored(feed, passing)
        tables: dict[str, tuple[Array, Any]] = {"orders": (given["order"], np.int64), "x_orders": (given["x_order"], np.int64)}
        tables |= {"value_table": (feed.values, self.precision)} if plan.values else {}
        tables |= {"word_table": (feed.words, np.uint32)} if plan.words else {}
        for name, (array, dtype) in tables.items():
            device.upload(places[name], np.ascontiguousarray(array, dtype))
        starts = arena.ring_starts(trials, steps)
        device.upload(places["clock"], np.array([0, steps, *starts], np.int64))
        device.clear(places["done"], arena.sizes["done"] + arena.sizes["stopped"])
        data = {name: self._data.place(name, given.get(name), fixed=feed.fixed) for name in ("x", "y", "weight", "pairs")}
        return (
            memory.address, places["work"], data["x"], data["y"], data["weight"], places["orders"], places["x_orders"],
            places["value_table"], places["word_table"], data["pairs"], np.int32(given["pair_count"]),
            given["pair_stride"], np.int32(given["x_form"]), places["done"], places["stopped"], places["clock"], places["rings"],
        )  # fmt: skip

    def _stored(self, feed: Feed, passing: Passing | None) -> dict[str, Any]:
        """The data as they lie on the device, in which of the forms x is, and the row numbers of y and of x."""
        given: dict[str, Any] = {"x_form": 0, "pair_count": 0, "pair_stride": 0, "order": feed.order, "x_order": feed.rows_of("x")}
        if "x" in self._gathers:
            (x, given["x_order"]), pairs = self._rows(feed), feed.pairs
            if passing is not None:
                x, given["x_order"] = feed.x, passing.order
            alone, lies = not pairs.shape[1], passing is not None or isinstance(x, Resident)
            if alone and (x.dtype == self.plan.precision or str(x.dtype) not in STORED):
                given["x"] = x if lies else np.ascontiguousarray(x, self.precision)
            else:
                given["x"], given["x_form"] = x if lies else np.ascontiguousarray(x), 1 + forms(self.plan.precision).index(str(x.dtype))
                if not alone:
                    given["pairs"], given["pair_count"] = np.ascontiguousarray(pairs, self.precision), pairs.shape[1]
                    given["pair_stride"] = pairs[0].size if len(pairs) > 1 else 0
            if passing is not None:
                given["x"] = None  # its rows are sent part by part
        for name in ("y", "weight"):
            if name in self._gathers:
                given[name] = np.ascontiguousarray(getattr(feed, name), np.dtype(self._gathers[name].dtype))
        return given

    def _passing(self, feed: Feed) -> Passing | None:
        """The rows of a data set that the device has no room for, part by part; None where they lie there, or are sent at once."""
        free, x = self.device.free(), feed.x
        if "x" not in self._gathers or isinstance(x, Resident) or not feed.fixed or free is None or not self._stored_as_it_is(feed):
            return None
        if x.nbytes < free * SHARE or self._data.holds("x", x):
            return None
        return Passing(self.device, x, feed.rows_of("x"), GRAPH_STEPS)

    def _stored_as_it_is(self, feed: Feed) -> bool:
        return str(feed.x.dtype) in forms(self.plan.precision)

    def _room_for(self, passing: Passing) -> Rooms:
        if self._rooms is None or self._rooms.size < passing.bytes:
            self._rooms = None  # what it held is free before more is asked for
            self._graphs.clear()
            self._rooms = Rooms(self.device, passing.bytes)
        return self._rooms

    def _rows(self, feed: Feed) -> tuple[Array | Resident, Array]:
        """x and the row numbers of its gather: all rows of a data set, or those of these steps alone where they are fewer."""
        order = feed.rows_of("x")
        if isinstance(feed.x, Resident) or feed.fixed or order.size >= len(feed.x):
            return feed.x, order
        used, places = np.unique(order, return_inverse=True)
        return feed.x[used], places.reshape(order.shape)

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def _launch(self, arena: _Arena, arguments: tuple[Any, ...], trials: int, steps: int, *, more: bool = False) -> None:
        """Single steps, then graphs; a graph is recorded when every kernel has run.  more: steps of another call follow these."""
        whole, alone = divmod(steps, GRAPH_STEPS) if self.captured else (0, steps)
        key = (arguments, trials)
        if whole and not alone and key not in self._graphs:
            whole, alone = whole - 1, GRAPH_STEPS
        for number in range(alone):
            self._step(arguments, trials, number)
        if whole or more:
            self._advance(arena, alone)
        if whole and key not in self._graphs:
            while len(self._graphs) >= MOST_GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = self.device.record(lambda: self._graph(arena, arguments, trials))
        for _ in range(whole):
            self._graphs[key]()

    def _graph(self, arena: _Arena, arguments: tuple[Any, ...], trials: int) -> None:
        """The launches of a graph: its steps, and then the clock goes on."""
        for number in range(GRAPH_STEPS):
            self._step(arguments, trials, number)
        self._advance(arena, GRAPH_STEPS)

    def _advance(self, arena: _Arena, steps: int) -> None:
        self.code.launch("advance", (1, 1), (arena.places["clock"], np.int32(steps)))

    def _step(self, arguments: tuple[Any, ...], trials: int, number: int) -> None:
        for kernel in self.made.kernels:
            self.code.launch(kernel.name, (kernel.blocks, trials), (*arguments, np.int32(number)))

    def _outputs(self, arena: _Arena, done: Array, steps: int, stopped: Array) -> dict[str, Array]:
        """What the rings hold [K, S, ...]; of steps that a trial did not take, or that was `stopped` [K] before, nothing is known."""
        made, trials = {}, len(done)
        for (name, buffer), start in zip(self.plan.outputs, arena.ring_starts(trials, steps), strict=True):
            array = np.empty((trials, steps, *buffer.shape), np.dtype(buffer.dtype))
            self.device.download(arena.places["rings"] + start, array)
            for trial in np.flatnonzero(done < steps) if self.plan.guard is not None else ():
                first = int(done[trial]) + (buffer == self.plan.guard and not stopped[trial])
                array[trial, first:] = np.nan if array.dtype.kind == "f" else 0
            made[name] = array
        return made


class _Arena:
    """One allocation for all that a run of K trials and S steps needs beside state and data."""

    def __init__(self, device: Device, plan: Plan, source: Source, trials: int, steps: int) -> None:
        self.plan, self.trials, self.steps = plan, trials, steps
        self.sizes = arena_sizes(plan, source, trials, steps)
        offsets, size = {}, 0
        for name, wanted in self.sizes.items():
            offsets[name] = size
            size += wanted
        self.room: Room = device.allocate(size)
        self.places = {name: self.room.address + offset for name, offset in offsets.items()}

    def holds(self, trials: int, steps: int) -> bool:
        """Whether a run of so many trials and steps fits; the work of a trial is a slab, so trials count by themselves."""
        return trials <= self.trials and trials * steps <= self.trials * self.steps

    def ring_starts(self, trials: int, steps: int) -> list[int]:
        """Where the ring of each output starts, in a run of so many trials and steps."""
        starts, size = [], 0
        for _, buffer in self.plan.outputs:
            starts.append(size)
            size += _aligned(trials * steps * buffer.bytes)
        return starts


def arena_sizes(plan: Plan, source: Source, trials: int, steps: int) -> dict[str, int]:
    """The bytes of each part of an arena for so many trials and steps."""
    places = trials * steps
    item = np.dtype(plan.precision).itemsize
    sizes = {
        "work": trials * source.work, "orders": places * plan.batch * 8, "x_orders": places * plan.batch * 8,
        "value_table": places * len(plan.values) * item, "word_table": places * len(plan.words) * 4, "done": trials * 8,
        "stopped": trials * 4, "clock": 8 * (CLOCK + len(plan.outputs)),
        "rings": sum(_aligned(places * buffer.bytes) for _, buffer in plan.outputs),
    }  # fmt: skip
    return {name: _aligned(max(1, size)) for name, size in sizes.items()}


def _steps_of(feed: Feed, part: slice) -> Feed:
    """Some of its steps."""
    x_order = None if feed.x_order is None else feed.x_order[:, part]
    return replace(feed, order=feed.order[:, part], x_order=x_order, values=feed.values[:, part], words=feed.words[:, part])


def described(plan: Plan, source: Source) -> str:
    """The program as text: how many launches a step takes, then the source."""
    blocks = sum(kernel.blocks for kernel in source.kernels)
    head = f"{len(source.kernels)} launches a step, whatever the number of trials, and one more a graph of {GRAPH_STEPS} steps"
    lines = [f"// step {plan.name}: {head}", f"// {blocks:,} blocks of 256 threads for each trial", *map(_launched, source.kernels)]
    return "\n".join([*lines, "", source.gathers, source.text])


def _launched(kernel: Kernel) -> str:
    calls = f"{len(kernel.calls)} call{'s' if len(kernel.calls) != 1 else ''}" if kernel.calls else "outputs"
    return f"//   {kernel.name}: {calls}, {kernel.blocks} block{'s' if kernel.blocks != 1 else ''} a trial"


def _aligned(size: int) -> int:
    return math.ceil(size / ALIGNMENT) * ALIGNMENT
