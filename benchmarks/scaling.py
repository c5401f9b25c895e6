"""How the time of a step grows with batch size, width, depth, cores and trials: ours and the peers', as numbers and plots."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.numpy.machine.processor import usable_cores
from benchmarks.compare import Yard, timed
from benchmarks.contenders import missing
from benchmarks.machine import stamp
from benchmarks.workloads import WORKLOADS, Workload

CONTENDERS = ("caviar", "torch", "jax")
MLP, SMALL = WORKLOADS["mlp"], WORKLOADS["mlp_small"]
# curve -> (what is drawn along x, the workload of each point, what a time is divided by)
POINTS: dict[str, tuple[str, dict[int, Workload], str]] = {
    "batch": ("batch size", {n: replace(MLP, batch=n, batches=8) for n in (8, 32, 128, 512, 2048)}, "row"),
    "width": ("hidden units", {n: replace(MLP, hidden=n, batches=8) for n in (32, 128, 512, 2048)}, "step"),
    "depth": ("hidden layers of 256 units", {n: replace(MLP, hidden=256, depth=n, batches=8) for n in (1, 2, 4, 8, 16)}, "step"),
    "trials": ("trials side by side", {n: replace(SMALL, trials=n) for n in (1, 4, 16, 64, 256)}, "step of one trial"),
    "threads": ("cores", {}, "step"),
}
BUDGET = 0.15  # seconds for a contender's turn, by a rough guess of its speed


def points(curve: str) -> dict[int, Workload]:
    """The workload at each point of a curve, with as many steps as make a turn short."""
    _, made, _ = POINTS[curve]
    if curve == "threads":
        made = {n: replace(MLP, threads=n, batches=8) for n in range(1, usable_cores() + 1)}
    return {n: replace(w, name=f"{curve}_{n}", contenders=CONTENDERS, goals=(), rounds=7, steps=steps(w)) for n, w in made.items()}


def steps(w: Workload) -> int:
    """Steps that a peer takes in about BUDGET seconds: half a millisecond each and 50 GFLOP/s; at least 2."""
    weights = w.inputs[0] * w.hidden + (w.depth - 1) * w.hidden**2
    seconds = 5e-4 + 6 * w.batch * weights * w.trials / 5e10
    return max(2, min(400, int(BUDGET / seconds)))


def scaling(curves: Sequence[str], yard: Yard, *, quick: bool = False) -> dict[str, Any]:
    """curve -> point -> contender -> microseconds, the median of seven rounds in turn, each when the machine's cores are whole."""
    there = [name for name in CONTENDERS if not missing(name)]
    skipped = {name: reason for name in CONTENDERS if (reason := missing(name))}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for curve in curves:
        made = points(curve)
        if quick:
            made = {n: w.quick() for n, w in list(made.items())[:2]}
        found[curve] = {}
        for n, w in made.items():
            per = n if curve == "batch" else 1
            times = timed(w, there, skipped, before=lambda threads=w.threads: yard.ready(threads or usable_cores()))
            found[curve][str(n)] = {name: round(1e6 * statistics.median(values) / per, 3) for name, values in times.items()}
            print(f"scaling {curve} {n}: {found[curve][str(n)]}", flush=True)
    return {**stamp(there), "microseconds": found, "skipped": skipped}


def draw(found: Mapping[str, Mapping[str, Mapping[str, float]]], folder: Path) -> None:
    """A PNG for each curve: both axes logarithmic, one line for each contender."""
    if not found:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    folder.mkdir(parents=True, exist_ok=True)
    for curve, values in found.items():
        label, _, per = POINTS[curve]
        figure, axes = pyplot.subplots(figsize=(5, 3.4), layout="constrained")
        for name in CONTENDERS:
            line = [(int(n), times[name]) for n, times in values.items() if name in times]
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", label=name)
        axes.set(xlabel=label, ylabel=f"µs a {per}", xscale="log", yscale="log")
        axes.set_xticks([int(n) for n in values], [str(n) for n in values])
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{curve}.png", dpi=110)
        pyplot.close(figure)
