"""How long a step of a plan takes, by a model: what `backend=auto` chooses by.

A phase takes what starts it, and the longest of its arithmetic, its memory traffic and its longest chain of additions:

    seconds = sum over phases of start + max(flops / (rate busy), bytes / (bandwidth busy / parts), chain link)

where `busy` of the `parts` of a machine have work: cores, or multiprocessors with blocks for them.  Of K trials flops, bytes and blocks
are K times those of one.  The model says which of two machines is faster where they are far apart, and no more.
"""

# K trials, M rows, N columns of a product
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends.contract import RUN, Body, Call, Plan

LANES = 16  # chains of a sum over neighbours
CALM = 1 << 17  # operations of a phase below which a second core is not woken


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a step runs on.

    parts      cores, or multiprocessors
    rate       operations a second of one part, by precision
    bandwidth  bytes a second of all parts from memory; cached: from a cache of `cache` bytes, where a step's numbers fit
    start      seconds before each phase
    link       seconds of an addition that waits for the one before it, where a thread of its own makes the chain; 0: part of the rate
    measured   whether these numbers have been measured on such a machine
    """

    name: str
    parts: int
    rate: Mapping[str, float]
    bandwidth: float
    cached: float
    cache: int
    start: float
    link: float = 0.0
    measured: bool = True


def processor(cores: int, vector_bytes: int) -> Machine:
    """This kind of CPU.

    Measured (benchmarks/RESULTS.md, roofline): 169 GFLOP/s of float32 a core with vectors of 64 bytes, 22 GB/s a core from memory, 89 from
    the second-level cache; whole steps reach 0.45 of that arithmetic (mlp), and a small one takes 1 us a phase (mlp_small).
    """
    rate = 0.45 * 169e9 * vector_bytes / 64
    return Machine(
        name=f"{cores} core{'s' if cores > 1 else ''}", parts=cores, rate={"float32": rate, "float64": rate / 2}, bandwidth=22e9 * cores,
        cached=89e9 * cores, cache=cores << 20, start=1e-6,
    )  # fmt: skip


def graphics(name: str, *, multiprocessors: int, clock: float, lanes: int, double: int, bandwidth: float, cache: int) -> Machine:
    """A GPU by the attributes that its driver tells: clock in Hz, lanes multiply-adds a clock, of float64 one `double`-th.

    Not measured on any: the share of the arithmetic that the products reach, a quarter, follows from their tiles (8 loads from shared
    memory, 32 lanes a clock, for 16 multiply-adds a thread at best, 2 for 1 at worst); a launch within a graph is 2.2 us, the upper end of
    what others read; a link of a chain is a load from shared memory and an addition, 34 clocks.
    """
    rate = 0.25 * 2 * lanes * clock
    return Machine(
        name=name, parts=multiprocessors, rate={"float32": rate, "float64": rate / double}, bandwidth=0.8 * bandwidth,
        cached=0.8 * bandwidth, cache=cache, start=2.2e-6, link=34 / clock, measured=False,
    )  # fmt: skip


def seconds(plan: Plan, trials: int, machine: Machine, blocks: Callable[[int], int] | None = None) -> float:
    """A step of `plan` for so many trials.  blocks: of a call by its number, on a GPU; None: a call has work for all parts."""
    held = trials * (plan.state_bytes + plan.work_bytes)
    bandwidth = machine.cached if held <= machine.cache else machine.bandwidth
    total = 0.0
    for phase in range(plan.phases):
        calls = [(n, c) for n, c in enumerate(plan.calls) if c.phase == phase]
        flops, traffic = (trials * sum(of(c) for _, c in calls) for of in (operations, moved))
        tasks = trials * sum(blocks(n) for n, _ in calls) if blocks is not None else machine.parts if flops > CALM else 1
        busy = min(machine.parts, tasks)
        share = busy / machine.parts
        longest = max(chain(c) for _, c in calls)
        total += machine.start + max(flops / (machine.rate[plan.precision] * busy), traffic / (bandwidth * share), longest * machine.link)
    return total


def operations(call: Call) -> float:
    """Additions and multiplications of a call; where it only moves numbers, how many."""
    product = call.product.op if call.product else call.op
    made = max((b.count for b in call.outputs), default=0)
    after = float(call.body.rows * call.body.columns * len(call.body.instructions)) if call.body is not None else 0.0
    match product:
        case "matmul":
            attributes = call.product.attributes if call.product else call.attributes
            a, b = (buffer.shape for buffer in call.inputs[:2])
            columns = b[0] if attributes.get("transpose_b") else b[1]
            return 2.0 * math.prod(a) * columns + after
        case "conv":
            weight = call.inputs[1].shape
            grid = call.body.rows * call.body.columns if call.body is not None else made
            return 2.0 * grid * math.prod(weight[:3]) + after
        case "conv_data_gradient":
            return 2.0 * call.inputs[0].count * math.prod(call.inputs[1].shape[:3]) + after
        case "conv_weight_gradient":
            return 2.0 * call.inputs[1].count * math.prod(call.outputs[0].shape[1:4])
    return after or float(made * math.prod(call.attributes.get("window", ())))


def moved(call: Call) -> float:
    """Bytes that a call reads and writes, each buffer once."""
    return float(sum(b.bytes for b in (*call.inputs, *call.outputs)))


def chain(call: Call) -> int:
    """The longest chain of additions in a call's sums, but for those of products, which run in registers."""
    return 0 if call.body is None else sum(_link(call.body, stage) for stage in range(max(call.body.stages.values(), default=0)))


def _link(body: Body, stage: int) -> int:
    sums = [i for i in body.reductions if body.stages[i.name] == stage + 1]
    down = any(i.level == "column" for i in sums)
    numbers = body.rows // body.blocks if down else min(body.columns, RUN if body.blocks > 1 else body.columns) // LANES
    return numbers if sums else 0
