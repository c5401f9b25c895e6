"""`python -m tests.faults.rate [--seconds 600]`: whether a long training of tiny epochs is as quick at its end as at its start.

In its last tenth another training begins beside it.  What an epoch costs each of them in processor time is compared, so that what else the
machine does falls on both; beside it stands what an epoch cost in each part of the long one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import chdir
from itertools import pairwise
from pathlib import Path

import pipeline

ROOT = Path(__file__).parents[2]
PARTS = 20
CONFIG = (
    "data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=100000000", "training.batch_size=64", "tracking=none",
    "output=run",
)  # fmt: skip


def epochs_in(journal: Path) -> int:
    """The last epoch that the journal tells of."""
    if not journal.exists():
        return 0
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - 20_000))
        lines = file.read().split(b"\n")[1:-1]
    told = (json.loads(line) for line in reversed(lines))
    return next((int(line["step"]) for line in told if line["event"] == "metric"), 0)


def costs(seconds: float) -> list[tuple[int, float]]:
    """A training of so many seconds -> (epochs, seconds of the processor) of each of PARTS parts, from the first epoch on."""
    marks: list[tuple[int, float]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds / PARTS):
            mark = epochs_in(Path("run/journal.jsonl")), time.process_time()
            if mark[0] and not over.is_set():
                marks.append(mark)

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            pipeline.train(pipeline.compose([*CONFIG, f"budget.seconds={seconds}"]), quiet=True)
        finally:
            over.set()
            watching.join()
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)]


def cost(parts: list[tuple[int, float]]) -> float:
    """Seconds of the processor for an epoch."""
    return sum(own for _, own in parts) / max(1, sum(epochs for epochs, _ in parts))


def compared(seconds: float) -> tuple[list[tuple[int, float]], float]:
    """The parts of a training of so many seconds, and what an epoch costs one that begins in its last tenth."""
    words = [sys.executable, "-c", f"from tests.faults.rate import cost, costs; print(cost(costs({seconds / 10})))"]
    fresh: list[str] = []
    beside = threading.Timer(0.9 * seconds, lambda: fresh.append(subprocess.check_output(words, cwd=ROOT, text=True)))
    beside.start()
    parts = costs(seconds)
    beside.join()
    return parts, float(fresh[0])


def main() -> None:
    """Prints the costs."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=600.0)
    parts, fresh = compared(asked.parse_args().seconds)
    print("ms of the processor for an epoch, by part:", *(f"{1000 * own / max(1, epochs):.3f}" for epochs, own in parts))
    old = cost(parts[-2:])
    print(f"after {sum(epochs for epochs, _ in parts):,} epochs {1000 * old:.3f} ms, of a training that begins then {1000 * fresh:.3f} ms")
    print(f"rate at the end over that at the start {fresh / old:.3f}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
