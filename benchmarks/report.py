"""results.json -> RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.compare import PATIENCE, WHOLE, judged, spread
from benchmarks.machine import size
from benchmarks.one_row import LIMIT as ONE_ROW
from benchmarks.one_row import OURS
from benchmarks.stacks import LIMIT as STACKED
from benchmarks.sweep import FIRST, PEER
from benchmarks.workloads import WORKLOADS

Result = Mapping[str, Any]


def cells(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; a row that is shorter than its heads ends in empty cells."""
    full = [[*row, *[""] * (len(heads) - len(row))] for row in rows]
    return [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *("".join(f"| {c} " if c else "| " for c in row) + "|" for row in full)]


def table(results: Mapping[str, Any]) -> str:
    """All sections that there are, as Markdown."""
    made = {
        "workloads": lambda r: [*asked(r), *contenders(r)],
        "agreement": agreement,
        "startup": startup,
        "sweep": sweep,
        "streaming": streaming,
        "one_row": one_row,
        "memory": memory,
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
    rows: list[list[str]] = []
    most = max((value for result in workloads.values() for value in result.get("flops", ())), default=0.0)
    for name, result in workloads.items():
        given = f"{100 * statistics.median(result['flops']) / most:.0f} %" if result.get("flops") else ""
        for goal in WORKLOADS[name].goals if name in WORKLOADS else ():
            found, peers = judged(goal, result["ratio"]), ", ".join(goal.peers)
            if found is None:
                why = "; ".join(sorted({result["skipped"].get(peer, "not measured") for peer in goal.peers}))
                rows.append([name, peers, f"{goal.ratio:g}x", f"skipped: {why}"])
                continue
            named = peers if len(goal.peers) == 1 else f"{peers}: {found['best']}"
            quartiles, verdict = " to ".join(f"{q:.2f}" for q in found["quartiles"]), "yes" if found["reached"] else "**no**"
            rows.append([name, named, f"{goal.ratio:g}x", f"**{found['median']:.2f}x**", quartiles, verdict, given])
    return [
        "## Asked and measured", "",
        "How many times longer than ours the other takes: the median over rounds in which all contenders take turns, each round's time",
        "over ours in the same round, with the lower and upper quartile. Where several peers are named the best of them counts.",
        f"machine: the multiply-adds that all cores gave just before each round, the median, of the {most / 1e9:.0f} GFLOP/s at best.",
        f"Where others share the machine it changes by the second: a round waits, {PATIENCE:.0f} seconds at most, until the cores give",
        f"{100 * WHOLE:.0f} % of the best seen.", "",
        *cells(("workload", "against the best of", "asked", "measured", "quartiles", "reached", "machine"), rows), "",
    ]  # fmt: skip


def contenders(workloads: Mapping[str, Result]) -> list[str]:
    """The times of every contender."""
    rows: list[list[str]] = []
    for name, result in workloads.items():
        for contender, values in result["microseconds"].items():
            ratio, shown = result["ratio"].get(contender), ["1"]
            if ratio:
                low, middle, high = spread(ratio)
                shown = [f"{middle:.2f}x", f"{low:.2f} to {high:.2f}"]
            rows.append([name, contender, f"{statistics.median(values):,.1f}", result["unit"], *shown])
        rows += [[name, peer, f"skipped: {reason}"] for peer, reason in result["skipped"].items()]
    return [
        "## Times", "",
        "logistic: SGDClassifier updates after every row, not after a minibatch of 256; `sklearn` gets all rows in one call,",
        "`sklearn_minibatches` a call for each 256. Data lie in memory and are taken in stored order by all.", "",
        *cells(("workload", "contender", "median µs", "of a", "ratio", "quartiles"), rows),
    ]  # fmt: skip


def agreement(compared: Mapping[str, Result]) -> list[str]:
    """Losses side by side."""
    rows: list[list[str]] = []
    for name, result in compared.items():
        ours = result["losses"]["caviar"]
        for peer, apart in result["apart"].items():
            theirs, fits = result["losses"][peer], f"{'yes' if apart <= result['limit'] else '**no**'}: {result['limit']:g}"
            ends = [f"{ours[0]:.4f}", f"{ours[-1]:.6f}", f"{theirs[-1]:.6f}"]
            rows.append([name, peer, str(result["steps"]), *ends, f"{apart:.1e}", f"{result['last_bit']:.1e}", fits])
        rows += [[name, peer, f"skipped: {reason}"] for peer, reason in result["skipped"].items()]
    heads = ("workload", "peer", "steps", "first loss", "last, ours", "last, peer", "apart", "last bit", "within the limit")
    return [
        "## The same computation", "",
        "Losses of ours and of the timed peers from the same weights over the same rows, dropout off: the largest difference of all steps.",
        "Beside it what rounding alone can do: ours against ours from weights changed in the last bit. In ResNet-20 a last bit of float32",
        "grows past the limit within a few steps, whoever computes; in float64 (8 rows a step) it is seen to be the same net.", "",
        *cells(heads, rows),
    ]  # fmt: skip


def startup(result: Result) -> list[str]:
    """Cold and warm starts."""
    rows: list[list[str]] = []
    for name, kinds in result["seconds"].items():
        for kind, s in kinds.items():
            counted, limit = s["compile"] if kind == "cold" else s["process"], result["limits"][name][kind]
            shown = [f"{s[part]:.2f}" for part in ("import", "compile", "step", "process")]
            rows.append([name, kind, *shown, f"{kind} below {limit:g}", "yes" if counted < limit else "**no**"])
    return [
        "## Compile times", "",
        "Seconds, a fresh process each, the median of several. cold: no kernel cached, the time to compile training and evaluation;",
        "warm: kernels cached, from the start of the process to the end of the first step.", "",
        *cells(("workload", "start", "import", "compile", "first step", "whole process", "asked", "reached"), rows),
    ]  # fmt: skip


def sweep(result: Result) -> list[str]:
    """Sweeps from their command to their last record."""
    lines = ["## A sweep", ""]
    lines += _of_64(result) if "seconds" in result else []
    if "of_512" in result:
        of = result["of_512"]
        lines += [
            f"{of['trials']} trials: {of['wall']:.1f} s of wall clock, {of['cpu']:.1f} s of CPU; asked: at most {of['limit']:g} s of wall.",
            "",
        ]
    lines += _fashion(result["fashion"]) if "fashion" in result else []
    lines += _of_1000(result["of_1000"]) if "of_1000" in result else []
    lines += _together(result["stacks"]) if "stacks" in result else []
    commits = result.get("commits", {})
    if len(set(commits.values())) > 1:
        lines += ["", f"Commits: {', '.join(f'{part} of {commit}' for part, commit in commits.items())}."]
    return lines


def _of_64(result: Result) -> list[str]:
    """64 trials in several ways."""
    medians = {way: {what: statistics.median(times) for what, times in found.items()} for way, found in result["seconds"].items()}
    rows = [[way, f"{found['wall']:.2f}", f"{found['cpu']:.2f}"] for way, found in medians.items()]
    limits, own = result["limits"], medians["stacked"]
    reached = all(own[what] <= limit for what, limit in limits.items())
    asked = f"at most {limits['wall']:g} and {limits['cpu']:g}"
    bits = "the same" if result["same"] else "**not the same**"
    return [
        f"{result['trials']} trials of `mlp_small` on digits, from the command to its last record: seconds of wall clock, and",
        "of the CPU of all processes, the medians of rounds in which all take turns. Ours with folders, journals, checkpoints and MLflow;",
        f"the torch loop records nothing. Asked of the stacked sweep: {asked}; reached: {'yes' if reached else '**no**'}. Figures",
        "of the sweep and of its best trial come after the last record: they are in the CPU seconds. start: two trials of one epoch.",
        "",
        *cells(("way", "wall", "CPU"), rows),
        *tracked(result, medians),
        *(f"\n{way}: {why}" for way, why in result["skipped"].items()),
        *_beside_the_loop(medians),
        "", f"Losses and metrics of all {result['trials']} trials, stacked and one by one: {bits}, to the last bit.", "",
    ]  # fmt: skip


def _beside_the_loop(medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """How many times as long the loop of PyTorch takes, and what of ours is no training."""
    if "torch loop" not in medians:
        return []
    loop, own, start = (medians[way] for way in ("torch loop", "stacked", "start"))
    ratio = {what: loop[what] / own[what] for what in ("wall", "cpu")}
    verdict = "yes" if ratio["wall"] >= PEER else "**no**"
    return [
        "",
        f"The torch loop takes {ratio['wall']:.1f} times our wall clock and {ratio['cpu']:.1f} times our CPU; asked: {PEER:g}; {verdict}.",
        f"A fifth of the loop is {loop['wall'] / PEER:.1f} s, of which Python, NumPy, Hydra, llvmlite, composing the config and the end",
        f"of the process take {start['wall']:.1f} s ({start['cpu']:.1f} s of CPU), whatever is trained; the rest is folders, journals and",
        "checkpoints of all trials, and MLflow's rows. The line was written where the loop took about 18 s.",
    ]


def _of_1000(grown: Result) -> list[str]:
    """Whether anything grows over 1,000 trials."""
    parts = [b - a for a, b in pairwise([grown["first_line"], *grown["seconds"]])]
    each = grown["trials"] / len(parts)
    told = ", ".join(f"{1000 * part / each:.1f}" for part in parts)
    memory = ", ".join(f"{value:.0f}" for value in grown["memory"])
    return [
        f"{grown['trials']:,} trials of a linear network on iris: first line after {grown['first_line']:.1f} s (asked: at most",
        f"{FIRST:g}); milliseconds a trial in each quarter {told}; memory at the end of each quarter {memory} MiB; the end",
        f"after {grown['end']:.1f} s.",
    ]


def _fashion(found: Result) -> list[str]:
    """A whole sweep on Fashion-MNIST beside its steps alone."""
    if "skipped" in found:
        return [f"Fashion-MNIST: {found['skipped']}.", ""]

    def ratio(what: str, beside: str) -> float:
        return statistics.median(a / b for a, b in zip(found["sweep"][what], found[beside][what], strict=True))

    verdict = "yes" if ratio("wall", "steps") <= STACKED else "**no**"
    lines = [
        f"Fashion-MNIST, an MLP 784-512-512-10 with batch norm, {found['trials']} trials, {found['epochs']} epochs: the whole sweep takes",
        f"{ratio('wall', 'steps'):.3f} times the wall clock of its steps taken alone, one trial after another, "
        f"{ratio('cpu', 'steps'):.3f} times their CPU;",
        f"asked: {STACKED:g}; {verdict}. Steps alone read no data, fit no preprocessing, evaluate nothing (4,000 rows an epoch and 10,000",
        "at the end of each trial are a twentieth of the arithmetic).",
    ]
    if "plain" in found:
        lines += [
            "Beside the plain training of its trials, which does all that in one process, one after another, and keeps no record, it takes",
            f"{ratio('wall', 'plain'):.3f} times the wall clock and {ratio('cpu', 'plain'):.3f} times the CPU.",
        ]
    return [*lines, ""]


def _together(found: Mapping[str, Result]) -> list[str]:
    """Steps in a stack beside the sum of the steps alone."""
    rows = []
    for name, case in found.items():
        ratios = {
            what: [a / b for a, b in zip(case["seconds"]["together"][what], case["seconds"]["alone"][what], strict=True)]
            for what in ("wall", "cpu")
        }
        reached = "yes" if statistics.median(ratios["cpu"]) <= STACKED else "**no**"
        shown = [f"{statistics.median(ratios[what]):.3f}" for what in ("wall", "cpu")]
        rows.append(
            [name, str(case["trials"]), *shown, "the same" if case["same_losses"] else "**differ**", f"at most {STACKED:g}", reached]
        )
    return [
        "", "Steps of a stack beside the sum of the steps of its members alone, in turn, without data and record: medians of ratios.", "",
        *cells(("network", "trials", "wall", "CPU", "losses", "asked of the CPU", "reached"), rows),
    ]  # fmt: skip


def tracked(result: Result, medians: dict[str, dict[str, float]]) -> list[str]:
    """What MLflow costs a trial, and the end of a run."""
    if "tracking" not in result:
        return []
    asked, spent = result["tracking"], medians["stacked"]["cpu"] - medians["untracked"]["cpu"]
    each, last = 1000 * spent / result["trials"], statistics.median(asked["end"])
    words = f"MLflow takes {each:.0f} ms of CPU a trial (stacked less untracked; asked: at most {1000 * asked['limit']:g})."
    return ["", f"{words} A run ends {last:.2f} s after its last epoch (asked: at most {asked['end limit']:g} s)."]


def streaming(result: Result) -> list[str]:
    """Rows that are bytes or lie in files, beside the same rows as float32 in memory."""
    same = "All had the same losses, to the last bit." if result["same_losses"] else "**Their losses differ.**"
    lines = [
        "## Streaming", "",
        f"A training step of mlp_plain on {result['rows']:,} rows of whole numbers, in another order each epoch, with `standardize`:",
        "rows in memory, and rows streamed from a file by `data.stream=true`, all in turn in one run; ratios are round by round,",
        f"to float32 in memory. {same}", "",
        "| rows | median µs of a step | ratio | quartiles | asked | reached |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, values in result["microseconds"].items():
        shown = "1 | | | |"
        if name in result["ratio"]:
            low, middle, high = spread(result["ratio"][name])
            verdict = "yes" if middle <= result["limit"] else "**no**"
            shown = f"{middle:.3f}x | {low:.3f} to {high:.3f} | at most {result['limit']:g}x | {verdict} |"
        lines.append(f"| {name} | {statistics.median(values):,.1f} | {shown}")
    return lines


def one_row(result: Result) -> list[str]:
    """One row at a time beside other runtimes."""
    rows = []
    for case, taken in result["microseconds"].items():
        for name, values in taken.items():
            shown = [case, name, f"{statistics.median(values):,.1f}"]
            if name == OURS and case in result["ratio"]:
                low, middle, high = spread(result["ratio"][case])
                verdict = "yes" if middle <= ONE_ROW else "**no**"
                shown += [f"{middle:.2f}x", f"{low:.2f} to {high:.2f}", f"at most {ONE_ROW:g}x", verdict]
            rows.append(shown)
    rows += [["", peer, f"skipped: {reason}"] for peer, reason in result["skipped"].items()]
    return [
        "## One row", "",
        "One row predicted at a time, all in turn in one run, with our ONNX file of the network for the others; the ratio is that of our",
        "model to ONNX Runtime, turn by turn. A model is a program with its preprocessing, here none. Each predicts for 50 ms before",
        "its turn is timed: threads of ONNX Runtime spin for 33 ms after a call, on a core that the next one would be without.", "",
        *cells(("network", "predicts", "median µs of a call", "ratio", "quartiles", "asked", "reached"), rows),
    ]  # fmt: skip


def memory(result: Result) -> list[str]:
    """What a training takes."""
    rows = [
        [name, contender, *(f"{taken[part] / 1e6:.1f}" if part in taken else "" for part in ("training", "planned", "compiler", "process"))]
        for name, contenders in result["bytes"].items()
        for contender, taken in contenders.items()
    ]
    rows += [["", peer, f"skipped: {reason}"] for peer, reason in result["skipped"].items()]
    return [
        "## Memory", "",
        "The most that five training steps take, of ours with an evaluation after them, in millions of bytes: beyond the data, the",
        "libraries and our compiler (training; of JAX its compiler is part of it), what our plan says, what our compiler takes, and",
        "the whole process. A fresh process each, the median of three.", "",
        *cells(("workload", "contender", "training", "planned", "compiler", "process"), rows),
    ]  # fmt: skip


def roofline(result: Result) -> list[str]:
    """The ceilings, and the kernels under them."""
    ceilings = result["ceilings"]
    rows = [["GFLOP/s", *(f"{value / 1e9:.0f}" for value in ceilings["flops"].values())]]
    for level, values in ceilings["bytes"].items():
        rows.append([f"GB/s, {level}, {size(ceilings['sizes'][level])}", *(f"{v / 1e9:.0f}" for v in values.values())])
    lines = [
        "## Roofline", "",
        "Ceilings of this machine, measured: multiply-adds of registers, and a triad a = b + 3 c (bytes read and written).", "",
        *cells(["ceiling", *ceilings["flops"]], rows),
    ]  # fmt: skip
    for name, step in result["steps"].items():
        kernels = [
            [
                k["name"],
                k["op"],
                f"{1e6 * k['seconds']:.1f}",
                f"{k['flops'] / 1e9:.1f}",
                f"{k['bytes'] / 1e9:.1f}",
                k["bound"],
                f"{100 * k['share']:.0f} %",
            ]
            for k in step["kernels"]
        ]
        lines += [
            "", f"### Kernels of a training step: {name}", "",
            f"Each alone on one core, together {1e3 * step['one_core_seconds']:.2f} ms; the step with {step['threads']} threads takes "
            f"{1e3 * step['step_seconds']:.2f} ms, its products at {100 * step['step_share']:.0f} % of the ceiling of all cores.",
            "GFLOP/s of fused kernels count operations of the body an element; bytes count each operand once. share: the time that the",
            "binding ceiling would need, over the time taken.", "",
            *cells(("kernel", "op", "µs", "GFLOP/s", "GB/s", "bound by", "share"), kernels),
        ]  # fmt: skip
    return lines


def scaling(result: Result) -> list[str]:
    """The plots."""
    lines = ["## Scaling", "", "MLP with batch norm and dropout as above; one quantity changes at a time (trials: the small MLP).", ""]
    return [*lines, *(f"![{curve}](plots/{curve}.png)" for curve in result["microseconds"])]


def provenance(results: Mapping[str, Any]) -> list[str]:
    """When, where and with what, once for each that differs."""
    single = [results[name] for name in ("startup", "sweep", "streaming", "one_row", "memory", "roofline", "scaling") if results.get(name)]
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
