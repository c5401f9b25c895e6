"""Plans made ready and run: memory, threads, one native call for many steps."""

# K trials, S steps, T threads
from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal

import numpy as np
from llvmlite import ir

from backends.contract import ALIGNMENT, Array, Buffer, Feed, Plan, Results
from backends.numpy import cpu as processors
from backends.numpy.cache import ObjectCache, is_loaded, key, load
from backends.numpy.fused import instructions_by_stage
from backends.numpy.kernels import Kernel, kernel_of
from backends.numpy.progress import Compiling
from backends.numpy.step import FIELDS, StepProgram

# a core's rough speed, and seconds that a meeting of threads and their start cost: they decide whether threads pay
FLOPS, BARRIER, SUBMIT = 5e10, 2e-6, 5e-4


def aligned_bytes(count: int) -> Array:
    """`count` zero bytes that start at a multiple of the alignment."""
    raw = np.zeros(count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count]


def _data(feed: Feed) -> dict[str, Array]:
    return {"x": feed.x, "y": feed.y, "weight": feed.weight}


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])  # a third of the time of array.ctypes.data


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    """The threads of this process, beside the calling one."""
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="caviar")


class NumpyMemory:
    """The state of K trials: [K, slab] bytes, and the tensors in it as views."""

    def __init__(self, state: tuple[Buffer, ...], trials: int) -> None:
        self.trials = trials
        last = state[-1] if state else None
        size = last.offset + last.bytes if last else 0
        self.stride = max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
        self.bytes = aligned_bytes(self.stride * trials)
        self.buffers = {b.name: b for b in state}

    def view(self, trial: int, name: str) -> Array:
        """The tensor itself."""
        b = self.buffers[name]
        start = trial * self.stride + b.offset
        return self.bytes[start : start + b.bytes].view(b.dtype).reshape(b.shape)

    def read(self, trial: int, name: str) -> Array:
        """A copy of the tensor."""
        return self.view(trial, name).copy()

    def write(self, trial: int, name: str, value: Array) -> None:
        """Overwrites the tensor."""
        self.view(trial, name)[...] = value


class Arena:
    """Room for the values of a step, and for what threads pack, grown when a plan needs more.

    The executables of a backend share it, as one runs at a time.
    """

    def __init__(self) -> None:
        self.work = aligned_bytes(0)
        self.scratch = aligned_bytes(0)

    def reserve(self, work: int, scratch: int) -> None:
        """At least so many bytes of each."""
        if self.work.size < work:
            self.work = aligned_bytes(0)  # given back first, so that the old and the new never take memory together
            self.work = aligned_bytes(work)
        if self.scratch.size < scratch:
            self.scratch = aligned_bytes(scratch)


class NumpyExecutable:
    """A compiled plan."""

    def __init__(self, plan: Plan, processor: processors.Processor, cache: ObjectCache, threads: int, arena: Arena) -> None:
        self.plan, self.arena = plan, arena
        self.kernels = _kernels(plan, processor)
        # kernels first: the step links to them by name
        made = cache.made
        distinct = {kernel.symbol: kernel for kernel in self.kernels.values()}
        with Compiling(f"{plan.name}, batch {plan.batch}", len(distinct)) as progress:
            # one by one: llvmlite lets one thread at a time into LLVM
            for number, kernel in enumerate(distinct.values()):
                progress.done(number)
                _ready(kernel.symbol, kernel.build, processor, cache)
        symbol = f"step_{key(processor, _without_names(plan), [k.symbol for k in self.kernels.values()])}"

        def build() -> ir.Module:
            module = ir.Module(symbol)
            StepProgram(module, symbol, plan, self.kernels, processor).emit()
            return module

        address = _ready(symbol, build, processor, cache)
        if cache.made > made:
            cache.prune()
        self.native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)(address)
        self.gain = _gain(plan, self.kernels) if threads > 1 else 0.0
        self.threads = threads if self.gain > 0 else 1
        self.cores = threads
        self.scratch_bytes = _scratch(self.kernels)
        self.work_stride = max(ALIGNMENT, plan.work_bytes)
        self.gathered = {c.attributes["source"]: np.dtype(c.outputs[0].dtype) for c in plan.calls if c.op == "gather"}

    def run(self, memory: NumpyMemory, feed: Feed) -> Results:
        """Runs every trial and step of the feed."""
        plan = self.plan
        trials, steps = feed.order.shape[:2]
        # with as many trials as cores, threads take trials; with fewer, they share each trial
        teams = min(trials, self.cores) if trials > 1 and (trials >= self.cores or self.threads == 1) else 1
        members = self.threads if teams == 1 and self.gain * steps > SUBMIT else 1
        self.arena.reserve(teams * self.work_stride, teams * members * self.scratch_bytes)
        # steps that a stopped trial did not take stay without a value
        blank = {"float32": np.nan, "float64": np.nan}
        outputs = {name: np.full((trials, steps, *b.shape), blank.get(b.dtype, 0), b.dtype) for name, b in plan.outputs}
        done, barrier = np.zeros(trials, np.int64), aligned_bytes(ALIGNMENT).view(np.int64)
        data = {s: np.ascontiguousarray(a, self.gathered.get(s, a.dtype)) for s, a in _data(feed).items()}
        order = np.ascontiguousarray(feed.order, np.int64)
        values = np.ascontiguousarray(feed.values, plan.precision)
        words = np.ascontiguousarray(feed.words, np.uint32)
        address = {
            "state": memory.bytes, "work": self.arena.work, **data, "order": order, "values": values, "words": words,
            "barrier": barrier, "done": done, "scratch": self.arena.scratch,
        }  # fmt: skip
        number = {
            "state_stride": memory.stride, "work_stride": self.work_stride, "steps": steps, "trials": trials,
            "scratch_stride": self.scratch_bytes,
        }  # fmt: skip
        fields = [_address(address[f]) if f in address else number[f] for f in FIELDS]
        block = np.array(fields + [_address(a) for a in outputs.values()], np.int64)
        parts = [(m, members, t, teams) for t in range(teams) for m in range(members)]
        others = [pool(self.cores).submit(self.native, _address(block), *part) for part in parts[1:]]
        self.native(_address(block), *parts[0])
        for other in others:
            other.result()
        return Results(outputs=outputs, done=done)

    def source(self) -> str:
        """The step as text: phases, calls, and the bodies of the fused kernels."""
        lines = [f"step {self.plan.name}: {self.threads} threads, {self.plan.phases} phases with a barrier after each"]
        phase = -1
        for n, call in enumerate(self.plan.calls):
            if call.phase != phase:
                phase = call.phase
                if self.plan.guard is not None and phase == self.plan.guard_phase:
                    lines.append(f"  stop here unless {self.plan.guard.name} is finite")
                lines.append(f"phase {phase}")
            if call.body is not None:
                lines.append(f"  {self.kernels[n].symbol[:14]}:")
                lines += [f"    {line}" for line in instructions_by_stage(call.body)]
            elif call.op == "gather":
                lines.append(f"  gather the rows of {call.attributes['source']} in the step's order")
            else:
                shapes = " x ".join(str(list(b.shape)) for b in call.inputs)
                transposed = "".join(f" {k}" for k, v in call.attributes.items() if v)
                lines.append(
                    f"  {self.kernels[n].symbol[:15]}: {call.name} = {call.op}({shapes}{transposed}), {self.kernels[n].tiles} tiles"
                )
        return "\n".join(lines)


