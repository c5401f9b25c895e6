"""What a sweep of 64 trials costs from its command to its last record: wall clock, and the CPU of all processes that it starts.

Ours with its whole record (folders, journals, checkpoints, MLflow), as stacks and trial by trial; and a plain PyTorch loop of the same
recipe that records nothing.  All in turn, each in a fresh folder.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backends.numpy.machine.processor import usable_cores
from benchmarks.compare import Yard, missing
from benchmarks.machine import stamp

RATES, SEEDS = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003), tuple(range(8))
RECIPE = ("training=fixed", "regularization=none")
WAYS = ("stacked", "one by one", "torch loop")
LIMITS = {"wall": 3.5, "cpu": 6.0}  # seconds of the stacked sweep
ROUNDS = 3
REAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def sweep(yard: Yard, *, quick: bool = False) -> dict[str, Any]:
    """way -> wall and cpu -> seconds in each round, in which all take turns."""
    rates, seeds, rounds = (RATES[:2], SEEDS[:2], 1) if quick else (RATES, SEEDS, ROUNDS)
    epochs = 2 if quick else 20
    absent = missing("torch")
    ways = WAYS[:2] if absent else WAYS
    seconds: dict[str, dict[str, list[float]]] = {way: {"wall": [], "cpu": []} for way in ways}
    for number in range(rounds):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            yard.ready(usable_cores())
            with tempfile.TemporaryDirectory() as folder:
                wall, cpu = cost(command(way, rates, seeds, epochs), Path(folder))
            seconds[way]["wall"].append(round(wall, 2))
            seconds[way]["cpu"].append(round(cpu, 2))
    return {
        **stamp(() if absent else ("torch",)),
        "trials": len(rates) * len(seeds),
        "seconds": seconds,
        "limits": LIMITS,
        "skipped": {"torch loop": absent} if absent else {},
    }


def command(way: str, rates: tuple[float, ...], seeds: tuple[int, ...], epochs: int) -> list[str]:
    """What is timed."""
    if way == "torch loop":
        return [sys.executable, "-m", "benchmarks.contenders.torch_sweep", *map(str, (epochs, len(seeds), *rates))]
    grid = [f"optimizer.learning_rate={','.join(map(str, rates))}", f"seed={','.join(map(str, seeds))}"]
    stack = [] if way == "stacked" else ["sweep.stack=false"]
    return [sys.executable, "-m", "pipeline", "-m", "architecture=mlp_small", *RECIPE, f"training.epochs={epochs}", *grid, *stack]


def cost(words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds from the start of a command to the end of its last process, and those that all its processes computed.

    A process in between adopts those that outlive their parents, as the sender does, so that none is missed.
    """
    code = f"from benchmarks.sweep import adopted; adopted({words!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    wall, cpu = map(float, found.stdout.split()[-2:])
    return wall, cpu


def adopted(words: list[str]) -> None:
    """Runs a command, waits for all that it leaves behind, and prints wall and CPU seconds.  Raises where it fails."""
    ctypes.CDLL(None, use_errno=True).prctl(REAPER, 1, 0, 0, 0)
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = os.times()
    print(time.perf_counter() - start, used.children_user + used.children_system)
