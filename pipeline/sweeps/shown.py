"""The tables of a sweep on a terminal: its trials, best first, and its arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from pipeline.screen.console import say
from pipeline.screen.tables import show_rows
from pipeline.sweeps import comparison
from pipeline.sweeps.table import Sweep

TOP, MOST = 20, 25  # rows that a terminal shows where a sweep has more than MOST
WATCHED = ("loss", "accuracy", "rmse", "mae", "r2")  # quantities that have a column here beside those that it is judged by


def show_trials(console: Console, sweep: Sweep) -> None:
    """A row a trial, best first: what was varied and what ranks them, and as much of the rest as there is room for."""
    quantities = {each.metric.split("/")[0] for each in sweep.objectives} | {sweep.metric.split("/")[0], *WATCHED}
    sweep = replace(sweep, metrics=tuple(name for name in sweep.metrics if name.split("/")[0] in quantities))
    ranked = sorted(sweep.trials, key=sweep.rank)
    ranked = ranked if len(ranked) <= MOST else ranked[:TOP]
    judged = [sweep.metric, *(each.metric for each in sweep.objectives[1:])]
    over = all(trial.status == "FINISHED" for trial in ranked)
    needed = [*sweep.params, *judged, *([] if over else ["status"])]
    rest = dict.fromkeys(["job", f"{sweep.metric.partition('/')[0]}/test", *sweep.metrics, "status"])
    best = sweep.best
    left = show_rows(
        console,
        f"ranked by {sweep.metric}",
        sweep.header(),
        [list(sweep.cells(trial).values()) for trial in ranked],
        names={name: name.rpartition(".")[2] for name in sweep.params},
        droppable=[name for name in rest if name in sweep.header() and name not in needed],
        bold=next((place for place, trial in enumerate(ranked) if trial is best), None),
    )
    if left or len(sweep.trials) > MOST:
        rows = f"the best {TOP} of {len(sweep.trials)} trials" if len(sweep.trials) > MOST else ""
        columns = f"no room here for {', '.join(left)}" if left else ""
        say(console, f"{'; '.join(filter(None, (rows, columns)))}; all are in trials.csv of the sweep's own run")


def show_arms(console: Console, sweep: Sweep, arms: Sequence[comparison.Arm]) -> None:
    """A row an arm, best mean first."""
    repeats = comparison.repeats(sweep)
    one = repeats.replace("seeds", "seed").replace("folds", "fold")
    title = f"means over the {repeats} with their {comparison.LEVEL:.0%} intervals"
    if any(arm.difference is not None for arm in arms):
        title += f"; differences are of pairs of one {one}"
    if sum(arm.p is not None for arm in arms) > 1:
        title += "; p is for all pairs of arms together, an interval for its own row alone"
    heading, *rows = comparison.table(sweep, arms)
    if len(rows) > MOST:
        title = f"{title}; the best {TOP} of {len(rows)}, all are in arms.csv"
        rows = rows[:TOP]
    names = {name: name.rpartition(".")[2] for name in sweep.params}
    needed = (*sweep.params, repeats, sweep.metric)
    last = [name for name in heading if name.startswith((f"{sweep.metric} minus", "p "))]
    droppable = [*last, *(name for name in heading if name not in needed and name not in last)]
    left = show_rows(console, title, heading, rows, names=names, droppable=droppable, bold=0 if arms[0].done else None)
    if left:
        say(console, f"no room here for {', '.join(left)}; all are in arms.csv of the sweep's own run")
