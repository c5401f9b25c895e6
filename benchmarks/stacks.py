"""What training together costs and gives: trials of one structure as a stack, and the same trials one after another.

Steps alone, without data, validation or record: the seconds of a stack beside the sum of those of its members, in turn.  Wall clock and
CPU both: on a machine that others share, the CPU seconds are the steadier of the two.
"""

# K trials, S steps, B batch rows
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pipeline
from benchmarks.compare import Yard

CASES: dict[str, tuple[tuple[str, ...], int, int]] = {  # overrides, trials, steps of each round
    "MLP 784-512-512-10 with batch norm": (
        ("architecture.layers=[{kind: dense, units: 512},{kind: dense, units: 512}]", "normalization=batch", "data.input_shape=[28,28,1]"),
        8,
        200,
    ),
    "cnn_small": (("architecture=cnn_small", "data.input_shape=[28,28,1]"), 4, 20),
    "mlp_small": (("architecture=mlp_small", "data.input_shape=[8,8,1]"), 64, 400),
}
COMMON = ("training=fixed", "regularization=none", "optimizer=adam", "data.classes=10", "training.batch_size=64", "tracking=none")
LIMIT = 1.03
ROWS = 4096


def stacks(yard: Yard, *, quick: bool = False) -> dict[str, Any]:
    """case -> seconds of wall and CPU together and alone, round by round, and whether the losses are the same to the last bit."""
    found = {}
    for name, (words, trials, steps) in CASES.items():
        cfgs = [pipeline.compose([*COMMON, *words, f"seed={k}", f"optimizer.learning_rate={0.001 * (k + 1)}"]) for k in range(trials)]
        found[name] = _case(cfgs, 3 if quick else steps, 1 if quick else 5, yard)
    return found


def _case(cfgs: Sequence[dict[str, Any]], steps: int, rounds: int, yard: Yard) -> dict[str, Any]:
    stack = pipeline.stack(cfgs)
    alone = [pipeline.compile(cfg) for cfg in cfgs]
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, *cfgs[0]["data"]["input_shape"]))
    y = rng.integers(0, 10, ROWS)
    x = np.asarray(x, np.float32)
    orders = rng.integers(0, ROWS, (len(cfgs), steps, cfgs[0]["training"]["batch_size"]))
    same = bool(
        np.array_equal(stack.run(x, y, orders), np.stack([program.run(x, y, order) for program, order in zip(alone, orders, strict=True)]))
    )
    seconds: dict[str, dict[str, list[float]]] = {way: {"wall": [], "cpu": []} for way in ("together", "alone")}
    for number in range(rounds):
        ways: list[tuple[str, Callable[[], Any]]] = [
            ("together", lambda: stack.run(x, y, orders)),
            ("alone", lambda: [program.run(x, y, order) for program, order in zip(alone, orders, strict=True)]),
        ]
        for way, work in ways[:: 1 if number % 2 else -1]:
            yard.ready(1)
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            seconds[way]["wall"].append(time.perf_counter() - wall)
            seconds[way]["cpu"].append(time.process_time() - cpu)
    return {"trials": len(cfgs), "steps": steps, "seconds": seconds, "same_losses": same}
