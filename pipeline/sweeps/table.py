"""A sweep as one table: what its trials differ in, what came out, which is best; and its summary run in the tracking store."""

from __future__ import annotations

import html
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline import files
from pipeline.config.sweep_settings import SweepSettings
from pipeline.records import record, setting
from pipeline.screen.wording import grows, number
from pipeline.search.settings import REPEATS
from pipeline.search.told import dominates
from pipeline.sweeps import forms
from pipeline.sweeps.apart import apart
from pipeline.sweeps.journal import PRUNED
from pipeline.sweeps.objective import Objective, objectives
from pipeline.sweeps.since import gone_on_with, to_its_end, trained_on
from pipeline.tracking.changed import change, next_step
from pipeline.tracking.delivery import NOTE, read_sent
from pipeline.tracking.event import Event
from pipeline.tracking.journal import Compare, Compared, Tags, end_of, last_values, read_journal, series, start_of
from pipeline.tracking.link import Link, link_to_sweep
from pipeline.tracking.outbox import Sender
from pipeline.tracking.provenance import LONGEST_TAG
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, locate
from pipeline.tracking.tracker import Receipt, receipt, resume, start

ASIDE = ("time", "learning_rate")


@record
class Trial:
    """One run of a sweep.  `params` holds only what the trials differ in; `curve` the chosen metric by epoch.

    metrics  of the epoch whose weights are kept
    curves  of the further metrics that the sweep is judged by
    rung    the epoch at which it was stopped for others to go on
    """

    job: str
    name: str
    folder: Path
    status: str
    message: str
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curve: Mapping[int, float]
    curves: Mapping[str, Mapping[int, float]] = setting({})
    rung: int | None = None

    @property
    def label(self) -> str:
        """What sets the trial apart: learning_rate=0.1, seed=0."""
        return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in self.params.items()) or self.name


