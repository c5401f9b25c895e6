"""Trains and evaluates a convolutional net, then prints [planned, measured] bytes: a process of its own for test_memory.py."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import numpy as np

from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import compile_experiment

LAYERS = [
    {"kind": "conv", "channels": 32, "kernel": 3, "normalization": {"kind": "batch"}},
    {"kind": "conv", "channels": 32, "kernel": 3, "normalization": {"kind": "batch"}},
    {"kind": "max_pool", "kernel": 2},
    {"kind": "conv", "channels": 16, "kernel": 3},
]


def resident(field: str) -> int:
    """VmRSS, what this process holds now, or VmHWM, the most since the last reset -> bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main(settings: dict[str, object]) -> None:
    """`settings`: of the backend."""
    config = experiment({"architecture": {"layers": LAYERS}, "training": {"batch_size": 512}, "backend": {"kind": "numpy", **settings}})
    shape = DataShape(input_shape=(28, 28, 1), classes=10)
    compiled = compile_experiment(config, shape)  # what the compiler takes is not part of the plan
    compiled.prepare()
    compiled.structure.executable("fold", 1)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    rng = np.random.default_rng(0)
    x, y = rng.random((1500, 28, 28, 1), np.float32), rng.integers(0, 10, 1500).astype(np.int32)
    program = compile_experiment(config, shape)
    program.run(x, y, np.arange(1024).reshape(2, 512))
    program.evaluate(x, y)
    planned = program.structure.peak()
    assert planned is not None
    print(json.dumps([planned + x.nbytes + y.nbytes, resident("VmHWM") - before]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
