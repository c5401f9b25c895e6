"""`python -m benchmarks.reading [FILE]`: what it costs to load a CSV for training, the first time and later, beside `pandas.read_csv`.

Without a FILE it writes one of 20,000 rows of 784 bytes and a label, 44 MB. Both readers take turns, so that what else the machine does
falls on both; the medians of their ratios count.

`python -m benchmarks.reading --large` writes a CSV of 2 GB instead (numbers, words, dates, gaps; 5 GB of room are needed in the folder of
temporary files), and trains a few steps on it in a process of its own: the greatest memory of that process, and its lines of progress.
`benchmarks/READING.md` holds what both said last.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pipeline
from pipeline.data import Data, load

ROWS, COLUMNS, TURNS = 20_000, 784, 5
LARGE, NUMBERS, BLOCK = 2 * 10**9, 90, 20_000  # bytes, columns of numbers, rows that are made at a time


def written(folder: Path) -> Path:
    """The file that is read where none is named."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (ROWS, COLUMNS)) * (rng.random((ROWS, COLUMNS)) < 0.6)
    path = folder / "digits.csv"
    header = ",".join(["label", *(f"pixel{i}" for i in range(COLUMNS))])
    np.savetxt(path, np.c_[np.arange(ROWS) % 10, cells], fmt="%d", delimiter=",", header=header, comments="")
    return path


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared(path: Path, cache: Path) -> None:
    """Prints the seconds of each turn, then the medians."""
    import pandas as pd

    with path.open(encoding="utf-8") as file:
        first = file.readline().strip().split(",")[0]
    config = Data(kind="csv", path=str(path), target=first)
    load(Data(kind="csv", path=str(path), target=first, stream=False), seed=0)  # what only the first reading of a process costs
    ratios, later = [], []
    for _ in range(TURNS):
        shutil.rmtree(cache / "caviar", ignore_errors=True)
        theirs = seconds(lambda: pd.read_csv(path))
        ours, again = (seconds(lambda: load(config, seed=0)) for _ in range(2))
        ratios.append(ours / theirs)
        later.append(again)
        print(f"pandas {theirs:.2f} s, first {ours:.2f} s, later {again:.2f} s")
    print(f"first {statistics.median(ratios):.2f} times pandas, later {statistics.median(later):.2f} s")


def large(path: Path, size: int) -> None:
    """Writes a CSV of `size` bytes or more: a class, numbers, a gap here and there, a town, a day."""
    rng = np.random.default_rng(0)
    towns, days = np.array(["Basel", "Bern", "Genf", "Zug"]), [f"{d:02}.{m:02}.2023" for m in range(1, 13) for d in range(1, 29)]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["y", "town", "day", *(f"x{i}" for i in range(NUMBERS))]) + "\n")
        while file.tell() < size:
            numbers = np.char.mod("%.4f", rng.normal(size=(BLOCK, NUMBERS)))
            numbers[rng.random(numbers.shape) < 0.01] = ""
            words = np.c_[rng.integers(0, 2, BLOCK).astype(str), rng.choice(towns, BLOCK), rng.choice(days, BLOCK)]
            lines = "\n".join(",".join([*few, *many]) for few, many in zip(words.tolist(), numbers.tolist(), strict=True)) + "\n"
            for _ in range(10):  # the same rows again: what is read is text
                file.write(lines)


class Watch:
    """The greatest memory of this process, looked at twenty times a second: its own, and with the pages of mapped files."""

    def __init__(self) -> None:
        self.own, self.all = 0, 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            known = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            own, whole = (int(known[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS"))
            self.own, self.all = max(self.own, own), max(self.all, whole)
            time.sleep(0.05)


def trained(path: str) -> None:
    """Trains some steps in the current folder, and prints the seconds that took and the greatest memory of the process."""
    start, watch = time.perf_counter(), Watch()
    overrides = [f"data.path={path}", "data.target=y", "data.stream=true", "tracking=none", "budget=steps", "budget.steps=50"]
    result = pipeline.train(pipeline.compose([*overrides, "training=fixed", "architecture=mlp_small"]))
    assert result.metrics, "it has trained"
    took, size = time.perf_counter() - start, Path(path).stat().st_size
    print(f"{size / 1e9:.2f} GB read, converted and trained on for 50 steps in {took:.0f} s")
    print(f"greatest memory {watch.own / 1e9:.2f} GB, with the pages of mapped files {watch.all / 1e9:.2f} GB")


def main(arguments: list[str]) -> None:
    """Either of the two."""
    if arguments[:1] == ["--trained"]:
        trained(arguments[1])
        return
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = name
        if arguments[:1] != ["--large"]:
            compared(Path(arguments[0]) if arguments else written(Path(name)), Path(name))
            return
        path = Path(name) / "large.csv"
        large(path, int(float(arguments[1])) if len(arguments) > 1 else LARGE)
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        subprocess.run([sys.executable, "-m", "benchmarks.reading", "--trained", str(path)], check=True, cwd=name, env=here)


if __name__ == "__main__":
    main(sys.argv[1:])
