"""`python -m benchmarks.formulas`: steps with a formula beside steps with what is built in of the same formula; writes FORMULAS.md."""

# S steps, B batch rows
from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import commit, machine
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import compile_experiment

ROUNDS, STEPS, BATCH = 21, 60, 128
NUMBERS = DataShape(input_shape=(256,), classes=None, targets=8)
ADAM = {
    "kind": "formula",
    "learning_rate": 1e-3,
    "slots": ["m", "v"],
    "values": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "update": {
        "m": "beta1 * m + (1 - beta1) * g",
        "v": "beta2 * v + (1 - beta2) * g ** 2",
        "step": "learning_rate / (1 - beta1 ** t) * m / (sqrt(v / (1 - beta2 ** t)) + epsilon)",
    },
}
HUBER = {
    "kind": "formula",
    "values": {"delta": 1.0},
    "row": "where(abs(prediction - target) > delta, delta * (abs(prediction - target) - delta / 2), (prediction - target) ** 2 / 2)",
}
# what is compared -> the groups with a formula, and those with what is built in
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "silu": ({"activation": {"kind": "formula", "forward": "x * sigmoid(x)"}}, {"activation": {"kind": "silu"}}),
    "adam": ({"optimizer": ADAM}, {"optimizer": {"kind": "adam"}}),
    "huber": ({"loss": HUBER}, {"loss": {"kind": "huber"}}),
}


def main() -> None:
    """Prints and writes the table."""
    rows = []
    for name, groups in PAIRS.items():
        programs = [_program(changes) for changes in groups]
        times = _in_turn(programs)
        ours, theirs = (statistics.median(each) for each in times)
        ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
        same = all((a == b).all() for a, b in zip(*(p.parameters().values() for p in programs), strict=True))
        rows.append(f"| {name} | {1e6 * ours:.1f} | {1e6 * theirs:.1f} | {ratio:.3f} | {'the same' if same else 'others'} |")
        print(rows[-1], flush=True)
    head = "| formula of | formula, us a step | built in, us a step | ratio | weights after all steps |\n|---|---|---|---|---|\n"
    what = (
        f"# Formulas beside what is built in\n\n`python -m benchmarks.formulas`: {ROUNDS} rounds of {STEPS} steps of each in turn, "
        "medians; the ratio is the median of the rounds' ratios.\n"
        f"256-512-512-8 in float32, batches of {BATCH}, Adam and relu but for what is compared.\n\n"
    )
    (Path(__file__).parent / "FORMULAS.md").write_text(
        f"{what}{head}{chr(10).join(rows)}\n\n{machine()}, at {commit()}\n", encoding="utf-8"
    )


def _program(changes: dict[str, Any]) -> Any:
    config = {
        "architecture": {"layers": [{"kind": "dense", "units": 512}, {"kind": "dense", "units": 512}]},
        "training": {"batch_size": BATCH},
        "loss": {"kind": "mean_squared_error"},
        **changes,
    }
    return compile_experiment(experiment(config), NUMBERS)


def _in_turn(programs: list[Any]) -> list[list[float]]:
    """Seconds a step, round by round, of each program; who is first changes from round to round."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1024, 256)).astype(np.float32), rng.normal(size=(1024, 8)).astype(np.float32)
    times: list[list[float]] = [[] for _ in programs]
    for turn in range(ROUNDS + 1):
        order = rng.integers(0, len(x), (STEPS, BATCH))
        for index in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            programs[index].run(x, y, order)
            if turn:  # the first one loads the kernels
                times[index].append((time.perf_counter() - began) / STEPS)
    return times


if __name__ == "__main__":
    main()