@record
class Sweep:
    """The trials of a sweep in the order of their jobs.  `metric` is the one that ranks them; `params` and `metrics` are the columns.

    objectives  what the trials are judged by, `metric` first
    notes       what is to be known of its trials: automatic values in which they differ, those that somebody let train on
    """

    name: str
    metric: str
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    trials: tuple[Trial, ...]
    objectives: tuple[Objective, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def objective(self) -> Objective:
        """What ranks the trials."""
        return self.objectives[0] if self.objectives else Objective(metric=self.metric, grows=grows(self.metric))

    @property
    def best(self) -> Trial | None:
        """The best finished trial of the arm with the best mean; None when none finished with a finite value.

        The best of all single trials may be the lucky seed of an arm that is worse.
        """
        arms: dict[tuple[str, ...], list[Trial]] = {}
        for trial in self.trials:
            arms.setdefault(tuple(trial.params.get(name, "") for name in self.params if name not in REPEATS), []).append(trial)

        most = max(map(len, arms.values()), default=0)

        def mean(trials: list[Trial]) -> tuple[bool, bool, float]:
            found = [score for score in map(self.score, trials) if math.isfinite(score)]
            return len(found) < most, len(found) < len(trials), math.fsum(found) / len(found) if found else math.inf

        chosen = min(arms.values(), key=mean) if 0 < len(arms) < len(self.trials) else self.trials
        first = min(chosen, key=self.rank, default=None)
        return None if first is None or not math.isfinite(self.score(first)) else first

    def value(self, trial: Trial) -> float:
        """What counts of a trial: its `metric` where its weights are kept, or the best of all epochs."""
        return self.objective.value(trial.metrics, trial.curve)

    def score(self, trial: Trial) -> float:
        """The same so that less is better; infinite for a trial that did not finish or has no finite value."""
        return self.objective.score(self.value(trial)) if trial.status == "FINISHED" else math.inf

    def rank(self, trial: Trial) -> tuple[float, int, float]:
        """What the trials are sorted by, best first: finished ones, then those stopped at a rung, the highest rung first, then the rest."""
        if trial.rung is not None:
            return math.inf, -trial.rung, self.objective.score(self.value(trial))
        return self.score(trial), 0 if trial.status == "FINISHED" and math.isfinite(self.score(trial)) else 1, 0.0

    def front(self) -> list[Trial]:
        """The Pareto front of several metrics: trials that none beats in one and equals in all others; none with one metric."""
        if len(self.objectives) < 2:
            return []
        scored = [
            (tuple(o.score(o.value(trial.metrics, trial.curves.get(o.metric, {}))) for o in self.objectives), trial)
            for trial in self.trials
            if trial.status == "FINISHED"
        ]
        sound = [(scores, trial) for scores, trial in scored if all(map(math.isfinite, scores))]
        return [trial for scores, trial in sound if not any(dominates(other, scores) for other, _ in sound)]

    def header(self) -> list[str]:
        """The names of the columns."""
        return ["job", *self.params, *self.metrics, "status"]

    def rows(self) -> list[list[str]]:
        """Text for each cell of the table; an empty one where a trial has no such value."""
        return [self._row(trial) for trial in self.trials]

    def cells(self, trial: Trial) -> dict[str, str]:
        """Its row by the names of the columns."""
        return dict(zip(self.header(), self._row(trial), strict=True))

    def _row(self, trial: Trial) -> list[str]:
        params = [trial.params.get(name, "") for name in self.params]
        metrics = [number(name, trial.metrics[name]) if name in trial.metrics else "" for name in self.metrics]
        return [trial.job, *params, *metrics, trial.status.lower()]

    def as_sent(self) -> Sweep:
        """The same with the run ids that MLflow has given since."""
        return replace(self, trials=tuple(replace(trial, run_id=read_sent(trial.folder).run_id) for trial in self.trials))

    def csv(self) -> str:
        """With every digit, the folder and the run id of each trial."""
        middle, rows = 1 + len(self.params), []
        for trial, row in zip(self.trials, self.rows(), strict=True):
            exact = [repr(trial.metrics[name]) if name in trial.metrics else "" for name in self.metrics]
            rows.append([*row[:middle], *exact, row[-1], trial.message, trial.run_id, str(trial.folder)])
        return forms.comma_separated([*self.header(), "message", "run_id", "folder"], rows)

    def markdown(self, *, most: int = 1000) -> str:
        """The table, the best trial in bold; at most `most` rows."""
        left = len(self.trials) - most
        return forms.markdown(self.header(), self.rows()[:most], bold=self._bold) + (f"\n{left} more in trials.csv\n" if left > 0 else "")

    def latex(self) -> str:
        """The whole table for a paper, the best trial in bold."""
        return forms.latex(self.header(), self.rows(), bold=self._bold)

    @property
    def _bold(self) -> int | None:
        best = self.best
        return next((number for number, trial in enumerate(self.trials) if trial is best), None)

    def html(self) -> str:
        """A page of its own: MLflow shows it beside the artifact."""
        best = self.best
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header())
        body = "".join(
            f"<tr{' class=best' if trial is best else ''}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
            for trial, row in zip(self.trials, self.rows(), strict=True)
        )
        return _PAGE.format(name=html.escape(self.name), metric=html.escape(self.metric), head=head, body=body)


