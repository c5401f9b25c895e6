"""One contender in a process of its own: builds, warms up, then times a round for each line that it reads."""

from __future__ import annotations

import sys
import time

from benchmarks.contenders import CONTENDERS
from benchmarks.workloads import WORKLOADS


def main() -> None:
    """`python -m benchmarks.worker WORKLOAD CONTENDER`: prints ready, then the seconds of each round."""
    workload, contender = WORKLOADS[sys.argv[1]], sys.argv[2]
    run = CONTENDERS[contender](workload)
    # fewer trial-steps for a contender that takes the trials in turn
    steps = max(1, workload.steps // workload.trials) if contender.startswith("torch") else workload.steps
    run(0, 3)
    done = 3
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run(done, steps)
        print((time.perf_counter() - start) / (steps * workload.trials), flush=True)
        done += steps


if __name__ == "__main__":
    main()
