"""The most memory that a training takes, ours and the peers': planned, and measured in a fresh process each."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, missing
from benchmarks.machine import stamp
from benchmarks.workloads import WORKLOADS

MEASURED = {
    "mlp": ("caviar", "torch", "jax"),
    "cnn": ("caviar", "torch_channels_last", "jax"),
    "resnet20": ("caviar", "torch_channels_last"),
}
STEPS, BATCHES, REPEATS = 5, 5, 3
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(*, quick: bool = False) -> dict[str, Any]:
    """workload -> contender -> bytes, the median of several processes; nothing where the system does not tell them.

    process   the most that the process held, interpreter and libraries among it
    compiler  of ours: what it held more when the network was compiled, beyond the weights
    training  the most beyond that and beyond the data; of ours with an evaluation after it, of JAX with its compiler
    planned   what the plan of ours says of a training with evaluations
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    skipped: dict[str, str] = {}
    for name, contenders in MEASURED.items() if RESET.exists() else ():
        found[name] = {}
        for contender in contenders:
            if reason := missing(contender):
                skipped[contender] = reason
                continue
            taken(contender, name)  # kernels are cached now: what a compiler takes is not the training's
            runs = [taken(contender, name) for _ in range(1 if quick else REPEATS)]
            found[name][contender] = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
    present = {contender for made in found.values() for contender in made}
    return {**stamp(sorted(present)), "bytes": found, "skipped": skipped}


def taken(contender: str, name: str) -> dict[str, float]:
    """The bytes of one process."""
    command = [sys.executable, "-m", "benchmarks.memory", contender, name]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True)
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return parts


def main() -> None:
    """`python -m benchmarks.memory CONTENDER WORKLOAD`: trains some steps; prints the bytes."""
    contender, w = sys.argv[1], replace(WORKLOADS[sys.argv[2]], batches=BATCHES)
    small = replace(w, network="mlp", inputs=(4,), hidden=8, depth=1, normalized=False, batch=8)
    CONTENDERS[contender](small)(0, 1)  # loads the library and starts its threads
    before, made = settled(), {}
    if contender == "caviar":
        from benchmarks.contenders import own

        program = own.program(w)
        program.prepare()
        made["planned"] = program.structure.peak() or 0
        made["compiler"] = settled() - before - sum(array.nbytes for array in program.parameters().values())
        RESET.write_text("5", encoding="ascii")
        x, y = w.data()
        program.run(x, y, own.order(w, 0, STEPS))
        program.evaluate(x, y)
    else:
        RESET.write_text("5", encoding="ascii")
        CONTENDERS[contender](w)(0, STEPS)
    most = resident("VmHWM")
    made |= {"process": most, "training": most - before - made.get("compiler", 0) - sum(array.nbytes for array in w.data())}
    print(json.dumps(made), flush=True)


def settled() -> int:
    """What this process holds when nothing freed is kept for later -> bytes."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
        trim(0)
    return resident("VmRSS")


def resident(field: str) -> int:
    """VmRSS, what this process holds now, or VmHWM, the most since the last reset -> bytes."""
    return next(int(line.split()[1]) * 1024 for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(field))


if __name__ == "__main__":
    main()
