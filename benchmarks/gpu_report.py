"""`python -m benchmarks.gpu_report`: what is shown on a GPU, in eight minutes at most -> benchmarks/gpu/DATE.json.

bits      digests of all that training changes equal those of the CPU, which are committed (benchmarks/gpu/digests.json)
replays   steps in graphs equal steps whose kernels are launched one by one
resumed   half of a training on the CPU and half on the GPU equals all of it on the CPU
checked   the tools of compute-sanitizer, where it is installed
speed     device seconds a step, between events around whole runs: the sending of tables and the reading of losses are part of them
peers     PyTorch and JAX (benchmarks/contenders/on_gpu.py) in turn with ours, each in a process of its own, as far as they are
          installed and there is time: what is left out says so
reached   each bar of the table in the issue: asked, found

Any Python with CuPy and what this package needs runs it, llvmlite left out: `make gpu-report` takes that of .venv.
--digests writes those of the CPU anew, by the NumPy backend.  --one trains one workload for a few steps: what compute-sanitizer looks at.
"""

# N rows, K trials, S steps, B batch rows
from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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
from backends.facts import version
from benchmarks import machine
from benchmarks.contenders.on_gpu import NEEDS, PEERS
from benchmarks.workloads import Workload as Sizes
from pipeline.compiler.structure import Structure
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import stacked
from pipeline.program.stack import Stack

FOLDER = Path(__file__).with_name("gpu")
DIGESTS = FOLDER / "digests.json"
COMMAND = (sys.executable, "-m", "benchmarks.gpu_report", "--against")
ROWS = 1024
MLP = "architecture.layers=[{kind: dense, units: 512}, {kind: dense, units: 512}]"
NORMALIZED = ("normalization=batch", "regularization=dropout", "regularization.keep_prob=0.8")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """overrides of the config, input shape, batch rows of the speed, K trials; steps and batch rows of the digest; timed steps.

    sizes  how the peers build it;  asked: at most so many us a step, and at least so many times the speed of a peer
    """

    overrides: tuple[str, ...]
    inputs: tuple[int, ...] = (784,)
    batch: int = 128
    trials: int = 1
    steps: int = 200
    digest_batch: int = 128
    timed: int = 960
    sizes: Sizes | None = None
    asked: tuple[tuple[str, float], ...] = ()


def _sizes(**given: Any) -> Sizes:
    return Sizes(name="gpu", contenders=(), batches=8, **given)


