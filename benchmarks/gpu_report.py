"""`python -m benchmarks.gpu_report [--digests | --one NAME]`: what is shown on a GPU, in some minutes -> benchmarks/gpu/DATE.json.

bits      digests of all that training changes equal those of the CPU, which are committed (benchmarks/gpu/digests.json)
replays   steps in graphs equal steps whose kernels are launched one by one
resumed   half of a training on the CPU and half on the GPU equals all of it on the CPU
checked   compute-sanitizer's memcheck and racecheck, where it is installed
speed     device seconds a step, between events around whole runs: the sending of tables and the reading of losses are part of them

--digests writes those of the CPU anew, by the NumPy backend.  --one trains one workload for a few steps: what compute-sanitizer looks at.
PyTorch and JAX are not timed here yet.
"""

# N rows, K trials, S steps, B batch rows
from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

import backends
import pipeline
from backends.contract import Array, Backend
from backends.cupy import CupyBackend
from backends.cupy.device import Device
from benchmarks import machine
from pipeline.compiler.structure import Structure
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import stacked
from pipeline.program.stack import Stack

FOLDER = Path(__file__).with_name("gpu")
DIGESTS = FOLDER / "digests.json"
ROWS = 1024
MLP = "architecture.layers=[{kind: dense, units: 512}, {kind: dense, units: 512}]"
NORMALIZED = ("normalization=batch", "regularization=dropout", "regularization.keep_prob=0.8")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """overrides of the config, input shape, batch rows of the speed, K trials; steps and batch rows of the digest; timed steps."""

    overrides: tuple[str, ...]
    inputs: tuple[int, ...] = (784,)
    batch: int = 128
    trials: int = 1
    steps: int = 200
    digest_batch: int = 128
    timed: int = 960


WORKLOADS = {
    "plain_mlp": Workload(overrides=(MLP, "normalization=none")),
    "mlp": Workload(overrides=(MLP, *NORMALIZED)),
    "mlp_float64": Workload(overrides=(MLP, *NORMALIZED, "precision=float64"), steps=20, timed=320),
    "mlp_64": Workload(overrides=(MLP, *NORMALIZED), trials=64, steps=4, timed=320),
    "small_64": Workload(
        overrides=("architecture.layers=[{kind: dense, units: 32}, {kind: dense, units: 32}]", "normalization=none"),
        inputs=(64,), batch=32, trials=64, digest_batch=32,
    ),
    "cnn_small": Workload(overrides=("architecture=cnn_small",), inputs=(28, 28, 1), steps=5, timed=320),
    "resnet20": Workload(overrides=("architecture=resnet20",), inputs=(32, 32, 3), batch=512, steps=2, digest_batch=16, timed=64),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked -> the exit code: 1 where a digest is another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_report", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--digests", action="store_true", help="write those of the CPU anew")
    parser.add_argument("--one", choices=WORKLOADS, help="train this one for a few steps")
    given = parser.parse_args(arguments)
    if given.digests:
        DIGESTS.write_text(json.dumps({name: digest(w, backends.load("numpy")) for name, w in WORKLOADS.items()}, indent=2) + "\n")
        return 0
    try:
        backend = backends.load("cupy")
    except backends.Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    assert isinstance(backend, CupyBackend)
    if given.one:
        digest(WORKLOADS[given.one], backend, steps=2)
        return 0
    found = report(backend.device)
    path = FOLDER / f"{time.strftime('%Y-%m-%d_%H-%M')}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    return 0 if sound(found) else 1


def report(device: Device, names: Sequence[str] = tuple(WORKLOADS), *, steps: int | None = None) -> dict[str, Any]:
    """All of it on `device`.  steps: of every digest, for a rehearsal, which is then compared with the CPU of this machine."""
    start, backend = time.perf_counter(), CupyBackend(device)
    known = (
        json.loads(DIGESTS.read_text()) if steps is None else {n: digest(WORKLOADS[n], backends.load("numpy"), steps=steps) for n in names}
    )
    found: dict[str, Any] = {"device": device.name, **machine.stamp(), "cupy": _version()}
    found["bits"] = {name: digest(WORKLOADS[name], backend, steps=steps) == known[name] for name in names}
    found["replays"] = replays(device, names[0], 1000 if steps is None else 70)
    found["resumed"] = resumed(backend, names[0], 100 if steps is None else steps)
    found["checked"] = checked(names[0])
    found["speed"] = {name: speed(WORKLOADS[name], backend, device) for name in names} if steps is None else {}
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def sound(found: dict[str, Any]) -> bool:
    """Whether all that was compared is equal, and nothing was found."""
    return all(found["bits"].values()) and found["replays"] and found["resumed"] and not any(found["checked"].values())


