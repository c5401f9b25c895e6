"""One contender in a process of its own: builds, warms up, then times a round for each line that it reads."""

from __future__ import annotations

import os
import sys
import time

from benchmarks.contenders import CONTENDERS
from benchmarks.workloads import Workload


def main() -> None:
    """`python -m benchmarks.worker CONTENDER WORKLOAD`: prints `ready` or `failed REASON`, then the seconds of each round."""
    contender, w = sys.argv[1], Workload.of(sys.argv[2])
    if w.threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: w.threads])
    # fewer steps for a contender that takes the trials in turn
    steps = max(1, w.steps // w.trials) if contender.startswith("torch") else w.steps
    try:
        run = CONTENDERS[contender](w)
        run(0, min(3, steps))
    except Exception as error:  # whatever goes wrong in a peer is a reason to go on without it
        print(f"failed {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}", flush=True)
        raise
    print("ready", flush=True)
    for line in sys.stdin:
        run(int(line), 1)  # wakes threads and caches that the other contenders' turns cooled
        first = int(line) + 1 if w.unit != "epoch" else 0
        start = time.perf_counter()
        run(first, steps)
        print((time.perf_counter() - start) * w.unit_steps / (steps * w.trials), flush=True)


if __name__ == "__main__":
    main()
