"""The arms of a sweep over seeds: mean and interval of each, and its difference to the best, paired by seed.

An arm is what trials have in common when the seed is left aside.  Seeds decide split, order, weights and masks, so the same seed in two
arms is a pair, and the difference of a pair holds less luck than the difference of two means.  The folds of a cross-validation count as
seeds do; since their training rows overlap, their interval is somewhat too narrow (Bengio & Grandvalet 2004).
"""

# n seeds of an arm
from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.records import record
from pipeline.screen.wording import number, significant
from pipeline.search.settings import REPEATS
from pipeline.sweeps import forms
from pipeline.sweeps.student import power, quantile, tails
from pipeline.sweeps.table import Sweep, Trial

LEVEL = 0.95
ROUNDING = 1e-9  # of the mean: differences that differ by no more are the same
POWER, MOST_SEEDS = 0.8, 1000


@record
class Interval:
    """A mean and half the width of its 95 % interval by Student's t with n - 1 degrees of freedom; NaN for a single value."""

    mean: float
    half: float

    def leaves(self, metric: str) -> bool:
        """Whether it reaches beyond 0 to 100 %, where no share lies: Student's interval knows no ends."""
        return number(metric, 0.0) == "0.00 %" and (self.mean - self.half < 0 or self.mean + self.half > 1)

    def said(self, metric: str, *, difference: bool = False, ends: bool = False) -> str:
        """As text, in the form of `metric`: shares in percent, and what of the interval lies within 0 to 100 %.

        ends  by its two ends, as is done of one that leaves that: so that a column has one notation
        """
        if number(metric, 0.0) != "0.00 %":
            return str(self)
        share = f"{100 * self.mean:.2f}"
        if math.isnan(self.half):
            return f"{share} %"
        if not difference and (ends or self.leaves(metric)):
            return f"{share} %, {100 * max(self.mean - self.half, 0.0):.2f} to {100 * min(self.mean + self.half, 1.0):.2f} %"
        return f"{share} ± {100 * self.half:.2f} %"

    def __str__(self) -> str:
        mean = significant(self.mean)
        return mean if math.isnan(self.half) else f"{mean} ± {significant(self.half, 2)}"


@record
class Arm:
    """What a line of the comparison says.

    params      what sets the arm apart
    trials      how many seeds were run, and of these done, how many finished with a finite value
    values      metric -> its mean over the seeds that are done
    difference  of the ranking metric, this arm minus the best, over the seeds that both have; None for the best itself and without pairs
    pairs       the differences of which that is the mean
    p           that luck alone makes one as large: of a paired t-test, by Holm's rule for all pairs of arms; None without two pairs
    """

    params: Mapping[str, str]
    trials: int
    done: int
    values: Mapping[str, Interval]
    difference: Interval | None = None
    pairs: tuple[float, ...] = ()
    p: float | None = None


def interval(values: Sequence[float]) -> Interval:
    """mean ± t(0.975, n - 1) * s / sqrt(n)."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Interval(mean=mean, half=math.nan)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean=mean, half=quantile(LEVEL, count - 1) * math.sqrt(variance / count))


def compare(sweep: Sweep) -> tuple[Arm, ...]:
    """The arms, best mean of `sweep.metric` first; none where the sweep has one seed.

    An arm with a trial that failed, or with fewer trials than another, stands below: its mean may be that of lucky seeds.
    """
    if not repeats(sweep):
        return ()
    names = [name for name in sweep.params if name not in REPEATS]
    seeds: dict[tuple[str, ...], dict[str, Trial]] = {}
    for trial in sweep.trials:  # a seed counts once, as it was run last
        seeds.setdefault(tuple(trial.params.get(name, "") for name in names), {})[_repeat(trial)] = trial
    groups = {key: list(of_it.values()) for key, of_it in seeds.items()}
    scores = {key: {_repeat(t): sweep.value(t) for t in group if math.isfinite(sweep.score(t))} for key, group in groups.items()}
    sign = -1.0 if sweep.objective.grows else 1.0
    most = max(map(len, groups.values()))

    def rank(key: tuple[str, ...]) -> tuple[bool, bool, float]:
        found = scores[key]
        return len(found) < most, len(found) < len(groups[key]), sign * math.fsum(found.values()) / len(found) if found else math.inf

    ordered = sorted(groups, key=rank)
    best = scores[ordered[0]]
    arms = [_arm(sweep, names, key, groups[key], scores[key], None if key == ordered[0] else best) for key in ordered]
    pairs = len(arms) * (len(arms) - 1) // 2  # which arm is the best is seen in the same values, so each pair could have been looked at
    adjusted = [None, *holm([paired_t(arm.pairs) for arm in arms[1:]], pairs)]
    return tuple(replace(arm, p=p) for arm, p in zip(arms, adjusted, strict=True))


def paired_t(differences: Sequence[float]) -> float | None:
    """The two-sided p of a mean of 0 of paired differences [n], by Student's t with n - 1 degrees of freedom.

    None for n < 2, and where all differences are the same: shares of few rows may be so by chance, and the test would call it certain.
    """
    count = len(differences)
    if count < 2:
        return None
    mean = math.fsum(differences) / count
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (count - 1))
    if spread <= ROUNDING * abs(mean):
        return None if mean else 1.0
    return tails(mean / spread * math.sqrt(count), count - 1)


def holm(ps: Sequence[float | None], of: int | None = None) -> list[float | None]:
    """p values of m tests, each for all of them together (Holm 1979): the k-th smallest times m - k + 1, never below the one before it.

    of  m, where these are the tests that were picked out of more; by default their number
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    m = of or len(known)
    adjusted: list[float | None] = [None] * len(ps)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (m - rank)))
        adjusted[place] = least
    return adjusted