WORKLOADS = {
    "plain_mlp": Workload(overrides=(MLP, "normalization=none")),
    "mlp": Workload(overrides=(MLP, *NORMALIZED), sizes=_sizes(), asked=(("us", 60), ("graph", 1.2), ("eager", 5))),
    "mlp_float64": Workload(overrides=(MLP, *NORMALIZED, "precision=float64"), steps=20, timed=320),
    "mlp_64": Workload(
        overrides=(MLP, *NORMALIZED), trials=64, steps=4, timed=320, sizes=_sizes(trials=64),
        asked=(("us", 900), ("graph", 4), ("vmap", 1.2)),
    ),
    "small_64": Workload(
        overrides=("architecture.layers=[{kind: dense, units: 32}, {kind: dense, units: 32}]", "normalization=none"),
        inputs=(64,), batch=32, trials=64, digest_batch=32, asked=(("us", 40),),
        sizes=_sizes(trials=64, inputs=(64,), batch=32, hidden=32, normalized=False),
    ),
    "cnn_small": Workload(
        overrides=("architecture=cnn_small",), inputs=(28, 28, 1), steps=5, timed=320, asked=(("graph", 1.0), ("eager", 3)),
        sizes=_sizes(network="cnn", inputs=(28, 28, 1)),
    ),
    "resnet20": Workload(
        overrides=("architecture=resnet20",), inputs=(32, 32, 3), batch=512, steps=2, digest_batch=16, timed=64, asked=(("compile", 0.8),),
        sizes=_sizes(network="resnet20", inputs=(32, 32, 3), batch=512),
    ),
}  # fmt: skip
LIMIT = 470.0  # seconds that all of it may take
TOOLS, TOOL_SECONDS = ("memcheck", "racecheck", "initcheck", "synccheck"), 40.0
# (workload, peer, seconds that it is expected to take, compilation and all), what the bars ask for first
PLANNED = (
    ("mlp", "graph", 20), ("mlp", "eager", 20), ("mlp_64", "graph", 30), ("cnn_small", "graph", 20), ("cnn_small", "eager", 20),
    ("resnet20", "compile", 75), ("mlp_64", "vmap", 75), ("mlp", "compile", 60), ("mlp", "jax", 25), ("mlp_64", "jax", 30),
    ("small_64", "vmap", 50), ("small_64", "jax", 25), ("resnet20", "eager", 20), ("resnet20", "graph", 25), ("cnn_small", "jax", 40),
    ("cnn_small", "compile", 60),
)  # fmt: skip
ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked -> the exit code: 1 where a digest is another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_report", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--digests", action="store_true", help="write those of the CPU anew")
    parser.add_argument("--one", choices=WORKLOADS, help="train this one for a few steps")
    parser.add_argument("--against", nargs=2, metavar=("WORKLOAD", "PEER"), help="time one beside a peer, print JSON")
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
    if given.against:
        print(json.dumps(against(WORKLOADS[given.against[0]], given.against[1], backend, "cuda")))
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
    found: dict[str, Any] = {"device": device.name, **_stamp(), "cupy": _version()}
    found["versions"] |= {package: there for package in dict.fromkeys(NEEDS.values()) if (there := version(package))}
    found["bits"] = {name: digest(WORKLOADS[name], backend, steps=steps) == known[name] for name in names}
    found["replays"] = replays(device, names[0], 1000 if steps is None else 70)
    found["resumed"] = resumed(backend, names[0], 100 if steps is None else steps) if _has_cpu() else "llvmlite is not installed"
    found["checked"] = checked(names[0])
    found["speed"] = {name: speed(WORKLOADS[name], backend, device) for name in names} if steps is None else {}
    planned = [plan for plan in PLANNED if plan[0] in names]
    found["peers"] = peers(planned, lambda: LIMIT - (time.perf_counter() - start))
    found["reached"] = {name: reached(WORKLOADS[name], found["speed"].get(name, {}), found["peers"].get(name, {})) for name in names}
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def _has_cpu() -> bool:
    """Whether the NumPy backend can be loaded: the digests on record need none."""
    return importlib.util.find_spec("llvmlite") is not None


def _stamp() -> dict[str, Any]:
    """Date, machine, versions, commit; without the NumPy backend what is known without it."""
    if not _has_cpu():
        return {"date": time.strftime("%Y-%m-%d %H:%M"), "versions": {"numpy": np.__version__}, "commit": machine.commit()}
    return machine.stamp()


def sound(found: dict[str, Any]) -> bool:
    """Whether all that was compared is equal, and nothing was found."""
    errors = [count for count in found["checked"].values() if isinstance(count, int)]
    return all(found["bits"].values()) and found["replays"] and found["resumed"] and not any(errors)


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


