"""What a measurement was made on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import NEEDS

RESULTS = ("results.json", "RESULTS.md", "plots")  # what the benchmarks write


class Watch:
    """What others take of the machine while something is measured."""

    def __init__(self) -> None:
        self.start, self.busy, self.own = time.perf_counter(), _busy(), _own()

    def others(self) -> float | None:
        """The share of all processor time since the start that neither this process nor its ended children had; None where not known."""
        if self.busy is None or (busy := _busy()) is None:
            return None
        taken = (busy - self.busy) - (_own() - self.own)
        return round(max(0.0, taken / (time.perf_counter() - self.start) / (os.cpu_count() or 1)), 3)


def _busy() -> float | None:
    """Seconds that all processors have worked, those that a hypervisor took away among them."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _, _, *rest = (int(n) for n in stat.read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    return sum(os.times()[:4])


def stamp(contenders: Sequence[str] = ()) -> dict[str, Any]:
    """Date, machine, versions, commit."""
    packages = ["llvmlite", "numpy", *(NEEDS[name][1] for name in contenders)]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in dict.fromkeys(packages)}},
        "commit": commit(),
    }


def machine() -> str:
    """Cores, model, vector width, caches."""
    from backends.numpy.machine.processor import host, usable_cores  # of a backend that the report of a GPU can do without

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = (line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(names, model)
    sizes = caches()
    shown = ", ".join(f"L{level} {size(count)}" for level, count in sizes.items())
    return f"{usable_cores()} cores, {model}, {host().name}" + (f", {shown}" if shown else "")


def caches() -> dict[int, int]:
    """Level -> bytes of the data caches that the first core sees; empty where the system does not say."""
    found: dict[int, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (folder / "type").read_text().strip() != "Instruction":
            text = (folder / "size").read_text().strip()
            found[int((folder / "level").read_text())] = int(text.rstrip("KM")) * {"K": 2**10, "M": 2**20}.get(text[-1], 1)
    return found


def size(count: float) -> str:
    """Bytes for a reader."""
    return f"{count / 2**20:.3g} MiB" if count >= 2**20 else f"{count / 2**10:.3g} KiB"


def commit() -> str:
    """The short git commit, marked where files other than results differ from it; `unknown` outside a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!benchmarks/{name}" for name in RESULTS))
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
