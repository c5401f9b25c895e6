"""The arms of a sweep over seeds: mean and interval of each, and its difference to the best, paired by seed.

An arm is what trials have in common when the seed is left aside.  Seeds decide split, order, weights and masks, so the same seed in two
arms is a pair, and the difference of a pair holds less luck than the difference of two means.  The folds of a cross-validation count as
seeds do; since their training rows overlap, their interval is somewhat too narrow (Bengio & Grandvalet 2004).
"""

# n seeds of an arm
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.records import record
from pipeline.screen.wording import number
from pipeline.sweeps.table import Sweep, Trial, grows

REPEATS = ("seed", "data.split.fold")
LEVEL = 0.95


@record
class Interval:
    """A mean and half the width of its 95 % interval by Student's t with n - 1 degrees of freedom; NaN for a single value."""

    mean: float
    half: float

    def said(self, metric: str) -> str:
        """As text, in the form of `metric`: shares in percent."""
        if number(metric, 0.0) != "0.00 %":
            return str(self)
        share = f"{100 * self.mean:.2f}"
        return f"{share} %" if math.isnan(self.half) else f"{share} ± {100 * self.half:.2f} %"

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if math.isnan(self.half) else f"{self.mean:.4g} ± {self.half:.2g}"


@record
class Arm:
    """What a line of the comparison says.

    params      what sets the arm apart
    trials      how many seeds were run, and of these done, how many finished with a finite value
    values      metric -> its mean over the seeds that are done
    difference  of the ranking metric, this arm minus the best, over the seeds that both have; None for the best itself and without pairs
    """

    params: Mapping[str, str]
    trials: int
    done: int
    values: Mapping[str, Interval]
    difference: Interval | None = None


def interval(values: Sequence[float]) -> Interval:
    """mean ± t(0.975, n - 1) * s / sqrt(n)."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Interval(mean=mean, half=math.nan)
    from scipy.special import stdtrit  # noqa: PLC0415  # needed at the end of a sweep only

    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean=mean, half=float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / count))


def compare(sweep: Sweep) -> tuple[Arm, ...]:
    """The arms, best mean of `sweep.metric` first; none where the sweep has one seed.  An arm with a trial that failed stands below."""
    if not repeats(sweep):
        return ()
    names = [name for name in sweep.params if name not in REPEATS]
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in sweep.trials:
        groups.setdefault(tuple(trial.params.get(name, "") for name in names), []).append(trial)
    scores = {key: {_repeat(t): t.metrics[sweep.metric] for t in group if math.isfinite(sweep.rank(t))} for key, group in groups.items()}
    sign = -1.0 if grows(sweep.metric) else 1.0

    def rank(key: tuple[str, ...]) -> tuple[bool, float]:
        found = scores[key]
        return len(found) < len(groups[key]), sign * math.fsum(found.values()) / len(found) if found else math.inf

    ordered = sorted(groups, key=rank)
    best = scores[ordered[0]]
    return tuple(_arm(sweep, names, key, groups[key], scores[key], None if key == ordered[0] else best) for key in ordered)


def _arm(
    sweep: Sweep,
    names: Sequence[str],
    key: Sequence[str],
    group: Sequence[Trial],
    scores: Mapping[str, float],
    best: Mapping[str, float] | None,
) -> Arm:
    done = [trial for trial in group if _repeat(trial) in scores]
    values = {}
    for metric in shown_metrics(sweep):
        found = [trial.metrics[metric] for trial in done if math.isfinite(trial.metrics.get(metric, math.nan))]
        if found:
            values[metric] = interval(found)
    pairs = [scores[seed] - best[seed] for seed in scores if seed in best] if best is not None else []
    difference = interval(pairs) if pairs else None
    return Arm(params=dict(zip(names, key, strict=True)), trials=len(group), done=len(done), values=values, difference=difference)


def repeats(sweep: Sweep) -> str:
    """What the trials of an arm differ in: seeds, folds, both, or nothing."""
    return " and ".join(f"{name.rpartition('.')[2]}s" for name in REPEATS if name in sweep.params)


def _repeat(trial: Trial) -> str:
    return " ".join(trial.params.get(name, "") for name in REPEATS)


def shown_metrics(sweep: Sweep) -> tuple[str, ...]:
    """The ranking metric, the same of the test part, and the losses."""
    quantity = sweep.metric.partition("/")[0]
    wanted = (sweep.metric, f"{quantity}/test", "loss/validation", "loss/train")
    return tuple(dict.fromkeys(name for name in wanted if name in sweep.metrics))


def table(sweep: Sweep, arms: Sequence[Arm]) -> list[list[str]]:
    """Heading and rows, as text."""
    params = [name for name in sweep.params if name not in REPEATS]
    metrics = shown_metrics(sweep)
    paired = any(arm.difference is not None for arm in arms)
    rows = [[*params, repeats(sweep), *metrics, *([f"{sweep.metric} minus best"] if paired else [])]]
    for arm in arms:
        seeds = str(arm.trials) if arm.done == arm.trials else f"{arm.done} of {arm.trials}"
        values = [arm.values[name].said(name) if name in arm.values else "" for name in metrics]
        difference = ["" if arm.difference is None else arm.difference.said(sweep.metric)] if paired else []
        rows.append([*(arm.params[name] for name in params), seeds, *values, *difference])
    return rows


def markdown(sweep: Sweep, arms: Sequence[Arm]) -> str:
    """The table as text for a page."""
    heading, *rows = table(sweep, arms)
    cells = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells) + "\n"