_PAGE = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<style>body{{font:14px sans-serif;margin:1.5em}} td,th{{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}}
.best{{font-weight:bold;background:#e7f2fb}}</style>
<h3>sweep: {name}</h3><p>best by {metric}: the marked row</p>
<table><tr>{head}</tr>
{body}</table>
"""


def summarize_sweep(
    name: str,
    folders: Iterable[Path],
    *,
    settings: SweepSettings = SweepSettings(),  # noqa: B008  # frozen
    asked: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    searched: Collection[str] = (),
) -> Sweep:
    """Reads the table from the journals of the trials.  Raises ConfigError for a metric that they do not tell.

    `settings` say what ranks them; by default it is the validation accuracy, RMSE or loss, the first there is.
    `asked` is what the command line says of each job, as path -> value: the columns are what differs in it, not what that implies,
    and what was `searched`, also where that is the same in all.
    """
    whole = [(folder, read_journal(folder)) for folder in folders]
    journals = [(folder, to_its_end(events)) for folder, events in whole]
    starts = [start_of(events) for _, events in journals]
    found_params = [begun.params for begun in starts]
    jobs = [str(begun.tags.get("pipeline.job", index)) for index, begun in enumerate(starts)]
    since = trained_on([job for job, (_, all), (_, own) in zip(jobs, whole, journals, strict=True) if all != own])
    unmet = [values for job, values in asked.items() if job not in jobs]  # refused: its values are among those that were asked for
    swept = _swept([*(asked.get(job, {}) for job in jobs), *unmet], searched)
    if swept:
        found_params = [{**asked[job], **found} for job, found in zip(jobs, found_params, strict=True)]  # 0.1 where 1e-1 was asked
    params = swept or _differing(found_params)
    values = [last_values(events) for _, events in journals]
    told = sorted({name for found in values for name in found}, key=_order)
    shown = [name for name in told if name.split("/")[0] not in ASIDE]
    judged = objectives(settings, told if settings.metric else shown)
    names = [*shown, *(each.metric for each in judged if each.metric in told and each.metric not in shown)]
    metric = judged[0].metric
    trials = []
    for index, (folder, events) in enumerate(journals):
        end = end_of(events)
        begun, own, curves = starts[index], found_params[index], series(events)
        values[index].update(
            {each.metric: each.value(values[index], curves.get(each.metric, {})) for each in judged if each.best and each.metric in curves}
        )
        rung = _rung(events)
        trials.append(
            Trial(
                job=jobs[index],
                name=begun.name or folder.name,
                folder=folder,
                status="PRUNED" if rung is not None else "RUNNING" if end is None else end.status,
                message="" if end is None else end.message,
                run_id=read_sent(folder).run_id,
                params={key: own[key] for key in params if key in own},
                metrics=values[index],
                curve=curves.get(metric, {}),
                curves={each.metric: curves.get(each.metric, {}) for each in judged[1:]} if len(judged) > 1 else {},
                rung=rung,
            )
        )
    return Sweep(
        name=name, metric=metric, params=tuple(params), metrics=tuple(names), trials=tuple(trials), objectives=judged,
        notes=(*apart(starts, params), *since, *gone_on_with(zip(jobs, (own for _, own in journals), strict=True)),
        *_unranked(trials, metric)),
    )  # fmt: skip


def _unranked(trials: Sequence[Trial], metric: str) -> list[str]:
    """That some finished and tell nothing of what ranks the others: their data are of another kind."""
    jobs = [trial.job for trial in trials if trial.status == "FINISHED" and metric not in trial.metrics]
    return [f"no {metric} is told by job {', '.join(jobs)}: not ranked"] if 0 < len(jobs) < len(trials) else []


def _rung(events: Sequence[Event]) -> int | None:
    """The epoch at which a search stopped the run for others to go on; None where it went on, or was never stopped."""
    told = [event.values[PRUNED] for event in events if isinstance(event, Tags) and PRUNED in event.values]
    return int(told[-1]) if told else None


def record_sweep(
    sweep: Sweep,
    settings: Tracking,
    *,
    project: Path,
    root: Path | str = "runs",
    output: Path | None = None,
    sender: Sender | None = None,
    texts: Mapping[str, str] = MappingProxyType({}),
    name: str = "",
    folder: Path | None = None,
    before: Path | None = None,
    begun: Callable[[Path], None] = lambda folder: None,
) -> Receipt:
    """Writes the summary run: the table as csv, md, tex and html, the best values, the curves of all trials in one figure.

    texts   further artifacts by file name
    name    what the sweep is called, by default its id;  folder: where it is, to be found from here
    before  the folder of the summary run that the sweep has already: it is written again, not doubled
    begun   told the folder as soon as it is one
    The receipt's link opens the table of the sweep's runs.  Raises as `start`.
    """
    name = name or sweep.name
    space: dict[str, Any] = {key: _distinct(trial.params.get(key, "") for trial in sweep.trials) for key in sweep.params}
    place = {} if folder is None else {"folder": os.path.relpath(folder, project) if folder.is_relative_to(project) else str(folder)}
    config = {"sweep": {"name": sweep.name, **place, "trials": len(sweep.trials), "metric": sweep.metric, "space": space}}
    note = f"Sweep {name}: {len(sweep.trials)} trials, ranked by {sweep.metric}.\n\n{sweep.markdown(most=40)}"
    tags = {"pipeline.kind": "sweep", NOTE: note[:LONGEST_TAG]}
    if before is not None and before.is_dir():
        tracker = resume(before, step=(step := next_step(before)), project=project, sender=sender, settings=settings)
        tracker.tags(tags)
        change(tracker, config, note=tags[NOTE])
    else:
        step = 0
        tracker = start(
            settings,
            name=f"sweep: {name}",
            config=config,
            project=project,
            root=root,
            output=output,
            tags=tags,
            sweep=sweep.name,
            sender=sender,
        )
    begun(tracker.folder)
    own = {"trials.csv": sweep.csv(), "trials.md": sweep.markdown(), "trials.tex": sweep.latex(), "trials.html": sweep.html()}
    for file, text in {**own, **texts}.items():
        tracker.text(file, text)
    best = sweep.best
    if best is not None:
        tracker.metrics(step, {f"best/{key}": value for key, value in best.metrics.items() if key in sweep.metrics})
        tracker.tags({"pipeline.best_run": best.run_id, "pipeline.best_folder": best.folder, "pipeline.best": best.label})
    tracker.journal.write(compared(sweep))
    told = tracker.finish(
        "FAILED" if best is None else "FINISHED", "" if best else "no trial finished", wait=None if sender is None else 15.0
    )
    if told.link is None or tracker.store is None:
        return told
    return Receipt(link=_link(tracker.store, told, sweep.name), note=told.note)


def receipt_of(folder: Path, settings: Tracking, project: Path, sweep: str) -> Receipt:
    """The receipt of a summary run that was written before."""
    store = locate(settings, project)
    if store is None:
        return Receipt(note=f"tracking=none: the run is kept in {files.shown(folder)}")
    found = receipt(folder, read_sent(folder), store, waited=0.0)
    return Receipt(link=_link(store, found, sweep), note=found.note) if found.link is not None else found


def _link(store: Store, told: Receipt, name: str) -> Link:
    assert told.link is not None
    return link_to_sweep(store, told.link.experiment_id, told.link.run_id, name)


def compared(sweep: Sweep) -> Compare:
    """What the pictures of the sweep are drawn from."""
    labels = _labels(sweep.trials)
    trials = [
        Compared(label=label, value=sweep.value(trial), params=trial.params, done=trial.status in ("FINISHED", "PRUNED"))
        for label, trial in zip(labels, sweep.trials, strict=True)
    ]
    curves = {label: {str(k): v for k, v in trial.curve.items()} for label, trial in zip(labels, sweep.trials, strict=True) if trial.curve}
    repeats = tuple(name for name in sweep.params if name in REPEATS)
    what = sweep.trials[0].name.partition(" ")[0] if sweep.trials else ""
    return Compare(
        quantity=sweep.metric, curves=curves, what=what, grows=sweep.objective.grows, trials=tuple(trials), repeats=repeats
    )  # fmt: skip


def _labels(trials: Sequence[Trial]) -> list[str]:
    """What sets each trial apart; a label that two trials share gets the number of the job."""
    count = Counter(trial.label for trial in trials)
    return [trial.label if count[trial.label] == 1 else f"{trial.job}: {trial.label}" for trial in trials]


def _swept(asked: Sequence[Mapping[str, str]], searched: Collection[str]) -> list[str]:
    """The paths that are asked for with several values; none where they are trials of a search, whose values are drawn."""
    if not all(asked) or any("trial" in found for found in asked):
        return []
    names = dict.fromkeys(name for found in asked for name in found)
    return [name for name in names if name in searched or len({found.get(name) for found in asked}) > 1]


def _differing(params: Sequence[Mapping[str, str]]) -> list[str]:
    """The names whose value is not the same in all, in the order of the config; not those that the name of the arm says already."""
    names = dict.fromkeys(name for found in params for name in found)
    differing = [name for name in names if len({found.get(name) for found in params}) > 1]
    if "arm" not in differing:
        return differing
    return ["arm", *(name for name in differing if name != "arm" and _within_an_arm(name, params))]


def _within_an_arm(name: str, params: Sequence[Mapping[str, str]]) -> bool:
    """Whether trials of one arm differ in `name`."""
    pairs = {(found.get("arm"), found.get(name)) for found in params}
    return len(pairs) > len({found.get("arm") for found in params})


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _order(metric: str) -> tuple[int, str]:
    """Validation first, then test, then the rest."""
    part = metric.rpartition("/")[2]
    return ({"validation": 0, "test": 1}.get(part, 2), metric)
