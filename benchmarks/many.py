"""A sweep of 1,000 trials: whether the time of a trial or the memory of the process grows with their number."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRIALS, PARTS = 1000, 4
WORDS = ("data=iris", "architecture=linear", "training=fixed", "regularization=none", "training.epochs=1", "training.batch_size=32")
LOOK = 0.05  # seconds between two looks


def many(*, quick: bool = False) -> dict[str, Any]:
    """Seconds to the first line, then seconds and memory at each quarter of the trials, in MiB, and at the end."""
    trials = 8 if quick else TRIALS
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        words = [sys.executable, "-m", "pipeline", "-m", *WORDS, f"seed=range(0,{trials})", "tracking=none", "hydra.sweep.dir=s"]
        out = Path(folder) / "out"
        with out.open("w") as file:
            process = subprocess.Popen(words, cwd=folder, env=environment, stdout=file)
            began = time.perf_counter()
            first, marks, memory = 0.0, [0.0] * PARTS, [0.0] * PARTS
            while process.poll() is None:
                time.sleep(LOOK)
                now = time.perf_counter() - began
                first = first or (now if out.stat().st_size else 0.0)
                done = _done(Path(folder) / "s" / "sweep.jsonl")
                for part in range(PARTS):
                    if not marks[part] and done >= trials * (part + 1) // PARTS:
                        marks[part], memory[part] = now, _memory(process.pid) or (memory[part - 1] if part else 0.0)
        if process.returncode:
            raise RuntimeError(f"the sweep ended with {process.returncode}")
    return {"trials": trials, "first_line": first, "seconds": marks, "memory": memory, "end": time.perf_counter() - began}


def _done(journal: Path) -> int:
    """How many trials are over."""
    return journal.read_text().count('"event": "end"') if journal.exists() else 0


def _memory(process: int) -> float:
    """MiB that a process has in memory; 0 where it is over."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
