"""Compile times: from an empty cache of kernels, and from a full one, a fresh process each."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backends.numpy.machine.processor import usable_cores
from benchmarks.compare import Yard
from benchmarks.machine import stamp

LIMITS = {"mlp": {"cold": 5.0, "warm": 1.0}, "cnn": {"cold": 15.0, "warm": 1.0}}  # seconds
REPEATS = 3


def startup(yard: Yard, *, quick: bool = False) -> dict[str, Any]:
    """workload -> cold and warm -> seconds of each part, the median of several processes, each when the machine's cores are whole.

    process  from the start of the process to the end of the first training step;  import  of the package
    compile  config to native programs of training and evaluation (cold: kernels made; warm: read from the cache);  step  the first one
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in LIMITS:
        runs: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
        for _ in range(1 if quick else REPEATS):
            with tempfile.TemporaryDirectory() as folder:
                for kind in runs:
                    yard.ready(usable_cores())
                    runs[kind].append(first_step(name, Path(folder)))
        found[name] = {kind: {part: statistics.median(run[part] for run in made) for part in made[0]} for kind, made in runs.items()}
    return {**stamp(), "seconds": found, "limits": LIMITS}


def first_step(name: str, cache: Path) -> dict[str, float]:
    """Seconds of a fresh process that compiles and takes one step, its kernels kept in `cache` and Python's own code where it always is."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "benchmarks.first_step", name]
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    return {"process": seconds, **json.loads(line)}
