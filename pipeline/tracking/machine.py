"""How busy the machine is while a run goes on (tracking.system_metrics): processors and memory, by the names of MLflow's page for them.

Read from /proc; where there is none, nothing is told.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pipeline.errors import RunError
from pipeline.tracking.journal import Journal, Machine

MEGABYTE = 1e6


class Watch:
    """A thread that writes a sample to the journal every so many seconds, and one at the end."""

    def __init__(self, journal: Journal, seconds: float) -> None:
        self._journal, self._seconds = journal, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watches the machine", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The last sample."""
        self._over.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        step, before = 0, _ticks()
        while before is not None:
            over = self._over.wait(self._seconds)
            now = _ticks()
            if now is None:
                return
            try:
                self._journal.write(Machine(step=step, values=_sample(before, now)))
            except (RunError, OSError):
                return  # the run meets the same disk, and says so
            if over:
                return
            step, before = step + 1, now


def _sample(before: tuple[int, int], now: tuple[int, int]) -> dict[str, float]:
    passed, idle = max(1, now[0] - before[0]), now[1] - before[1]
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (1024 * int(memory[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    own = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "system/cpu_utilization_percentage": round(100 * (1 - idle / passed), 1),
        "system/system_memory_usage_megabytes": round((total - free) / MEGABYTE, 1),
        "system/system_memory_usage_percentage": round(100 * (total - free) / total, 1),
        "system/process_memory_usage_megabytes": round(own / MEGABYTE, 1),
    }


def _ticks() -> tuple[int, int] | None:
    """Ticks of all processors since boot, and those that were idle."""
    try:
        with open("/proc/stat") as file:
            counts = [int(word) for word in file.readline().split()[1:]]
    except (OSError, ValueError):
        return None
    return sum(counts[:8]), counts[3] + counts[4]
