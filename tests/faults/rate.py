"""`python -m tests.faults.rate [--seconds 600]`: whether a long training of tiny epochs is as quick at its end as at its start.

When it has trained for so long, another one begins, and the two take turns: one is stopped while the other has a tenth of a second of the
processor.  Neighbouring turns are a pair: what else the machine does falls on both, so the ratio of what an epoch cost them is that of an
old training to a new one, on a busy machine too.  Beside it stands what an epoch cost in each part of the long one, which is not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
PARTS, PAIRS = 10, 60
TURN = 0.1  # seconds of the processor
CONFIG = (
    "data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=100000000", "training.batch_size=64", "tracking=none",
    "backend.threads=1",  # two that wait for each other take time of the processor too
)  # fmt: skip


class Training:
    """A training in a process of its own, which is stopped and goes on."""

    def __init__(self, folder: Path) -> None:
        words = [sys.executable, "-m", "pipeline", *CONFIG, f"output={folder}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(words, cwd=folder.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.journal = folder / "journal.jsonl"
        self._clock = (~self.process.pid << 3) | 2  # Linux' number for the processor time of another process

    def seconds(self) -> float:
        """Of the processor, so far."""
        return time.clock_gettime(self._clock)

    def epochs(self) -> int:
        """Which epoch the journal told last."""
        if not self.journal.exists():
            return 0
        with self.journal.open("rb") as file:
            file.seek(max(0, self.journal.stat().st_size - 20_000))
            lines = file.read().split(b"\n")[1:-1]
        told = (json.loads(line) for line in reversed(lines))
        return next((int(line["step"]) for line in told if line["event"] == "metric"), 0)

    def reach(self, epochs: int) -> None:
        """Waits until so many epochs are trained."""
        while self.epochs() < epochs:
            assert self.process.poll() is None, "the training has ended"
            time.sleep(0.05)

    def stop(self) -> None:
        """Returns when it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{self.process.pid}/stat")
        while state.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def turn(self) -> float:
        """Lets it go on for TURN -> the seconds of an epoch."""
        epochs, seconds = self.epochs(), self.seconds()
        self.process.send_signal(signal.SIGCONT)
        while self.seconds() < seconds + TURN:
            time.sleep(0.005)
        self.stop()
        return (self.seconds() - seconds) / max(1, self.epochs() - epochs)


@contextmanager
def begun(folder: Path) -> Iterator[Training]:
    """A training, ended with the block."""
    made = Training(folder)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def compared(seconds: float, pairs: int = PAIRS) -> tuple[list[tuple[int, float]], list[float]]:
    """A training of so many seconds -> (epochs, seconds of the processor) of each of its parts, and the ratios of the pairs, old to new."""
    with tempfile.TemporaryDirectory() as name, begun(Path(name, "old")) as old:
        old.reach(50)
        marks = [(old.epochs(), old.seconds())]
        for _ in range(PARTS):
            time.sleep(seconds / PARTS)
            marks.append((old.epochs(), old.seconds()))
        old.stop()
        with begun(Path(name, "new")) as new:
            new.reach(50)
            new.stop()
            taken = [(old.turn(), new.turn()) for _ in range(pairs)]
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)], [mine / other for mine, other in taken]


def main() -> None:
    """Prints the costs."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=600.0)
    parts, ratios = compared(asked.parse_args().seconds)
    print("ms of the processor for an epoch, by part:", *(f"{1000 * own / max(1, epochs):.3f}" for epochs, own in parts))
    low, _, high = quantiles(ratios)
    print(
        f"after {sum(epochs for epochs, _ in parts):,} epochs an epoch costs {median(ratios):.3f} times what it costs one that begins"
        f" then; half of {len(ratios)} pairs between {low:.3f} and {high:.3f}; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
