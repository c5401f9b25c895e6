"""What the table of a sweep says, in sentences: what is not told apart and what that would take, and what the best is on the test part."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pipeline.screen.wording import number
from pipeline.search.settings import REPEATS
from pipeline.sweeps import comparison
from pipeline.sweeps.comparison import Arm
from pipeline.sweeps.objective import against
from pipeline.sweeps.table import Sweep

NAMED = 5  # arms that are listed by name


def conclusions(sweep: Sweep, arms: Sequence[Arm], shares: Mapping[str, float]) -> list[str]:
    """One line each.  `shares` of the parameters in what a search shows (importance.py), empty where it shows nothing."""
    said = _of_arms(sweep, arms) if arms else _of_one_seed(sweep)
    if front := sweep.front():
        names = " and ".join(each.metric for each in sweep.objectives)
        said.append(f"best by {names}, none better in all (Pareto front): {'; '.join(trial.label for trial in front)}")
    if shares:
        told = ", ".join(f"{_short(name)} {share:.0%}" for name, share in shares.items())
        said.append(f"what mattered, by how much worse a forest guesses the order without it: {told}")
    return said + [f"note: {text}" for text in (*against(sweep.objectives), *sweep.notes)]


def at_an_end(sweep: Sweep, arms: Sequence[Arm], ranges: Collection[str]) -> list[str]:
    """A note for each number of three or more of which the best has the least or the most; `ranges` are looked at where they are known."""
    best = arms[0].params if arms and arms[0].done else sweep.best.params if not arms and sweep.best is not None else {}
    notes = []
    for name in sweep.params:
        if name in REPEATS or name in ranges or name not in best:
            continue
        try:
            values = sorted({float(trial.params[name]) for trial in sweep.trials if name in trial.params})
        except ValueError:  # words have no order
            continue
        if len(values) > 2 and float(best[name]) in (values[0], values[-1]):
            end = "least" if float(best[name]) == values[0] else "most"
            notes.append(f"note: the best {_short(name)}, {best[name]}, is the {end} that was tried: something better may lie beyond")
    return notes


def _of_arms(sweep: Sweep, arms: Sequence[Arm]) -> list[str]:
    """The best mean, what it is on the test part, and from which it is not told apart."""
    best, repeats, said = arms[0], comparison.repeats(sweep), []
    if not best.done:
        return []
    test = best.values.get(f"{sweep.metric.partition('/')[0]}/test")
    tied = [arm for arm in arms[1:] if arm.done == arm.trials and _same(arm.values[sweep.metric].mean, best.values[sweep.metric].mean)]
    if tied:
        more = f" and {len(tied) + 1 - NAMED} more" if len(tied) >= NAMED else ""
        names = "; ".join(map(_named, [best, *tied][:NAMED]))
        said.append(f"a tie by {sweep.metric}: {names}{more} have the same mean, and the first stands for them as the best")
    elif len(arms) > 1 and test is not None and sweep.metric.endswith("/validation"):
        said.append(f"chosen by {sweep.metric}: {_named(best)}; on the test part {test.said(sweep.metric)}")
    if best.done == 1:
        return [*_above(sweep, arms), f"note: no winner is named: of the best there is one of the {repeats}"]
    said += _above(sweep, arms)
    alike = comparison.as_good(arms)
    if alike:
        more = f"; and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
        said.append(f"not told apart from the best by these {repeats} ({comparison.UNTOLD}): {'; '.join(map(_named, alike[:NAMED]))}{more}")
        said += _seeds(arms[1], repeats) if alike[0] is arms[1] else []
    if same := comparison.untested(arms):
        more = f"; and {len(same) - NAMED} more" if len(same) > NAMED else ""
        said.append(f"{comparison.UNTESTED}: {'; '.join(map(_named, same[:NAMED]))}{more}")
    return said


def _above(sweep: Sweep, arms: Sequence[Arm]) -> list[str]:
    """A note for arms that stand below the best because of trials that are not there, and not because of those that are."""
    sign, most = (1.0 if sweep.objective.grows else -1.0), max(arm.trials for arm in arms)
    better = [
        arm for arm in arms[1:] if 0 < arm.done < most and sign * arm.values[sweep.metric].mean > sign * arms[0].values[sweep.metric].mean
    ]
    named = "; ".join(f"{_named(arm)} ({arm.done} of {most})" for arm in better[:NAMED])
    more = f"; and {len(better) - NAMED} more" if len(better) > NAMED else ""
    return [f"note: better in the mean than the best, and below it for the runs that are missing: {named}{more}"] if better else []


def _seeds(second: Arm, repeats: str) -> list[str]:
    """How many it would take to part the second from the best."""
    needed = comparison.seeds_needed(second.pairs)
    if needed is None:
        return [f"no number of {repeats} up to {comparison.MOST_SEEDS:,} would part the top two, if they differ as these show"]
    if needed <= len(second.pairs):
        return []
    return [f"about {needed} {repeats} would part the top two, if they differ as these {len(second.pairs)} show"]


def _of_one_seed(sweep: Sweep) -> list[str]:
    """That an order of single runs may be luck, and that the best of many values flatters itself."""
    finished = [trial for trial in sweep.trials if trial.status == "FINISHED"]
    if len(sweep.trials) < 2 or not sweep.params:
        return []
    said = ["note: no winner is named: one seed of each, so the order may be luck; seed=0,1,2,3,4 gives means with intervals"]
    best, quantity = sweep.best, sweep.metric.partition("/")[0]
    if best is not None and len(finished) > 1 and sweep.metric.endswith("/validation") and f"{quantity}/test" in best.metrics:
        value, test = number(sweep.metric, sweep.value(best)), number(sweep.metric, best.metrics[f"{quantity}/test"])
        tied = sum(_same(sweep.value(trial), sweep.value(best)) for trial in finished)
        tie = f", of which {tied} tie" if tied > 1 else ""
        said.append(f"{sweep.metric} of the best, {value}, was chosen among {len(finished)}{tie}; on the test part it is {test}")
    return said


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= comparison.ROUNDING * abs(other)


def _named(arm: Arm) -> str:
    """What sets it apart; a parameter that its conditions rule out is none of it."""
    return ", ".join(f"{_short(name)}={value}" for name, value in arm.params.items() if value)


def _short(path: str) -> str:
    return path.rpartition(".")[2]
