"""`python -m benchmarks.reading [FILE]`: what it costs to load a CSV for training, the first time and later, beside `pandas.read_csv`.

Without a FILE it writes one of 20,000 rows of 784 bytes and a label, 44 MB. Both readers take turns, so that what else the machine does
falls on both; the medians of their ratios count. Measured on two cores that others shared: first 1.6 to 1.9 times pandas (it reads, looks
at every column, converts and keeps the result), later 0.15 to 0.25 s, for each job of a sweep as well.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.data import Data, load

ROWS, COLUMNS, TURNS = 20_000, 784, 5


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


def main(arguments: list[str]) -> None:
    """Prints the seconds of each turn, then the medians."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = name
        path = Path(arguments[0]) if arguments else written(Path(name))
        with path.open(encoding="utf-8") as file:
            first = file.readline().strip().split(",")[0]
        config = Data(kind="csv", path=str(path), target=first)
        load(Data(kind="csv", path=str(path), target=first, stream=False), seed=0)  # what only the first reading of a process costs
        ratios, later = [], []
        for _ in range(TURNS):
            shutil.rmtree(Path(name) / "caviar", ignore_errors=True)
            theirs = seconds(lambda: pd.read_csv(path))
            ours, again = (seconds(lambda: load(config, seed=0)) for _ in range(2))
            ratios.append(ours / theirs)
            later.append(again)
            print(f"pandas {theirs:.2f} s, first {ours:.2f} s, later {again:.2f} s")
        print(f"first {statistics.median(ratios):.2f} times pandas, later {statistics.median(later):.2f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