def digest(w: Workload, backend: Backend, *, steps: int | None = None) -> str:
    """Of all that `steps` steps of training change, from weights that no function of NumPy makes."""
    stack = training(w, backend, w.digest_batch)
    _run(stack, w, w.digest_batch, w.steps if steps is None else steps)
    return _digest(stack)


def replays(device: Device, name: str, steps: int) -> bool:
    """Whether graphs and launches by themselves end in the same bits."""
    w, ends = WORKLOADS[name], []
    for captured in (True, False):
        stack = training(w, CupyBackend(device, captured=captured), w.digest_batch)
        _run(stack, w, w.digest_batch, steps)
        ends.append(_digest(stack))
    return ends[0] == ends[1]


def resumed(backend: Backend, name: str, steps: int) -> bool:
    """Whether a training that changes from the CPU to the device half way has the bits of the CPU."""
    w, cpu = WORKLOADS[name], backends.load("numpy")
    whole, first, second = training(w, cpu, w.digest_batch), training(w, cpu, w.digest_batch), training(w, backend, w.digest_batch)
    _run(whole, w, w.digest_batch, steps)
    _run(whole, w, w.digest_batch, steps)
    _run(first, w, w.digest_batch, steps)
    for own, other in zip(second.programs, first.programs, strict=True):
        own.load_state(other.state())
    _run(second, w, w.digest_batch, steps)
    return _digest(second) == _digest(whole)


def checked(name: str) -> dict[str, int]:
    """Errors that each tool of compute-sanitizer finds in a few steps; no tool where it is not installed."""
    program = shutil.which("compute-sanitizer")
    found = {}
    for tool in ("memcheck", "racecheck") if program else ():
        command = [program, "--tool", tool, sys.executable, "-m", "benchmarks.gpu_report", "--one", name]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        counts = re.search(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", done.stdout + done.stderr)
        found[tool] = int(counts[1]) if counts else -1
    return found


def speed(w: Workload, backend: CupyBackend, device: Device) -> dict[str, Any]:
    """Microseconds a step of all trials: the middle of five runs, and each."""
    stack = training(w, backend, w.batch)
    _run(stack, w, w.batch, w.timed)  # compiles, sends the data, records the graph
    times = [device.timed(lambda: _run(stack, w, w.batch, w.timed)) for _ in range(5)]
    taken = sorted(1e6 * seconds / w.timed for seconds in times if seconds is not None)
    return {"us_a_step": round(taken[len(taken) // 2], 2), "runs": [round(t, 2) for t in taken]} if taken else {}


def training(w: Workload, backend: Backend, batch: int) -> Stack:
    """K trials of a workload, with learning rates and seeds of their own."""
    plain = pipeline.compose([*w.overrides, "optimizer=adam", "schedule=constant", f"training.batch_size={batch}", "tracking=none"])
    rates = [0.001 * (1 + trial % 7) / 4 for trial in range(w.trials)]
    configs = [
        experiment({**plain, "seed": trial, "optimizer": {**plain["optimizer"], "learning_rate": rate}}) for trial, rate in enumerate(rates)
    ]
    shape = DataShape(input_shape=w.inputs, classes=10, targets=None)
    structure = Structure(configs[0], shape, backend)
    stack = stacked(structure, configs, [Structure(config, shape, backend) for config in configs])
    for trial, program in enumerate(stack.programs):
        parameters = program.parameters()
        program.load_parameters({name: _numbers(f"{name}{trial}", p.shape) * (2 / p.shape[0]) ** 0.5 for name, p in parameters.items()})
    return stack


def _run(stack: Stack, w: Workload, batch: int, steps: int) -> None:
    x = _numbers("x", (ROWS, *w.inputs)).astype(np.float32)
    y = (np.arange(ROWS) * 7 % 10).astype(np.int32)
    order = (np.arange(steps * batch) * 37 % ROWS).reshape(steps, batch)
    losses = stack.run(x, y, np.broadcast_to(order, (w.trials, steps, batch)))
    assert np.isfinite(losses).all(), "a workload that diverges says little"


def _digest(stack: Stack) -> str:
    made = hashlib.sha256()
    for program in stack.programs:
        for _, value in sorted(program.state().items()):
            made.update(value.tobytes())
    return made.hexdigest()[:32]


def _numbers(name: str, shape: tuple[int, ...]) -> Array:
    """Numbers of (-1, 1) with 12 bits, by whole-number arithmetic alone."""
    count = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint64) + np.uint64(crc32(name.encode()))
    mixed = (count * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(4096)
    return ((mixed.astype(np.float64) - 2047.5) / 2048).reshape(shape)


def _version() -> dict[str, Any]:
    """CuPy's version and the driver's, where there is CuPy."""
    try:
        import cupy
    except ImportError:
        return {}
    return {"version": cupy.__version__, "driver": cupy.cuda.runtime.driverGetVersion(), "nvrtc": list(cupy.cuda.nvrtc.getVersion())}


if __name__ == "__main__":
    sys.exit(main())
