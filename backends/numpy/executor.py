"""Plans made ready and run: memory, threads, one native call for many steps."""

# K trials, S steps, T threads
from __future__ import annotations

import ctypes
from dataclasses import replace
from functools import cache, lru_cache
from time import perf_counter
from typing import Any, Literal

import numpy as np
from llvmlite import ir

from backends.contract import ALIGNMENT, Array, Buffer, Feed, Plan, Results, Target
from backends.numpy.kernels import kernels_of
from backends.numpy.kernels.gather import gather_kernel, stored
from backends.numpy.kernels.kernel import Kernel
from backends.numpy.listing import listing
from backends.numpy.machine import processor as processors
from backends.numpy.machine.cache import ObjectCache, key, ready
from backends.numpy.machine.memory import Arena, Arenas, NumpyMemory, address
from backends.numpy.machine.progress import Compiling
from backends.numpy.step import COUNTER, FIELDS, StepProgram, stolen
from backends.numpy.threads.pool import Choice, Part, pool

# a core's rough speed (operations and bytes a second), and the seconds that a meeting of threads and the start of a job cost
FLOPS, BANDWIDTH, BARRIER, START = 5e10, 2e10, 2e-6, 1e-5
LONG = 5e-4  # seconds saved: a job that long is always shared; whether a shorter one is, its last runs decide


@cache
def _parts(members: int, teams: int) -> Any:
    """The parts of a job that teams of so many members do."""
    parts = [Part(member, members, team, teams) for team in range(teams) for member in range(members)]
    return (Part * len(parts))(*parts)


@cache
def _block(outputs: int) -> type[ctypes.Structure]:
    """The argument block of a step with so many outputs."""
    fields = [*((name, ctypes.c_int64) for name in FIELDS), ("outputs", ctypes.c_int64 * outputs)]
    return type("Block", (ctypes.Structure,), {"_fields_": fields})


