"""What a sweep of 64 trials costs from its command to its last record: wall clock, and the CPU of all processes that it starts.

Ours with its whole record (folders, journals, checkpoints, MLflow), as stacks and trial by trial; and a plain PyTorch loop of the same
recipe that records nothing.  All in turn, each in a fresh folder.  Then 512 trials, steps in a stack and alone, and 1,000 trials.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pipeline
from backends.numpy.machine.processor import usable_cores
from benchmarks.compare import Yard, missing
from benchmarks.machine import stamp
from benchmarks.many import many
from benchmarks.stacks import stacks
from pipeline.data.load import load, read_source
from pipeline.data.prepared import prepared
from pipeline.preprocessing import Preprocessing
from pipeline.program.program import Program
from pipeline.tracking.folder import run_folders
from pipeline.tracking.journal import read_journal, series, start_of
from pipeline.training.loop import train

RATES, SEEDS = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003), tuple(range(8))
RECIPE = ("training=fixed", "regularization=none")
MANY_RATES = tuple(round(10 ** (-k / 16), 8) for k in range(16, 80))  # 64, with the seeds 512 trials
WAYS = ("stacked", "one by one", "untracked", "start", "torch loop")
LIMITS = {"wall": 3.5, "cpu": 6.0}  # seconds of the stacked sweep
LIMIT_512, PEER = 20.0, 5.0  # seconds of wall; how many times as long the torch loop is to take
TRACKING = 0.040  # seconds of CPU that MLflow may take for a trial: stacked less untracked, by the number of trials
FIRST = 2.0  # seconds to the first line of a sweep of 1,000 trials
END = 1.0  # seconds from the last step of a run to its exit, with MLflow
ROUNDS = 3
FASHION = Path("../shared/data/fashion-mnist")
REAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


PARTS = ("64", "512", "fashion", "stacks", "1000")  # `python -m benchmarks sweep_512`, say; `sweep` is all of them


def sweep(yard: Yard, parts: Sequence[str] = PARTS, *, quick: bool = False) -> dict[str, Any]:
    """What is measured of each of `parts`, and the commit of each."""
    absent = missing("torch")
    found: dict[str, Any] = stamp(() if absent else ("torch",))
    for part in parts:
        found |= {"64": _of_64, "512": _of_512, "fashion": _of_fashion, "stacks": _of_stacks, "1000": _of_1000}[part](yard, quick)
    return {**found, "commits": dict.fromkeys(parts, found["commit"])}


def _of_512(yard: Yard, quick: bool) -> dict[str, Any]:
    rates, seeds = (MANY_RATES[:1], SEEDS[:2]) if quick else (MANY_RATES, SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        yard.ready(usable_cores())
        wall, cpu = cost(command("stacked", rates, seeds, 2 if quick else 20), Path(folder))
    return {"of_512": {"trials": len(rates) * len(seeds), "wall": wall, "cpu": cpu, "limit": LIMIT_512}}


def _of_fashion(yard: Yard, quick: bool) -> dict[str, Any]:
    return {"fashion": fashion(yard, quick=quick)}


def _of_stacks(yard: Yard, quick: bool) -> dict[str, Any]:
    return {"stacks": stacks(yard, quick=quick)}


def _of_1000(yard: Yard, quick: bool) -> dict[str, Any]:
    yard.ready(usable_cores())
    return {"of_1000": many(quick=quick)}


def _of_64(yard: Yard, quick: bool) -> dict[str, Any]:
    """way -> wall and cpu -> seconds in each round, in which all take turns."""
    rates, seeds, rounds = (RATES[:2], SEEDS[:2], 1) if quick else (RATES, SEEDS, ROUNDS)
    absent = missing("torch")
    ways = tuple(way for way in WAYS if way != "torch loop" or not absent)
    ends = []
    seconds: dict[str, dict[str, list[float]]] = {way: {"wall": [], "cpu": []} for way in ways}
    told: dict[str, Any] = {}
    for number in range(rounds):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            if way == "one by one" and number:  # once, for what it gives: it takes as long as all the others
                continue
            yard.ready(usable_cores())
            with tempfile.TemporaryDirectory() as folder:
                wall, cpu = cost(command(way, rates, seeds, 2 if quick else 20), Path(folder))
                told[way] = results_in(Path(folder))
            seconds[way]["wall"].append(round(wall, 2))
            seconds[way]["cpu"].append(round(cpu, 2))
        yard.ready(usable_cores())
        with tempfile.TemporaryDirectory() as folder:
            ends.append(round(end(Path(folder)), 2))
    return {
        "trials": len(rates) * len(seeds),
        "seconds": seconds,
        "limits": LIMITS,
        "same": told["stacked"] == told["one by one"],
        "tracking": {"limit": TRACKING, "end": ends, "end limit": END},
        "skipped": {"torch loop": absent} if absent else {},
    }


def command(way: str, rates: tuple[float, ...], seeds: tuple[int, ...], epochs: int) -> list[str]:
    """What is timed."""
    if way == "torch loop":
        return [sys.executable, "-m", "benchmarks.contenders.torch_sweep", *map(str, (epochs, len(seeds), *rates))]
    if way == "start":  # what passes whatever is trained: two trials of one epoch
        rates, seeds, epochs = rates[:1], seeds[:2], 1
    grid = [f"optimizer.learning_rate={','.join(map(str, rates))}", f"seed={','.join(map(str, seeds))}"]
    stack = {"one by one": ["sweep.stack=false"], "untracked": ["tracking=none"], "start": ["tracking=none"]}.get(way, [])
    return [sys.executable, "-m", "pipeline", "-m", "architecture=mlp_small", *RECIPE, f"training.epochs={epochs}", *grid, *stack]


def fashion(yard: Yard, *, quick: bool = False) -> dict[str, Any]:
    """A whole sweep on Fashion-MNIST, in turn with the steps of its trials alone and with their plain training (see `_plainly`).

    way -> wall and cpu -> seconds of each round
    """
    if not FASHION.is_dir():
        return {"skipped": f"skipped, there is no {FASHION}"}
    trials, epochs, rounds = (2, 1, 1) if quick else (8, 2, 3)
    network = ("architecture.layers=[{kind: dense, units: 512},{kind: dense, units: 512}]", "normalization=batch", "training.batch_size=64")
    words = (*network, *RECIPE, "data=fashion_mnist", f"data.root={FASHION.resolve()}", f"training.epochs={epochs}")
    programs = [pipeline.compile(pipeline.compose([*words, f"seed={seed}"])) for seed in range(trials)]
    ready = prepared(load(programs[0].config.data, seed=0), Preprocessing())
    x, y = np.asarray(ready.train.x, np.float32).reshape(len(ready.train), 28, 28, 1), np.asarray(ready.train.targets)
    steps = len(x) // 64

    def stepped() -> None:
        for program in programs:
            for epoch in range(epochs):
                order = np.random.default_rng(epoch).permutation(len(x))[: steps * 64].reshape(steps, 64)
                program.run(x, y, order)

    seconds: dict[str, dict[str, list[float]]] = {way: {"wall": [], "cpu": []} for way in ("sweep", "steps", "plain")}
    for _ in range(rounds):
        yard.ready(usable_cores())
        with tempfile.TemporaryDirectory() as folder:
            seeds = f"seed={','.join(map(str, range(trials)))}"
            spent = cost([sys.executable, "-m", "pipeline", "-m", *words, seeds], Path(folder))
        for way, (own_wall, own_cpu) in (("sweep", spent), ("steps", _timed(stepped)), ("plain", _timed(lambda: _plainly(programs)))):
            seconds[way]["wall"].append(own_wall)
            seconds[way]["cpu"].append(own_cpu)
    return {"trials": trials, "epochs": epochs, **seconds}


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _plainly(programs: Sequence[Program]) -> None:
    """Trains each as a run does: split and preprocessing of its seed, steps, evaluations, test; files are read once, nothing is kept."""
    raw = read_source(programs[0].config.data)
    for program in programs:
        asked = program.config
        rows = prepared(load(asked.data, seed=asked.seed, source=lambda _: raw), asked.preprocessing, precision=asked.precision)
        train(program, rows, asked.training, seed=asked.seed, emit=lambda _: None)
        program.evaluate(rows.test.x, rows.test.targets)


def results_in(folder: Path) -> dict[str, dict[str, dict[int, float]]]:
    """Name of each run -> metric -> epoch -> value, to the last bit, but for times; its test metrics among them."""
    events = [read_journal(run) for run in run_folders(folder / "runs")]
    return {
        start_of(one).name: {name: dict(curve) for name, curve in series(one).items() if not name.startswith("time/")}
        for one in events
        if start_of(one).tags.get("pipeline.kind") != "sweep"
    }


def end(folder: Path) -> float:
    """Seconds from the last epoch of a short run with MLflow to the exit of its command."""
    words = [sys.executable, "-m", "pipeline", "+experiment=bn", "training.epochs=20"]
    last = 0.0
    with subprocess.Popen(words, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            last = time.perf_counter() if line.startswith("epoch") else last
    return time.perf_counter() - last


def cost(words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds from the start of a command to its last record, and those that all its processes computed.

    The last record is the last row in MLflow's database, without one the end of the last process: pictures are drawn after the rows.
    A process in between adopts those that outlive their parents, as the sender does, so that none is missed.
    """
    code = f"from benchmarks.sweep import adopted; adopted({words!r})"
    found = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=folder, capture_output=True, text=True, check=True)
    wall, cpu = map(float, found.stdout.split()[-2:])
    return wall, cpu


def environment() -> dict[str, str]:
    """Of what is timed: our modules, kept as bytecode between the commands as pip keeps those that it installs."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}


def adopted(words: list[str]) -> None:
    """Runs a command, waits for all that it leaves behind, and prints wall and CPU seconds.  Raises where it fails."""
    ctypes.CDLL(None, use_errno=True).prctl(REAPER, 1, 0, 0, 0)
    start, at = time.perf_counter(), time.time()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used, database = os.times(), Path("mlflow.db")
    wall = database.stat().st_mtime - at if database.exists() else time.perf_counter() - start
    print(wall, used.children_user + used.children_system)