def seeds_needed(differences: Sequence[float]) -> int | None:
    """How many pairs a paired t-test at 5 % needs to find, four times in five, a difference such as these [n] show; None for too many.

    The power of n pairs is that of Student's t with n - 1 degrees of freedom and the non-centrality d / s * sqrt(n) beyond its limits.
    """
    count, mean = len(differences), math.fsum(differences) / len(differences)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (count - 1))
    if not mean:
        return None
    effect = abs(mean) / spread if spread else math.inf

    def shows(pairs: int) -> bool:
        return power(quantile(LEVEL, pairs - 1), pairs - 1, effect * math.sqrt(pairs)) >= POWER

    return next(iter(range(2, MOST_SEEDS + 1)[bisect_left(range(2, MOST_SEEDS + 1), True, key=shows) :]), None)


UNTOLD = "p above 0.05"  # what `as_good` says of an arm
UNTESTED = "the same difference in every pair, which no test can judge"  # and `untested`


def as_good(arms: Sequence[Arm]) -> list[Arm]:
    """The arms that their seeds do not part from the best, which is not among them."""
    return [arm for arm in arms[1:] if arm.p is not None and arm.p > 1 - LEVEL]


def untested(arms: Sequence[Arm]) -> list[Arm]:
    """The arms that are worse than the best by the same in all of several pairs."""
    return [arm for arm in arms[1:] if arm.p is None and len(arm.pairs) > 1]


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
        told = scores.values() if metric == sweep.metric else [trial.metrics.get(metric, math.nan) for trial in done]
        found = [value for value in told if math.isfinite(value)]
        if found:
            values[metric] = interval(found)
    pairs = tuple(scores[seed] - best[seed] for seed in scores if seed in best) if best is not None else ()
    difference = interval(pairs) if pairs else None
    params = dict(zip(names, key, strict=True))
    return Arm(params=params, trials=len(group), done=len(done), values=values, difference=difference, pairs=pairs)


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
    tested = sum(arm.p is not None for arm in arms) > 1  # one test is read off its interval
    ends = any(value.leaves(name) for arm in arms for name, value in arm.values.items() if name in metrics)
    rows = [[*params, repeats(sweep), *metrics, *([f"{sweep.metric} minus best"] if paired else []), *(["p (Holm)"] if tested else [])]]
    for arm in arms:
        seeds = str(arm.trials) if arm.done == arm.trials else f"{arm.done} of {arm.trials}"
        values = [arm.values[name].said(name, ends=ends) if name in arm.values else "" for name in metrics]
        difference = ["" if arm.difference is None else arm.difference.said(sweep.metric, difference=True)] if paired else []
        luck = [("no test" if len(arm.pairs) > 1 else "") if arm.p is None else f"{arm.p:.2g}"] if tested else []
        rows.append([*(arm.params[name] for name in params), seeds, *values, *difference, *luck])
    return rows


def markdown(sweep: Sweep, arms: Sequence[Arm]) -> str:
    """The table as text for a page."""
    heading, *rows = table(sweep, arms)
    return forms.markdown(heading, rows)
