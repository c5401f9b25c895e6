"""results.json -> RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.compare import judged, spread
from benchmarks.machine import size
from benchmarks.workloads import WORKLOADS

Result = Mapping[str, Any]


def table(results: Mapping[str, Any]) -> str:
    """All sections that there are, as Markdown."""
    made = {
        "workloads": lambda r: [*asked(r), *contenders(r)],
        "agreement": agreement,
        "startup": startup,
        "roofline": roofline,
        "scaling": scaling,
    }
    lines = ["# Benchmarks", "", "Written by `make bench`; the numbers behind it are in results.json.", ""]
    for section, lines_of in made.items():
        if results.get(section):
            lines += [*lines_of(results[section]), ""]
    return "\n".join([*lines, *provenance(results), ""])


def asked(workloads: Mapping[str, Result]) -> list[str]:
    """Each goal beside what was measured, and a plain yes or no."""
    lines = [
        "## Asked and measured", "",
        "How many times longer than ours the other takes: the median over rounds in which all contenders take turns, each round's time",
        "over ours in the same round, with the lower and upper quartile. Where several peers are named the best of them counts.", "",
        "| workload | against the best of | asked | measured | quartiles | reached |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, result in workloads.items():
        for goal in WORKLOADS[name].goals if name in WORKLOADS else ():
            found, peers = judged(goal, result["ratio"]), ", ".join(goal.peers)
            if found is None:
                why = "; ".join(sorted({result["skipped"].get(peer, "not measured") for peer in goal.peers}))
                lines.append(f"| {name} | {peers} | {goal.ratio:g}x | skipped: {why} | | |")
                continue
            named = peers if len(goal.peers) == 1 else f"{peers}: {found['best']}"
            quartiles, verdict = " to ".join(f"{q:.2f}" for q in found["quartiles"]), "yes" if found["reached"] else "**no**"
            lines.append(f"| {name} | {named} | {goal.ratio:g}x | **{found['median']:.2f}x** | {quartiles} | {verdict} |")
    return [*lines, ""]


def contenders(workloads: Mapping[str, Result]) -> list[str]:
    """The times of every contender."""
    lines = [
        "## Times", "",
        "logistic: SGDClassifier updates after every row, not after a minibatch of 256; `sklearn` gets all rows in one call,",
        "`sklearn_minibatches` a call for each 256. Data lie in memory and are taken in stored order by all.", "",
        "| workload | contender | median µs | of a | ratio | quartiles |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, result in workloads.items():
        for contender, values in result["microseconds"].items():
            ratio = result["ratio"].get(contender)
            shown = "1 | |"
            if ratio:
                low, middle, high = spread(ratio)
                shown = f"{middle:.2f}x | {low:.2f} to {high:.2f} |"
            lines.append(f"| {name} | {contender} | {statistics.median(values):,.1f} | {result['unit']} | {shown}")
        lines += [f"| {name} | {peer} | skipped: {reason} | | | |" for peer, reason in result["skipped"].items()]
    return lines


def agreement(compared: Mapping[str, Result]) -> list[str]:
    """Losses side by side."""
    lines = [
        "## The same computation", "",
        "Losses of ours and of the timed peers from the same weights over the same rows, dropout off: the largest difference of all steps.",
        "Beside it what rounding alone can do: ours against ours from weights changed in the last bit.", "",
        "| workload | peer | steps | first loss | last, ours | last, peer | apart | last bit | within the limit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, result in compared.items():
        ours = result["losses"]["caviar"]
        for peer, apart in result["apart"].items():
            theirs, fits = result["losses"][peer], f"{'yes' if apart <= result['limit'] else '**no**'}: {result['limit']:g}"
            lines.append(
                f"| {name} | {peer} | {result['steps']} | {ours[0]:.4f} | {ours[-1]:.6f} | {theirs[-1]:.6f} "
                f"| {apart:.1e} | {result['last_bit']:.1e} | {fits} |"
            )
        lines += [f"| {name} | {peer} | skipped: {reason} | | | | | | |" for peer, reason in result["skipped"].items()]
    return lines


def startup(result: Result) -> list[str]:
    """Cold and warm starts."""
    lines = [
        "## Compile times", "",
        "Seconds, a fresh process each, the median of several. cold: no kernel cached, the time to compile training and evaluation;",
        "warm: kernels cached, from the start of the process to the end of the first step.", "",
        "| workload | start | import | compile | first step | whole process | asked | reached |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, kinds in result["seconds"].items():
        for kind, s in kinds.items():
            counted, limit = s["compile"] if kind == "cold" else s["process"], result["limits"][name][kind]
            verdict = "yes" if counted < limit else "**no**"
            shown = " | ".join(f"{s[part]:.2f}" for part in ("import", "compile", "step", "process"))
            lines.append(f"| {name} | {kind} | {shown} | {kind} below {limit:g} | {verdict} |")
    return lines


def roofline(result: Result) -> list[str]:
    """The ceilings, and the kernels under them."""
    ceilings = result["ceilings"]
    names = list(ceilings["flops"])
    lines = [
        "## Roofline", "",
        "Ceilings of this machine, measured: multiply-adds of registers, and a triad a = b + 3 c (bytes read and written).", "",
        f"| ceiling | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|",
        f"| GFLOP/s | {' | '.join(f'{value / 1e9:.0f}' for value in ceilings['flops'].values())} |",
    ]  # fmt: skip
    for level, values in ceilings["bytes"].items():
        lines.append(f"| GB/s, {level}, {size(ceilings['sizes'][level])} | {' | '.join(f'{v / 1e9:.0f}' for v in values.values())} |")
    for name, step in result["steps"].items():
        lines += [
            "", f"### Kernels of a training step: {name}", "",
            f"Each alone on one core, together {1e3 * step['one_core_seconds']:.2f} ms; the step with {step['threads']} threads takes "
            f"{1e3 * step['step_seconds']:.2f} ms, its products at {100 * step['step_share']:.0f} % of the ceiling of all cores.",
            "GFLOP/s of fused kernels count operations of the body an element; bytes count each operand once. share: the time that the",
            "binding ceiling would need, over the time taken.", "",
            "| kernel | op | µs | GFLOP/s | GB/s | bound by | share |", "|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for k in step["kernels"]:
            rates = f"{k['flops'] / 1e9:.1f} | {k['bytes'] / 1e9:.1f} | {k['bound']} | {100 * k['share']:.0f} %"
            lines.append(f"| {k['name']} | {k['op']} | {1e6 * k['seconds']:.1f} | {rates} |")
    return lines


def scaling(result: Result) -> list[str]:
    """The plots."""
    lines = ["## Scaling", "", "MLP with batch norm and dropout as above; one quantity changes at a time (trials: the small MLP).", ""]
    return [*lines, *(f"![{curve}](plots/{curve}.png)" for curve in result["microseconds"])]


def provenance(results: Mapping[str, Any]) -> list[str]:
    """When, where and with what, once for each that differs."""
    single = [results[name] for name in ("startup", "roofline", "scaling") if results.get(name)]
    entries = [*results.get("workloads", {}).values(), *results.get("agreement", {}).values(), *single]
    found: dict[str, list[str]] = {}
    for entry in entries:
        where = f"{entry['machine']}; commit {entry['commit']}"
        for package, version in entry["versions"].items():
            stated = f"{package} {version}"
            if stated not in found.setdefault(where, []):
                found[where].append(stated)
    if not entries:
        return []
    dates = sorted(entry["date"] for entry in entries)
    others = [entry["others"] for entry in entries if entry.get("others") is not None]
    busy = f"; others took at most {100 * max(others):.0f} % of the processors' time meanwhile" if others else ""
    when = f"Measured {dates[0]} to {dates[-1]}{busy}."
    return ["## Machine", "", when, "", *(f"- {where}; {', '.join(versions)}" for where, versions in found.items())]