class NumpyBackend:
    """NumPy arrays, native steps."""

    name = "numpy"
    keeps: frozenset[str] = frozenset()
    fuses = True
    joins: frozenset[str] = frozenset({"matmul", "conv", "conv_data_gradient"})

    def __init__(
        self, *, threads: int | Literal["auto"] = "auto", processor: processors.Processor | None = None, cache: ObjectCache | None = None
    ) -> None:
        self.threads = processors.usable_cores() if threads == "auto" else threads
        self.processor = processor or processors.host()
        self.cache = cache or ObjectCache()
        self.arena = Arena()

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> NumpyMemory:
        """Zeroed memory."""
        return NumpyMemory(state, trials)

    def load(self, plan: Plan) -> NumpyExecutable:
        """Compiles `plan`, or takes its object code from the cache."""
        return NumpyExecutable(plan, self.processor, self.cache, self.threads, self.arena)

    def scratch_bytes(self, plan: Plan) -> int:
        """What the threads that share a trial pack."""
        kernels = _kernels(plan, self.processor)
        return _scratch(kernels) * (self.threads if _gain(plan, kernels) > 0 else 1)


def create(*, threads: int | Literal["auto"] = "auto") -> NumpyBackend:
    """The backend for this machine."""
    return NumpyBackend(threads=threads)


def _kernels(plan: Plan, processor: processors.Processor) -> dict[int, Kernel]:
    return {n: kernel_of(call, plan.precision, processor) for n, call in enumerate(plan.calls) if call.op != "gather"}


def _scratch(kernels: dict[int, Kernel]) -> int:
    """Bytes a thread needs."""
    return max([ALIGNMENT, *(-(-k.scratch // ALIGNMENT) * ALIGNMENT for k in kernels.values())])


def _ready(symbol: str, build: object, processor: processors.Processor, cache: ObjectCache) -> int:
    assert callable(build)
    code = b"" if is_loaded(symbol) else cache.get(symbol, processor, build)
    return load(symbol, symbol, code, processor)


def _without_names(plan: Plan) -> tuple[object, ...]:
    """What decides the step's code: places and sizes, not names."""
    places = [[(b.region, b.offset, b.bytes, b.dtype) for b in (*c.inputs, *c.outputs)] for c in plan.calls]
    calls = [(c.op, c.phase, sorted(map(str, c.attributes.items())), p) for c, p in zip(plan.calls, places, strict=True)]
    outputs = [(b.region, b.offset, b.bytes) for _, b in plan.outputs]
    guard = (plan.guard.offset, plan.guard_phase) if plan.guard else None
    return (plan.precision, plan.batch, calls, len(plan.values), len(plan.words), outputs, guard)


def _gain(plan: Plan, kernels: dict[int, Kernel]) -> float:
    """Seconds of a step that a second thread saves, negative where its barriers cost more."""
    return sum(k.flops for k in kernels.values()) / FLOPS / 2 - BARRIER * plan.phases
