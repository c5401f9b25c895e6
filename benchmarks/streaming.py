"""What training costs on rows that are bytes, or streamed from files, beside the same rows as float32 in memory."""

# N rows, S steps, B batch rows
from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.compare import PAUSE
from benchmarks.contenders import own
from benchmarks.machine import stamp
from benchmarks.workloads import WORKLOADS, Workload
from pipeline import data, random
from pipeline.data import Data, Split
from pipeline.data.prepared import prepared
from pipeline.preprocessing import Preprocessing
from pipeline.training.blocks import Blocks

# name -> the type of the numbers in x.npy, and whether they are streamed from there
WAYS = {
    "float32 in memory": ("float32", False),
    "bytes in memory": ("uint8", False),
    "bytes streamed": ("uint8", True),
    "float32 streamed": ("float32", True),
}
BASE = "float32 in memory"
LIMIT = 1.05  # of the time of a step in memory, for one whose rows are streamed
ROWS, ROUNDS, STEPS, WARM = 60_000, 31, 166, 8
CHUNK = 45  # steps of a call: the tenth of a second that the training loop aims at


class Training:
    """A training as the loop of `pipeline.training` does it, without its end: to be taken some steps further at a time."""

    def __init__(self, w: Workload, root: Path, *, stream: bool) -> None:
        loaded = data.load(Data(kind="npy", root=str(root), stream=stream, split=Split(validation=0.1, test=0.0)), seed=0)
        part = prepared(loaded, Preprocessing()).train
        self.program = own.program(w)
        self.batch, self.rows = w.batch, len(part)
        self.epoch = self.rows // w.batch
        self.blocks = Blocks(part, self._order, epochs=None, steps=self.epoch, batch=w.batch)
        self.done = 0

    def take(self, steps: int) -> list[float]:
        """The losses of the next steps."""
        losses: list[float] = []
        while len(losses) < steps:
            epoch, step = divmod(self.done + len(losses), self.epoch)
            feed = self.blocks.feed(epoch, step, min(CHUNK, steps - len(losses), self.epoch - step))
            losses += self.program.run(feed.x, feed.y, feed.order, feed.weight).tolist()
        self.done += steps
        return losses

    def close(self) -> None:
        """Ends its thread."""
        self.blocks.close()

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        return random.permutation(0, random.ORDER, epoch, self.rows)[: self.epoch * self.batch].reshape(self.epoch, self.batch)


def streaming(*, quick: bool = False) -> dict[str, Any]:
    """way -> microseconds of a step in each round, in which all take turns; and whether all had the same losses to the last bit."""
    w = WORKLOADS["mlp_plain"]
    rows, rounds, steps = (10 * w.batch, 3, 4) if quick else (ROWS, ROUNDS, STEPS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_:
        store(Path(folder), w, rows)
        trainings = {
            name: open_.enter_context(closing(Training(w, Path(folder) / kind, stream=stream))) for name, (kind, stream) in WAYS.items()
        }
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        losses: dict[str, list[float]] = {name: [] for name in WAYS}
        names = list(WAYS)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                time.sleep(PAUSE)
                losses[name] += trainings[name].take(min(WARM, steps))
                start = time.perf_counter()
                losses[name] += trainings[name].take(steps)
                times[name].append(1e6 * (time.perf_counter() - start) / steps)
    return {
        **stamp(),
        "rows": rows,
        "microseconds": {name: [round(t, 2) for t in values] for name, values in times.items()},
        "ratio": {name: [round(t / b, 3) for t, b in zip(times[name], times[BASE], strict=True)] for name in names if name != BASE},
        "limit": LIMIT,
        "same_losses": all(values == losses[BASE] for values in losses.values()),
    }


def store(folder: Path, w: Workload, rows: int) -> None:
    """x.npy of bytes and, with the same numbers, of float32, each beside y.npy, in folders named by the type."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (rows, *w.inputs), np.uint8), np.arange(rows) % w.classes
    for kind in ("uint8", "float32"):
        (folder / kind).mkdir()
        np.save(folder / kind / "x.npy", x.astype(kind))
        np.save(folder / kind / "y.npy", y)
