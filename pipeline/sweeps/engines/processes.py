"""sweep.engine=processes: on this machine, a process for each stack, each with its share of the cores, or with a GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.config.sweep_settings import SweepSettings
from pipeline.records import record
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.engines import driver
from pipeline.sweeps.engines.orders import Order, do, order_of
from pipeline.sweeps.jobs import JobResult, Trial

CODE = Path(__file__).resolve().parents[3]
PATIENCE = 20.0  # seconds that a process whose giver died has to save what it trains


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Trains the trials in processes of this machine."""
    kinds, devices, workers = {trial.experiment.backend.kind for trial in trials}, tuple[str, ...](), settings.workers
    if kinds & {"cupy", "auto"}:
        from backends.cupy import probe  # noqa: PLC0415  # only who asks for a GPU needs the package

        devices = probe.devices()
        workers = workers or (len(os.sched_getaffinity(0)) if "cupy" not in kinds else None)  # what auto leaves to the CPU has its cores
    return driver.run(Processes(workers, devices), doing, trials, settings)


class Processes:
    """As many at once as there are cores, or `devices` where there are any, or as are asked for.

    Each has cores of its own where there are enough, and the device that has the fewest processes.
    """

    def __init__(self, workers: int | None, devices: Sequence[str] = ()) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.slots = self.among = workers or len(devices) or len(cores)
        self._free = [
            Seat(cores=tuple(cores[number :: self.slots]) or tuple(cores), device=devices[number % len(devices)] if devices else None)
            for number in range(self.slots)
        ]

    def begin(self, orders: Sequence[Order]) -> Sequence[Process]:
        """A process each."""
        return [Process(order, self._free) for order in orders]

    def close(self) -> None:
        """Nothing is kept."""


@record
class Seat:
    """What a process has while it lives: cores, and the device that it alone sees; None: all that there are."""

    cores: tuple[int, ...]
    device: str | None = None


class Process:
    """A process that does one order; while it lives, its seat is not free."""

    def __init__(self, order: Order, free: list[Seat]) -> None:
        self._free, self._seat, self._ended = free, free.pop(0), False
        device = {} if self._seat.device is None else {"CUDA_VISIBLE_DEVICES": self._seat.device}
        path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH", ""))))
        # -P: the folder a user works in is no place to import from.  A session of its own: Ctrl-C in the terminal is for the giver.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.sweeps.engines.processes"],
            env={**os.environ, "PYTHONPATH": path, **device},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(OSError):  # dead already: seen at the next look
            self._process.stdin.write(replace(order, cores=self._seat.cores).text().encode() + b"\n")
            self._process.stdin.flush()

    def state(self) -> str | None:
        """None while it runs; empty for an end of its own; else the signal that ended it."""
        code = self._process.poll()
        if code is None:
            return None
        if not self._ended:
            self._ended = True
            self._free.append(self._seat)
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
        return "" if code == 0 else signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        """SIGTERM: it saves and ends."""
        self._process.terminate()


def main() -> None:
    """Does the order that is the first line of the standard input, and ends when that input does, which is when its giver dies."""
    order = order_of(sys.stdin.buffer.readline().decode())
    os.sched_setaffinity(0, order.cores)
    threading.Thread(target=_with_its_giver, daemon=True).start()
    with suppress(KeyboardInterrupt):  # asked to stop: what is not over goes on another time
        do(order)
    os._exit(0)  # all is written: what is loaded needs no unloading


def _with_its_giver() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
