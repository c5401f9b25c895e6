"""`python -m benchmarks [WORKLOAD ...]`: every contender of a workload in turn, round by round; ratios, JSON and a table."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

ROUNDS = 15
HERE = Path(__file__).parent


def main() -> None:
    """Runs the named workloads (all by default) and writes results.json and RESULTS.md."""
    names = sys.argv[1:] or list(WORKLOADS)
    path = HERE / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        results[name] = compare(WORKLOADS[name])
        path.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "RESULTS.md").write_text(table(results))
        print(table({name: results[name]}).split("\n\n", 1)[1], flush=True)


def compare(workload: Workload) -> dict[str, Any]:
    """Times of each contender, and of how many times slower than ours it is in each round."""
    workers = {name: _start(workload.name, name) for name in workload.contenders}
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(ROUNDS):
        for name, worker in workers.items():
            assert worker.stdin and worker.stdout
            worker.stdin.write("go\n")
            worker.stdin.flush()
            times[name].append(float(worker.stdout.readline()))
    for worker in workers.values():
        assert worker.stdin
        worker.stdin.close()
        worker.wait()
    ours = times["caviar"]
    ratios = {name: [t / o for t, o in zip(values, ours, strict=True)] for name, values in times.items() if name != "caviar"}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": _machine(),
        "versions": _versions(workload.contenders),
        "rounds": ROUNDS,
        "microseconds": {name: [round(1e6 * t, 2) for t in values] for name, values in times.items()},
        "ratio": {name: [round(r, 3) for r in values] for name, values in ratios.items()},
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown: medians, and the ratios with their quartiles."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`.  Time of one training step of one trial; a ratio says how many times longer than ours the other takes:",
        "the median over rounds in which all contenders take turns, with the lower and upper quartile.",
        "",
        "| workload | contender | median µs | ratio | quartiles |",
        "|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for contender, values in result["microseconds"].items():
            ratio = result["ratio"].get(contender)
            quartiles = statistics.quantiles(ratio, n=4) if ratio else None
            shown = f"**{statistics.median(ratio):.2f}x** | {quartiles[0]:.2f} to {quartiles[2]:.2f}" if ratio and quartiles else "1 |"
            lines.append(f"| {name} | {contender} | {statistics.median(values):.1f} | {shown} |")
    machines = sorted({f"{r['date']}: {r['machine']}; {', '.join(f'{k} {v}' for k, v in r['versions'].items())}" for r in results.values()})
    return "\n".join([*lines, "", *machines, ""])


def _start(workload: str, contender: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.worker", workload, contender]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    assert worker.stdout
    assert worker.stdout.readline().strip() == "ready", f"{contender} could not start"
    return worker


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
        cores = sum(line.startswith("processor") for line in lines)
    except OSError:
        return model
    return f"{cores} cores, {model}"


def _versions(contenders: tuple[str, ...]) -> dict[str, str]:
    packages = {"torch": "torch", "torch_compile": "torch", "jax": "jax", "sklearn": "scikit-learn", "caviar": "numpy"}
    wanted = ["llvmlite", *dict.fromkeys(packages[c] for c in contenders)]
    return {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in wanted}}


if __name__ == "__main__":
    main()
