"""What this machine can do at most, measured: fused multiply-adds of registers, and a triad over arrays in each level of memory."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llvmlite import ir

from backends.numpy.emit.emitter import I64, POINTER, Emitter, Module, i64
from backends.numpy.machine import processor
from backends.numpy.machine.cache import compile_object, load
from backends.numpy.machine.memory import aligned_bytes
from benchmarks.machine import caches

CHAINS = 24  # of dependent multiply-adds side by side: more than latency times units of any processor here, and all in registers
FLOAT = 4


def fma_kernel(processor: processor.Processor) -> tuple[Any, float]:
    """kernel(out, rounds), vectors of x = x * y + z `rounds` times, all in registers; and the operations of a round."""
    symbol, lanes = f"benchmark_fma_{processor.name}", processor.vector_bytes // FLOAT
    chains = CHAINS if processor.vector_bytes == 64 else 12  # 32 registers, else 16

    def build() -> ir.Module:
        module = Module(symbol, processor)
        e = Emitter(module, symbol, [POINTER, I64])
        out, rounds = e.arguments
        kind = ir.VectorType(ir.FloatType(), lanes)
        # factor and term are read, so that the compiler cannot know them
        y, z = (e.load_vector(e.at(out, n * lanes, "float32"), "float32", lanes=lanes, valid=lanes) for n in (0, 1))
        before = e.b.block
        with e.loop(0, rounds) as index:
            body = e.b.block
            e.b.position_at_start(index.parent)
            values = [e.b.phi(kind) for _ in range(chains)]
            e.b.position_at_end(body)
            for n, value in enumerate(values):
                value.add_incoming(ir.Constant(kind, [float(n)] * lanes), before)
                value.add_incoming(e.fma(value, y, z), body)
        total = values[0]
        for value in values[1:]:
            total = e.b.fadd(total, value)
        e.store_vector(total, out, "float32", lanes=lanes, valid=lanes)
        e.finish()
        return module

    return _function(symbol, build, processor, 1), 2.0 * chains * lanes


def triad_kernel(processor: processor.Processor) -> Any:
    """kernel(a, b, c, numbers): a = b + 3 c."""
    symbol = f"benchmark_triad_{processor.name}"

    def build() -> ir.Module:
        module = Module(symbol, processor)
        e = Emitter(module, symbol, [POINTER, POINTER, POINTER, I64])
        a, b, c, numbers = e.arguments
        with e.loop(0, numbers, 64) as index:
            for part in range(4):
                places = [e.at(p, e.b.add(index, i64(16 * part)), "float32") for p in (a, b, c)]
                x, y = (e.load_vector(place, "float32") for place in places[1:])
                e.store_vector(e.fma(y, e.literal(3.0, y.type), x), places[0], "float32")
        e.finish()
        return module

    return _function(symbol, build, processor, 3)


def _function(symbol: str, build: Callable[[], ir.Module], processor: processor.Processor, pointers: int) -> Any:
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers, ctypes.c_int64)
    return prototype(load(symbol, compile_object(processor, build), processor))


def fastest(work: Sequence[Callable[[], object]], repeats: int) -> float:
    """The least seconds in which all of `work` is done, each part in a thread of its own; of a single part, of processor time."""
    best, clock = float("inf"), time.perf_counter if len(work) > 1 else time.thread_time
    with ThreadPoolExecutor(max(1, len(work) - 1)) as pool:
        for _ in range(repeats):
            start = clock()
            others = [pool.submit(part) for part in work[1:]]
            work[0]()
            for other in others:
                other.result()
            best = min(best, clock() - start)
    return best


def peak_flops(threads: int, *, rounds: int = 4_000_000, repeats: int = 7) -> float:
    """Multiply and add operations a second, of `threads` cores together."""
    kernel, per_round = fma_kernel(processor.host())
    outs = [aligned_bytes(4096) for _ in range(threads)]
    for out in outs:
        out.view("float32")[:] = 0.5
    seconds = fastest([lambda out=out: kernel(out.ctypes.data, rounds) for out in outs], repeats)  # type: ignore[misc]
    return per_round * rounds * threads / seconds


def sizes() -> dict[str, int]:
    """Level -> bytes of three arrays together that lie in it: half of a cache; for memory four times the last cache."""
    known = caches() or {1: 32 * 2**10, 2: 2**20, 3: 16 * 2**20}
    last = max(known)
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else 2**30
    return {**{f"L{level}": size // 2 for level, size in known.items()}, "memory": min(4 * known[last], free // 4)}


def bandwidth(size: int, threads: int, *, moved: float = 2e9, repeats: int = 5) -> float:
    """Bytes a second of a triad over `size` bytes for each of `threads` cores; a written number counts once, as a read one does."""
    kernel = triad_kernel(processor.host())
    numbers = max(64, size // 3 // FLOAT // 64 * 64)
    times = max(1, int(moved / threads / (3 * FLOAT * numbers)))
    arrays = [[aligned_bytes(FLOAT * numbers) for _ in range(3)] for _ in range(threads)]

    def part(pointers: list[int]) -> None:
        for _ in range(times):
            kernel(*pointers, numbers)

    parts = [lambda p=[a.ctypes.data for a in mine]: part(p) for mine in arrays]
    return 3 * FLOAT * numbers * times * threads / fastest(parts, repeats)


def ceilings(*, quick: bool = False) -> dict[str, Any]:
    """{"flops": {"one core": .., "N cores": ..}, "bytes": {level: the same}}, a second; shared levels get the same size from all cores."""
    cores = processor.usable_cores()
    counts = {"one core": 1, **({f"{cores} cores": cores} if cores > 1 else {})}
    repeats, rounds, moved = (2, 100_000, 1e8) if quick else (7, 4_000_000, 2e9)
    flops = {name: peak_flops(n, rounds=rounds, repeats=repeats) for name, n in counts.items()}
    levels = {}
    for level, size in sizes().items():
        size = min(size, 2**25) if quick else size
        shared = level == "memory" or level == f"L{max(caches() or {3: 0})}"
        share = {name: size // n if shared else size for name, n in counts.items()}
        levels[level] = {name: bandwidth(share[name], n, moved=moved, repeats=repeats) for name, n in counts.items()}
    return {"flops": flops, "bytes": levels, "sizes": sizes()}
