"""`python -m benchmarks [--quick] [--output FOLDER] [NAME ...]`: measures, and writes results.json, RESULTS.md and plots/.

NAME is a workload or a part: workloads (all of them), agreement, startup, sweep, sweep_PART, streaming, one_row, memory, roofline,
scaling, scaling_CURVE.
Without a name: everything.
--quick takes a few steps only, to see that all of it runs; it writes nothing unless --output says where.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import agreement, compare, memory, one_row, report, roofline, scaling, startup, streaming, sweep
from benchmarks.machine import Watch
from benchmarks.workloads import WORKLOADS

HERE = Path(__file__).parent
PARTS = ("workloads", "agreement", "startup", "sweep", "streaming", "one_row", "memory", "roofline", "scaling")
CURVES = (*(f"scaling_{curve}" for curve in scaling.POINTS), *(f"sweep_{part}" for part in sweep.PARTS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is named -> the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*PARTS, *CURVES, *WORKLOADS)))
    parser.add_argument("--quick", action="store_true", help="a few steps only; the times mean nothing")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where results go; benchmarks/ by default")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in (*PARTS, *CURVES, *WORKLOADS)]
    if unknown:
        print(f"error: {unknown[0]}: unknown workload or part; use one of {', '.join((*PARTS, *CURVES, *WORKLOADS))}", file=sys.stderr)
        return 2
    folder = given.output or (None if given.quick else HERE)
    results = stored(folder)
    yard = compare.Yard(patience=0.0 if given.quick else compare.PATIENCE)
    for part, name in chosen(given.names or PARTS):
        watch = Watch()
        measured = {**measure(part, name, yard, quick=given.quick), "others": watch.others()}
        if part in ("workloads", "agreement"):
            results[part][name] = measured
            shown = {part: {name: measured}}
        else:
            results[part] = merged(results[part], measured)
            shown = {part: measured}
        print("\n".join(report.table(shown).split("\n")[4:]), flush=True)
        if folder:
            write(folder, results)
    return 0


def chosen(names: Sequence[str]) -> list[tuple[str, str]]:
    """(part, what of it) in the order of PARTS; a part alone means all of it."""
    found: list[tuple[str, str]] = []
    for part in PARTS:
        if part == "workloads":
            found += [(part, name) for name in WORKLOADS if part in names or name in names]
        elif part == "agreement":
            found += [(part, name) for name in agreement.COMPARED if part in names]
        elif part == "scaling":
            found += [(part, curve) for curve in scaling.POINTS if part in names or f"scaling_{curve}" in names]
        elif part == "sweep":
            found += [(part, own) for own in sweep.PARTS if part in names or f"sweep_{own}" in names]
        elif part in names:
            found.append((part, ""))
    return found


def measure(part: str, name: str, yard: compare.Yard, *, quick: bool) -> dict[str, Any]:
    """One entry of the results."""
    if part == "workloads":
        return compare.compare(WORKLOADS[name].quick() if quick else WORKLOADS[name], yard)
    if part == "agreement":
        return agreement.agreement(name, steps=3 if quick else None)
    if part == "startup":
        return startup.startup(yard, quick=quick)
    if part == "sweep":
        return sweep.sweep(yard, [name], quick=quick)
    if part == "streaming":
        return streaming.streaming(quick=quick)
    if part == "one_row":
        return one_row.one_row(quick=quick)
    if part == "memory":
        return memory.memory(quick=quick)
    return roofline.roofline(quick=quick) if part == "roofline" else scaling.scaling([name], yard, quick=quick)


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The newer result; curves that it lacks stay, and so do parts of a sweep."""
    if "commits" in now:
        return {**before, **now, "commits": {**before.get("commits", {}), **now["commits"]}}
    if "microseconds" not in now or "ratio" in now:
        return now
    return {**now, "microseconds": {**before.get("microseconds", {}), **now["microseconds"]}}


def stored(folder: Path | None) -> dict[str, Any]:
    """The results of earlier runs by part; a file of another form counts as none."""
    path = folder / "results.json" if folder else None
    found = json.loads(path.read_text()) if path and path.exists() else {}
    return {part: found.get(part, {}) for part in PARTS}


def write(folder: Path, results: dict[str, Any]) -> None:
    """results.json, RESULTS.md and the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "RESULTS.md").write_text(report.table(results))
    scaling.draw(results["scaling"].get("microseconds", {}), folder / "plots")


if __name__ == "__main__":
    sys.exit(main())