class NumpyExecutable:
    """A compiled plan."""

    def __init__(self, plan: Plan, processor: processors.Processor, cache: ObjectCache, threads: int, arenas: Arenas) -> None:
        self.plan, self.arenas = plan, arenas
        self.kernels = kernels_of(plan, processor)
        # kernels first: the step links to them by name
        gathers = [c.outputs[0].count // plan.batch for c in plan.calls if c.op == "gather" and c.attributes["source"] == "x"]
        kernels = (*self.kernels.values(), *(gather_kernel(width, plan.precision, processor) for width in gathers))
        distinct = {kernel.symbol: kernel for kernel in kernels}
        with Compiling(f"{plan.name}, batch {plan.batch}", len(distinct)) as progress:
            # one by one: llvmlite lets one thread at a time into LLVM
            for number, kernel in enumerate(distinct.values()):
                progress.done(number)
                ready(kernel.symbol, kernel.build, processor, cache)
        symbol = f"step_{key(processor, _without_names(plan), [k.symbol for k in self.kernels.values()])}"

        def build() -> ir.Module:
            module = ir.Module(symbol)
            StepProgram(module, symbol, plan, self.kernels, processor).emit()
            return module

        self.native = ready(symbol, build, processor, cache)
        self.gain = _gain(plan, self.kernels) if threads > 1 else 0.0
        self.threads = threads if self.gain > 0 else 1
        self.cores, self.choice, self.sharing = threads, Choice(), Choice()
        self.scratch_bytes = _scratch(self.kernels)
        self.counter_bytes = COUNTER * len(stolen(plan, self.kernels))  # of a thread
        self.work_stride = max(ALIGNMENT, plan.work_bytes)
        # what a step reads of the feed, and in which type
        reads = {str(c.attributes["source"]): c.outputs[0].dtype for c in plan.calls if c.op == "gather"}
        self.gathered = np.dtype(reads.pop("x")) if "x" in reads else None
        reads |= {"order": "int64", **({"values": plan.precision} if plan.values else {}), **({"words": "uint32"} if plan.words else {})}
        self.reads = [(name, np.dtype(dtype)) for name, dtype in reads.items()]
        self._layout = lru_cache(maxsize=8)(self._places)
        self._block = _block(len(plan.outputs))
        self._steady: dict[Arena, _Steady] = {}  # for each arena the call that `again` made last

    def run(self, memory: NumpyMemory, feed: Feed) -> Results:
        """Runs every trial and step of the feed; several threads may call it at once."""
        arena = self.arenas.take()
        try:
            return self._run(memory, feed, arena)
        finally:
            arena.lock.release()

    def _run(self, memory: NumpyMemory, feed: Feed, arena: Arena) -> Results:
        trials, steps = feed.order.shape[:2]
        teams = self._teams(trials, steps)
        members = self._members(steps * trials) if teams == 1 else 1
        parts = _parts(members, teams)
        arena.reserve(len(parts) * self.work_stride, len(parts) * self.scratch_bytes)
        room, outputs = self._room(trials, steps)
        done = np.zeros(trials, np.int64) if feed.done is None else feed.done
        if self.plan.guard is not None:  # the steps that a stopped trial does not take stay without a value
            for array in outputs.values():
                array.fill(np.nan if array.dtype.kind == "f" else 0)
        block, _given = self._filled(memory, feed, arena, len(parts), done)
        self._let_write(block, room, trials, steps)
        start = perf_counter()
        pool().run(self.native, ctypes.addressof(block), parts)
        seconds = (perf_counter() - start) / (steps * trials)
        if teams == 1:
            self.choice.took(members > 1, seconds)
        if trials > 1:
            self.sharing.took(teams == 1, seconds)
        return Results(outputs=outputs, done=done)

    def again(self, memory: NumpyMemory, feed: Feed, x: Array, output: str) -> Array:
        """One output for other rows x [rows, ...]: of what a call gets, only the place of x is new."""
        if x.dtype is not self.gathered or not x.size or not x.flags.c_contiguous:
            return self.run(memory, replace(feed, x=x)).outputs[output]
        arena = self.arenas.take()
        try:
            steady = self._steady.get(arena)
            if steady is None or steady.memory is not memory or steady.feed is not feed or steady.moves != arena.moves:
                steady = self._steady[arena] = _Steady(self, memory, feed, arena)
            steady.block.x = address(x)
            if self.threads == 1:
                arena.counters(self.counter_bytes)
                pool().alone(self.native, steady.address)
            else:
                self._shared(steady, arena)
            return steady.outputs[output].copy()
        finally:
            arena.lock.release()

    def _shared(self, steady: _Steady, arena: Arena) -> None:
        """The call by as many threads as it is worth."""
        arena.barrier()
        members = self._members(steady.steps)
        arena.counters(members * self.counter_bytes)
        start = perf_counter()
        pool().run(self.native, steady.address, _parts(members, 1))
        self.choice.took(members > 1, (perf_counter() - start) / steady.steps)

    def _filled(self, memory: NumpyMemory, feed: Feed, arena: Arena, parts: int, done: Array) -> tuple[Any, dict[str, Array]]:
        """The argument block for `parts` threads, but for the places of the outputs -> it, and the arrays that it points to."""
        trials, steps = feed.order.shape[:2]
        given = {name: np.ascontiguousarray(getattr(feed, name), dtype) for name, dtype in self.reads}
        numbers: dict[str, int] = {}
        if self.gathered is not None:
            arrays, numbers = stored(feed, self.gathered)
            given |= arrays
        block = self._block(
            state=memory.address, state_stride=memory.stride, work=arena.work_address, work_stride=self.work_stride,
            scratch=arena.scratch_address, scratch_stride=self.scratch_bytes, barrier=arena.barrier(),
            counters=arena.counters(parts * self.counter_bytes), done=address(done), steps=steps, trials=trials, **numbers,
            **{name: address(array) for name, array in given.items()},
        )  # fmt: skip
        return block, given

    def _room(self, trials: int, steps: int) -> tuple[Array, dict[str, Array]]:
        """Room for all outputs, and each as an array in it."""
        places, size = self._layout(trials, steps)
        room = np.empty(size, np.uint8)
        return room, {name: np.ndarray(shape, dtype, room, start) for name, shape, dtype, start in places}

    def _let_write(self, block: Any, room: Array, trials: int, steps: int) -> None:
        """Tells where the outputs lie."""
        first = address(room)
        for number, (*_, start) in enumerate(self._layout(trials, steps)[0]):
            block.outputs[number] = first + start

    def _places(self, trials: int, steps: int) -> tuple[list[tuple[str, tuple[int, ...], np.dtype[Any], int]], int]:
        """(name, shape, type, start) of each output in the room for all of them, and the bytes of that room."""
        made, size = [], 0
        for name, buffer in self.plan.outputs:
            made.append((name, (trials, steps, *buffer.shape), np.dtype(buffer.dtype), size))
            size += -(-trials * steps * buffer.bytes // ALIGNMENT) * ALIGNMENT
        return made, max(size, ALIGNMENT)

    def _teams(self, trials: int, steps: int) -> int:
        """With fewer trials than cores, threads share each trial; with more they take trials, unless to share each was quicker."""
        if trials == 1 or (trials < self.cores and self.threads > 1):
            return 1
        long = self.threads > 1 and self.gain * steps * trials > LONG
        return 1 if long and self.sharing.together() else min(trials, self.cores)

    def _members(self, steps: int) -> int:
        """The threads that share each trial, for so many steps in all."""
        saved = self.gain * steps
        return self.threads if saved > LONG or (saved > START and self.choice.together()) else 1

    def source(self) -> str:
        """The step as text: phases, calls, and the bodies of the fused kernels."""
        return listing(self.plan, self.kernels, self.threads)


class _Steady:
    """A call that is made again and again with other rows: all of its arguments that stay as they are, and room for what it makes."""

    def __init__(self, executable: NumpyExecutable, memory: NumpyMemory, feed: Feed, arena: Arena) -> None:
        self.memory, self.feed = memory, feed
        self.trials, self.steps = feed.order.shape[:2]
        threads = executable.threads
        arena.reserve(threads * executable.work_stride, threads * executable.scratch_bytes)
        self._done = np.zeros(self.trials, np.int64)
        self.block, self._given = executable._filled(memory, feed, arena, threads, self._done)
        room, self.outputs = executable._room(self.trials, self.steps)
        executable._let_write(self.block, room, self.trials, self.steps)
        self.address = ctypes.addressof(self.block)
        self.moves = arena.moves


class NumpyBackend:
    """NumPy arrays, native steps."""

    name = "numpy"
    target = Target(fuses=True, joins=frozenset({"matmul", "conv", "conv_data_gradient"}))

    def __init__(
        self, *, threads: int | Literal["auto"] = "auto", processor: processors.Processor | None = None, cache: ObjectCache | None = None
    ) -> None:
        self.threads = processors.usable_cores() if threads == "auto" else threads
        self.processor = processor or processors.host()
        self.cache = cache or ObjectCache()
        self.arenas = Arenas(processors.usable_cores())

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> NumpyMemory:
        """Zeroed memory."""
        return NumpyMemory(state, trials)

    def load(self, plan: Plan) -> NumpyExecutable:
        """Compiles `plan`, or takes its object code from the cache."""
        return NumpyExecutable(plan, self.processor, self.cache, self.threads, self.arenas)

    def scratch_bytes(self, plan: Plan) -> int:
        """What the threads that share a trial pack."""
        kernels = kernels_of(plan, self.processor)
        return _scratch(kernels) * (self.threads if _gain(plan, kernels) > 0 else 1)

    def free_bytes(self) -> None:
        """The memory of the machine."""

    def borrow(self, x: Any, precision: str) -> None:
        """The memory of the machine is all there is: no x [...] lies elsewhere."""


def create(*, threads: int | Literal["auto"] = "auto") -> NumpyBackend:
    """The backend for this machine."""
    return NumpyBackend(threads=threads)


def _scratch(kernels: dict[int, Kernel]) -> int:
    """Bytes a thread needs."""
    return max([ALIGNMENT, *(-(-k.scratch // ALIGNMENT) * ALIGNMENT for k in kernels.values())])


def _without_names(plan: Plan) -> tuple[object, ...]:
    """What decides the step's code: places and sizes, not names."""
    places = [[(b.region, b.offset, b.bytes, b.dtype) for b in (*c.inputs, *c.outputs)] for c in plan.calls]
    calls = [(c.op, c.phase, sorted(map(str, c.attributes.items())), p) for c, p in zip(plan.calls, places, strict=True)]
    outputs = [(b.region, b.offset, b.bytes) for _, b in plan.outputs]
    guard = (plan.guard.offset, plan.guard_phase) if plan.guard else None
    return (plan.precision, plan.batch, calls, len(plan.values), len(plan.words), outputs, guard)


def _gain(plan: Plan, kernels: dict[int, Kernel]) -> float:
    """Seconds of a step that a second thread saves, negative where its barriers cost more."""
    seconds = 0.0
    for number, kernel in kernels.items():
        call = plan.calls[number]
        moved = sum(b.bytes for b in {*call.inputs, *call.outputs} if b.region in ("state", "work"))
        seconds += max(kernel.flops / FLOPS, moved / BANDWIDTH)
    return seconds / 2 - BARRIER * plan.phases
