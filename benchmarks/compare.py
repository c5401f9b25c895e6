"""All contenders of a workload in turn, round by round: times, paired ratios, and whether they reach what is asked."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.numpy.machine.processor import usable_cores
from benchmarks.ceilings import peak_flops
from benchmarks.contenders import missing
from benchmarks.machine import stamp
from benchmarks.workloads import Goal, Workload

OURS = "caviar"
PAUSE = 0.03  # seconds before each turn, in which the threads of the one before fall asleep
YARD = 2_000_000  # vectors of multiply-adds in registers by which the machine itself is timed before a round, ten milliseconds
WHOLE, PATIENCE, AGAIN = 0.8, 15.0, 0.25  # a round waits for this share of the best speed, so many seconds, looking each so many
LOOK = 2.5  # seconds in which the best speed is looked for first


class WorkerFailed(RuntimeError):
    """A contender that could not build or run its workload; the text says why."""


class Worker:
    """A contender in a process of its own."""

    def __init__(self, workload: Workload, contender: str) -> None:
        self.name, self.steps = contender, workload.steps
        command = [sys.executable, "-m", "benchmarks.worker", contender, workload.text()]
        folder = Path(__file__).parents[1]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
        )

    def wait(self) -> None:
        """Returns when the contender is ready.  Raises WorkerFailed."""
        self._answer("ready")

    def turn(self, number: int) -> float:
        """Seconds for one unit of the workload, in round `number`.  Raises WorkerFailed."""
        assert self.process.stdin
        self.process.stdin.write(f"{number * self.steps}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """Ends the process, by ending its input."""
        with self.process:
            pass

    def _answer(self, wanted: str | None = None) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line or (wanted and line != wanted):
            raise WorkerFailed(line.removeprefix("failed ") or f"the process ended with exit code {self.process.wait()}")
        return line


class Yard:
    """The machine's own speed, the multiply-adds that its cores give together in registers.

    Where others share the machine, the cores of a virtual one may be a single core's two threads at times, and half as fast.  A round waits
    until they give WHOLE of the best seen, whatever the contenders do then.
    """

    def __init__(self, patience: float = PATIENCE, speed: Callable[[int], float] | None = None) -> None:
        self.patience, self.speed = patience, speed or (lambda threads: peak_flops(threads, rounds=YARD, repeats=2))
        self.best: dict[int, float] = {}

    def ready(self, threads: int) -> float:
        """Waits -> operations a second now."""
        if threads not in self.best:
            self._look(threads)
        end = time.monotonic() + self.patience
        while True:
            now = self.speed(threads)
            self.best[threads] = max(now, self.best[threads])
            if now >= WHOLE * self.best[threads] or time.monotonic() >= end:
                return now
            time.sleep(AGAIN)

    def _look(self, threads: int) -> None:
        """Looks for some seconds how fast the machine can be."""
        self.best[threads] = 0.0
        end = time.monotonic() + min(self.patience, LOOK)
        while time.monotonic() < end:
            self.best[threads] = max(self.speed(threads), self.best[threads])
            time.sleep(AGAIN)


def compare(workload: Workload, yard: Yard | None = None) -> dict[str, Any]:
    """The result of one workload: a plain dict for results.json.

    microseconds  contender -> time of a unit in each round
    ratio         peer -> how many times as long as ours it took, round by round
    flops         operations a second that the machine's cores gave in registers just before each round, see Yard
    skipped       contender -> why it did not take part;  without any peer left nothing is timed
    """
    skipped = {name: reason for name in workload.contenders if (reason := missing(name))}
    there = [name for name in workload.contenders if name not in skipped]
    flops: list[float] = []
    yard, threads = yard or Yard(), workload.threads or usable_cores()
    times: dict[str, list[float]] = {}
    if len(there) > 1:
        times = timed(workload, there, skipped, before=lambda: flops.append(yard.ready(threads)))
    return {
        **stamp(there),
        "unit": workload.unit,
        "rounds": workload.rounds,
        "microseconds": {name: [round(1e6 * t, 2) for t in values] for name, values in times.items()},
        "ratio": {name: [round(r, 3) for r in values] for name, values in paired(times).items()},
        "flops": [round(value) for value in flops],
        "skipped": skipped,
    }


def timed(
    workload: Workload, contenders: Sequence[str], skipped: dict[str, str], before: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Contender -> seconds of each round, `before` which something else may be done; who fails to start is noted in `skipped`.

    Raises WorkerFailed where ours fails.
    """
    workers: list[Worker] = []
    try:
        for name in contenders:
            workers.append(Worker(workload, name))
            try:
                workers[-1].wait()
            except WorkerFailed as error:
                if name == OURS:
                    raise
                skipped[name] = str(error)
                workers.pop().close()
        times: dict[str, list[float]] = {worker.name: [] for worker in workers}
        for number in range(workload.rounds):
            before()
            # each round begins with another contender, so that none always follows the same one
            for worker in workers[number % len(workers) :] + workers[: number % len(workers)]:
                time.sleep(PAUSE)
                times[worker.name].append(worker.turn(number))
        return times
    finally:
        for worker in workers:
            worker.close()


def paired(times: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Peer -> its time over ours, round by round."""
    ours = times.get(OURS, ())
    return {name: [t / o for t, o in zip(values, ours, strict=True)] for name, values in times.items() if name != OURS}


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def judged(goal: Goal, ratios: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """The goal beside what was measured against the best of its peers that took part, or None when none did.

    The best is the peer with the smallest median ratio; the goal is reached when that median is at least what is asked.
    """
    there = [name for name in goal.peers if ratios.get(name)]
    if not there:
        return None
    best = min(there, key=lambda name: statistics.median(ratios[name]))
    low, middle, high = spread(ratios[best])
    return {"asked": goal.ratio, "best": best, "median": middle, "quartiles": (low, high), "reached": middle >= goal.ratio}