def checked(name: str) -> dict[str, int | str]:
    """Errors that each tool of compute-sanitizer finds in a few steps of a workload, or why it was not asked."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return {"compute-sanitizer": "not installed"}
    found: dict[str, int | str] = {}
    for tool in TOOLS:
        command = [program, "--tool", tool, sys.executable, "-m", "benchmarks.gpu_report", "--one", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS)
        except subprocess.TimeoutExpired:
            found[tool] = f"not done in {TOOL_SECONDS:.0f} s"
            continue
        counts = re.search(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", done.stdout + done.stderr)
        found[tool] = int(counts[1]) if counts else -1
    return found


def peers(planned: Sequence[tuple[str, str, int]], left: Callable[[], float], command: Sequence[str] = COMMAND) -> dict[str, Any]:
    """What each peer of each workload came to, in a process of its own, while there are seconds `left`."""
    found: dict[str, Any] = {}
    for name, peer, expected in planned:
        own = found.setdefault(name, {})
        if importlib.util.find_spec(NEEDS[peer]) is None:
            own[peer] = {"skipped": f"{NEEDS[peer]} is not installed"}
        elif left() < expected:
            own[peer] = {"skipped": f"{left():.0f} s are left, and it may take {expected}"}
        else:
            own[peer] = _asked([*command, name, peer], min(left(), 2.0 * expected))
    return found


def _asked(command: Sequence[str], seconds: float) -> dict[str, Any]:
    """What a process prints as JSON in its last line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"skipped": f"not done in {seconds:.0f} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][:300]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def against(w: Workload, peer: str, backend: Backend, device: str, *, timed: int | None = None) -> dict[str, Any]:
    """One workload by us and by a peer in turn, from the same weights: us a step of each, the ratio of each round, the first losses."""
    assert w.sizes is not None
    sizes, steps = w.sizes, timed or max(8, w.timed // ROUNDS)
    stack = training(w, backend, w.batch, lambda plain: alike(plain, sizes))
    run = PEERS[peer](sizes, device, [program.parameters() for program in stack.programs])
    x, y = sizes.data()
    order = np.arange(steps * w.batch).reshape(steps, w.batch) % len(x)

    def ours() -> float:
        return float(stack.run(x, y, np.broadcast_to(order, (w.trials, steps, w.batch)))[0, 0])

    losses = [ours(), run(steps)]  # compiles, captures, sends the data
    rounds = [(_clocked(ours, device), _clocked(lambda: run(steps), device)) for _ in range(ROUNDS)]
    times = [round(1e6 * sorted(side)[len(rounds) // 2] / steps, 2) for side in zip(*rounds, strict=True)]
    ratios = sorted(theirs / own for own, theirs in rounds)
    return {"ours_us": times[0], "us": times[1], "ratio": round(ratios[len(ratios) // 2], 3), "first_losses": losses, "steps": steps}


def _clocked(run: Callable[[], Any], device: str) -> float:
    """Seconds of the device between events around `run`, which ends with a number on the host; on a CPU those of a clock."""
    if device != "cuda":
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    import cupy

    first, last = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.cuda.runtime.deviceSynchronize()
    first.record()
    run()
    cupy.cuda.runtime.deviceSynchronize()
    last.record()
    last.synchronize()
    return float(cupy.cuda.get_elapsed_time(first, last)) / 1000


def reached(w: Workload, own: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Each bar: asked, found, whether it is reached; None where it was not measured."""
    made = {}
    for what, bar in w.asked:
        value = own.get("us_a_step") if what == "us" else others.get(what, {}).get("ratio")
        met = None if value is None else value <= bar if what == "us" else value >= bar
        made[what] = {"asked": bar, "found": value, "reached": met}
    return made


def speed(w: Workload, backend: CupyBackend, device: Device) -> dict[str, Any]:
    """Microseconds a step of all trials: the middle of five runs, and each."""
    stack = training(w, backend, w.batch)
    _run(stack, w, w.batch, w.timed)  # compiles, sends the data, records the graph
    times = [device.timed(lambda: _run(stack, w, w.batch, w.timed)) for _ in range(5)]
    taken = sorted(1e6 * seconds / w.timed for seconds in times if seconds is not None)
    return {"us_a_step": round(taken[len(taken) // 2], 2), "runs": [round(t, 2) for t in taken]} if taken else {}


def alike(plain: dict[str, Any], sizes: Sizes) -> dict[str, Any]:
    """The config `plain` as the peers build it: a row of padding on every side, and no dropout where they have none."""
    layers = plain["architecture"]["layers"]
    if sizes.network == "resnet20":
        layers[:] = [{**layer, "padding": 1} if layer["kind"] == "conv" and layer["kernel"] == 3 else layer for layer in layers]
    if not sizes.dropout:
        layers[:] = [{key: value for key, value in layer.items() if key != "regularization"} for layer in layers]
    return plain


def training(w: Workload, backend: Backend, batch: int, change: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Stack:
    """K trials of a workload, with learning rates and seeds of their own; `change` of their config."""
    plain = change(pipeline.compose([*w.overrides, "optimizer=adam", "schedule=constant", f"training.batch_size={batch}", "tracking=none"]))
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
