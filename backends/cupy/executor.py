"""Plans made ready and run: tables and data go to the device, then launch after launch, many steps in a graph."""

# K trials, S steps, B batch rows
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backends.contract import ALIGNMENT, STORED, Array, Feed, Plan, Results
from backends.cupy.device import Device, Launches, Room
from backends.cupy.memory import Memory
from backends.cupy.source.program import CLOCK, Kernel, Source, forms, program

GRAPH_STEPS = 32  # of a graph
SHARE = 0.5  # of the free memory of the device that a data set may take


class Executable:
    """A plan on a device; captured: steps are recorded as graphs of GRAPH_STEPS and replayed, else each kernel is launched by itself."""

    def __init__(self, device: Device, plan: Plan, *, captured: bool = True) -> None:
        self.device, self.plan, self.captured = device, plan, captured
        self.made: Source = program(plan)
        self.code = device.compile(self.made)
        self.precision = np.dtype(plan.precision)
        self._arena: _Arena | None = None
        self._data = _Data(device)
        self._graphs: dict[tuple[Any, ...], Launches] = {}
        self._gathers = {str(c.attributes["source"]): c.outputs[0] for c in plan.calls if c.op == "gather"}

    def run(self, memory: Memory, feed: Feed) -> Results:
        """Runs every step of `feed` for every trial.  A trial whose guard is not finite stops there, its state as before that step."""
        trials, steps = feed.order.shape[:2]
        assert (memory.trials == trials and memory.stride == self.plan.state_bytes) or not self.plan.state
        arena = self._ready(trials, steps)
        arguments = self._filled(arena, memory, feed)
        done = np.zeros(trials, np.int64) if feed.done is None else feed.done
        try:
            self._launch(arena, arguments, trials, steps)
        finally:  # a signal may come between two launches: what is on its way is waited for, and counted
            self.device.download(arena.places["done"], done)
        return Results(outputs=self._outputs(arena, trials, steps, done), done=done)

    def again(self, memory: Memory, feed: Feed, x: Array) -> Mapping[str, Array]:
        """The outputs for other rows x [rows, ...]."""
        return self.run(memory, replace(feed, x=x)).outputs

    def source(self) -> str:
        """The kernels as CUDA C."""
        return described(self.plan, self.made)

    # -- memory ---------------------------------------------------------------------------------------------------------------------

    def _ready(self, trials: int, steps: int) -> _Arena:
        """Room for a run of so many trials and steps: that of earlier runs, where it is large enough."""
        if self._arena is None or not self._arena.holds(trials, steps):
            self._graphs.clear()
            self._arena = None  # what it held is free before more is asked for
            self._arena = _Arena(self.device, self.plan, self.made, trials, max(steps, GRAPH_STEPS))
        return self._arena

    def _filled(self, arena: _Arena, memory: Memory, feed: Feed) -> tuple[Any, ...]:
        """Puts the tables of `feed` where the kernels read them -> the arguments of every kernel, but for the number of the step."""
        device, places, plan = self.device, arena.places, self.plan
        trials, steps = feed.order.shape[:2]
        given = self._stored(feed)
        tables: dict[str, tuple[Array, Any]] = {"orders": (given["order"], np.int64), "x_orders": (given["x_order"], np.int64)}
        tables |= {"value_table": (feed.values, self.precision)} if plan.values else {}
        tables |= {"word_table": (feed.words, np.uint32)} if plan.words else {}
        for name, (array, dtype) in tables.items():
            device.upload(places[name], np.ascontiguousarray(array, dtype))
        starts = arena.ring_starts(trials, steps)
        device.upload(places["clock"], np.array([0, steps, *starts], np.int64))
        device.clear(places["done"], arena.sizes["done"] + arena.sizes["stopped"])
        data = {name: self._data.place(name, given.get(name), fixed=feed.fixed) for name in ("x", "y", "weight", "pairs")}
        pairs = given.get("pairs")
        return (
            memory.address, places["work"], data["x"], data["y"], data["weight"], places["orders"], places["x_orders"],
            places["value_table"], places["word_table"], data["pairs"], np.int32(0 if pairs is None else len(pairs)),
            np.int32(given["x_form"]), places["done"], places["stopped"], places["clock"], places["rings"],
        )  # fmt: skip

    def _stored(self, feed: Feed) -> dict[str, Any]:
        """The data as they lie on the device, in which of the forms x is, and the row numbers of y and of x."""
        given: dict[str, Any] = {"x_form": 0, "order": feed.order, "x_order": feed.rows_of("x")}
        if "x" in self._gathers:
            (x, given["x_order"]), pairs = self._rows(feed), feed.affine
            alone = pairs is None or not len(pairs)
            if alone and (x.dtype == self.precision or str(x.dtype) not in STORED):
                given["x"] = np.ascontiguousarray(x, self.precision)
            else:
                given["x"], given["x_form"] = np.ascontiguousarray(x), 1 + forms(self.plan.precision).index(str(x.dtype))
                given["pairs"] = None if alone else np.ascontiguousarray(pairs, self.precision)
        for name in ("y", "weight"):
            if name in self._gathers:
                given[name] = np.ascontiguousarray(getattr(feed, name), np.dtype(self._gathers[name].dtype))
        return given

    def _rows(self, feed: Feed) -> tuple[Array, Array]:
        """x and the row numbers of its gather: all rows of a data set that the device has room for, else those of these steps alone."""
        order, free = feed.rows_of("x"), self.device.free()
        resident = feed.fixed and (free is None or feed.x.nbytes < free * SHARE or self._data.holds("x", feed.x))
        if resident or order.size >= len(feed.x):
            return feed.x, order
        used, places = np.unique(order, return_inverse=True)
        return feed.x[used], places.reshape(order.shape)

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def _launch(self, arena: _Arena, arguments: tuple[Any, ...], trials: int, steps: int) -> None:
        """Single steps, then graphs; a graph is recorded when every kernel has run."""
        whole, alone = divmod(steps, GRAPH_STEPS) if self.captured else (0, steps)
        key = (arguments, trials)
        if whole and not alone and key not in self._graphs:
            whole, alone = whole - 1, GRAPH_STEPS
        for number in range(alone):
            self._step(arguments, trials, number)
        if not whole:
            return
        self._advance(arena, alone)
        if key not in self._graphs:
            self._graphs.clear()  # its memory has moved
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

    def _outputs(self, arena: _Arena, trials: int, steps: int, done: Array) -> dict[str, Array]:
        """What the rings hold [K, S, ...]; of steps that a stopped trial did not take nothing is known."""
        made = {}
        for (name, buffer), start in zip(self.plan.outputs, arena.ring_starts(trials, steps), strict=True):
            array = np.empty((trials, steps, *buffer.shape), np.dtype(buffer.dtype))
            self.device.download(arena.places["rings"] + start, array)
            for trial in np.flatnonzero(done < steps) if self.plan.guard is not None else ():
                first = int(done[trial]) + (buffer == self.plan.guard)
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


class _Data:
    """The arrays of a data set on the device: one that nobody changes is sent once, any other at each run."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._held: dict[str, tuple[Array | None, Room]] = {}

    def holds(self, name: str, array: Array) -> bool:
        """Whether `array` lies there, as `name`."""
        return name in self._held and self._held[name][0] is array

    def place(self, name: str, array: Array | None, *, fixed: bool) -> int:
        """Where `array` lies now; 0 for none."""
        if array is None:
            return 0
        if fixed and self.holds(name, array):
            return self._held[name][1].address
        room = self._held[name][1] if name in self._held else None
        if room is None or room.size < array.nbytes:
            self._held.pop(name, None)  # what it held is free before more is asked for
            room = self.device.allocate(max(ALIGNMENT, array.nbytes))
        self.device.upload(room.address, array)
        self._held[name] = (array if fixed else None, room)
        return room.address


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
