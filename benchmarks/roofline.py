"""Each kernel of a training step against the ceilings of this machine."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.contract import Array, Buffer, Call
from backends.numpy.executor import NumpyExecutable
from backends.numpy.kernels.kernel import Kernel
from backends.numpy.machine.cache import loaded
from backends.numpy.machine.memory import aligned_bytes
from benchmarks.ceilings import ceilings
from benchmarks.contenders import own
from benchmarks.machine import stamp
from benchmarks.workloads import WORKLOADS

PROFILED = ("mlp", "cnn")


def roofline(*, quick: bool = False) -> dict[str, Any]:
    """The ceilings, and for each profiled workload its kernels, slowest first, and the whole step."""
    machine = ceilings(quick=quick)
    return {**stamp(), "ceilings": machine, "steps": {name: profile(name, machine, quick=quick) for name in PROFILED}}


def profile(name: str, machine: Mapping[str, Any], *, quick: bool = False) -> dict[str, Any]:
    """The kernels of one training step, each alone on one core with its operands as warm as they stay, and the step on all cores."""
    w = WORKLOADS[name]
    w = w.quick() if quick else w
    program = own.program(w)
    executable = program.structure.executable("train", w.batch)
    assert isinstance(executable, NumpyExecutable)
    rows = []
    for number, kernel in executable.kernels.items():
        call = executable.plan.calls[number]
        seconds = seconds_of(call, kernel, repeats=2 if quick else 15)
        rows.append({"name": call.name, "op": op_of(call), "tiles": kernel.tiles, **rated(seconds, kernel.flops, bytes_of(call), machine)})
    x, y = w.data()
    times = []
    for _ in range(2 if quick else 7):
        start = time.perf_counter()
        program.run(x, y, own.order(w, 0, w.steps))
        times.append((time.perf_counter() - start) / w.steps)
    flops = sum(k.flops for n, k in executable.kernels.items() if is_product(executable.plan.calls[n]))
    step = min(times)
    most = max(machine["flops"].values())
    return {
        "threads": executable.threads,
        "kernels": sorted(rows, key=lambda row: -row["seconds"]),
        "one_core_seconds": sum(row["seconds"] for row in rows),
        "step_seconds": step,
        "product_flops": flops,
        "step_share": flops / step / most,
    }


def op_of(call: Call) -> str:
    """What the kernel does: an op, a fused body, or a product that goes on in one."""
    if call.product:
        return f"{call.product.op} + fused"
    return f"fused {call.body.kind}" if call.body else call.op


def is_product(call: Call) -> bool:
    """Whether the call's operations are multiply-adds of a product or a convolution."""
    return (call.product.op if call.product else call.op).startswith(("matmul", "conv"))


def bytes_of(call: Call) -> int:
    """Bytes of all operands and results, each counted once."""
    places = {(b.region, b.offset, b.bytes) for b in (*call.inputs, *call.outputs)}
    return sum(size for _, _, size in places)


def level_of(size: int, levels: Mapping[str, int]) -> str:
    """The first level of memory that holds `size` bytes."""
    return next((level for level, room in levels.items() if level != "memory" and size <= 2 * room), "memory")


def rated(seconds: float, flops: float, moved: int, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Rates, and the share of the ceiling: the time that the binding one of arithmetic and memory would need, over the time taken."""
    level = level_of(moved, machine["sizes"])
    arithmetic, memory = flops / machine["flops"]["one core"], moved / machine["bytes"][level]["one core"]
    return {
        "seconds": seconds,
        "flops": flops / seconds,
        "bytes": moved / seconds,
        "level": level,
        "bound": "arithmetic" if arithmetic >= memory else level,
        "share": max(arithmetic, memory) / seconds,
    }


def seconds_of(call: Call, kernel: Kernel, *, repeats: int) -> float:
    """The least processor time of the whole call on one core, over memory of its own."""
    buffers = (*call.inputs, *call.outputs)
    arrays: dict[tuple[str, int], Array] = {}
    for b in buffers:  # what lies at one place stays at one place
        if (b.region, b.offset) not in arrays or arrays[b.region, b.offset].size < b.bytes:
            arrays[b.region, b.offset] = filled(b)
    scratch = aligned_bytes(max(64, kernel.scratch))
    pointers = [arrays[b.region, b.offset].ctypes.data for b in buffers]
    kinds = [*[ctypes.c_void_p] * len(pointers), *[ctypes.c_int32] * len(kernel.paths), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    function = ctypes.CFUNCTYPE(None, *kinds)(address_of(kernel))
    arguments = (*pointers, *(path % 1000 for path in kernel.paths), scratch.ctypes.data, 0, kernel.tiles)
    function(*arguments)
    # a small kernel is called often enough for the clock
    start = time.perf_counter()
    function(*arguments)
    calls = max(1, min(1000, int(2e-4 / max(1e-7, time.perf_counter() - start))))
    best = float("inf")
    for _ in range(repeats):
        start = time.thread_time()
        for _ in range(calls):
            function(*arguments)
        best = min(best, (time.thread_time() - start) / calls)
    return best


def address_of(kernel: Kernel) -> int:
    """Where the kernel, loaded with its plan, lies."""
    address = loaded(kernel.symbol)
    assert address is not None, f"{kernel.symbol} belongs to no plan that was loaded"
    return address


def filled(buffer: Buffer) -> Array:
    """Memory for `buffer`: numbers from 0.5 to 1, or zeros where they are integers, which may be classes or places."""
    array = aligned_bytes(max(64, buffer.bytes))
    if buffer.dtype.startswith("float"):
        numbers = array[: buffer.bytes].view(buffer.dtype)
        numbers[:] = np.random.default_rng(0).uniform(0.5, 1, numbers.size)
    return array
