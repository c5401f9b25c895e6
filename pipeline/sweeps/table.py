"""A sweep as one table: what its trials differ in, what came out, which is best; and its summary run in the tracking store."""

from __future__ import annotations

import csv
import html
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline import files
from pipeline.records import record
from pipeline.screen.wording import number
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.journal import Compare, end_of, last_values, read_journal, series, start_of
from pipeline.tracking.link import Link, link_to_sweep
from pipeline.tracking.outbox import Sender
from pipeline.tracking.provenance import LONGEST_TAG
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, locate
from pipeline.tracking.tracker import Receipt, receipt, resume, start

PREFERRED = ("accuracy/validation", "rmse/validation", "loss/validation", "loss/train")
GROWING = ("r2", "r2_weighted", "f1", "precision", "recall", "roc_auc")  # and accuracies: quantities of which more is better
ASIDE = ("time", "learning_rate")


@record
class Trial:
    """One run of a sweep.  `params` holds only what the trials differ in; `metrics` the last values; `curve` the chosen metric by epoch."""

    job: str
    name: str
    folder: Path
    status: str
    message: str
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curve: Mapping[int, float]

    @property
    def label(self) -> str:
        """What sets the trial apart: learning_rate=0.1, seed=0."""
        return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in self.params.items()) or self.name


@record
class Sweep:
    """The trials of a sweep in the order of their jobs.  `metric` is the one that ranks them; `params` and `metrics` are the columns."""

    name: str
    metric: str
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best last value of `metric`; None when none finished with a finite one."""
        first = min(self.trials, key=self.rank, default=None)
        return None if first is None or math.isinf(self.rank(first)) else first

    def rank(self, trial: Trial) -> float:
        """What the trials are sorted by, best first; infinite for one that did not finish or has no finite value."""
        value = trial.metrics.get(self.metric, math.nan)
        if trial.status != "FINISHED" or not math.isfinite(value):
            return math.inf
        return -value if grows(self.metric) else value

    def header(self) -> list[str]:
        """The names of the columns."""
        return ["job", *self.params, *self.metrics, "status"]

    def rows(self) -> list[list[str]]:
        """Text for each cell of the table; an empty one where a trial has no such value."""
        return [self._row(trial) for trial in self.trials]

    def _row(self, trial: Trial) -> list[str]:
        params = [trial.params.get(name, "") for name in self.params]
        metrics = [number(name, trial.metrics[name]) if name in trial.metrics else "" for name in self.metrics]
        return [trial.job, *params, *metrics, trial.status.lower()]

    def as_sent(self) -> Sweep:
        """The same with the run ids that MLflow has given since."""
        return replace(self, trials=tuple(replace(trial, run_id=read_sent(trial.folder).run_id) for trial in self.trials))

    def csv(self) -> str:
        """With every digit, the folder and the run id of each trial."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.header(), "message", "run_id", "folder"])
        for trial, row in zip(self.trials, self.rows(), strict=True):
            exact = [repr(trial.metrics[name]) if name in trial.metrics else "" for name in self.metrics]
            middle = 1 + len(self.params)
            writer.writerow([*row[:middle], *exact, row[-1], trial.message, trial.run_id, trial.folder])
        return text.getvalue()

    def markdown(self, *, most: int = 1000) -> str:
        """The table, the best trial in bold; at most `most` rows."""
        lines, best = [_line(self.header()), _line(["---"] * len(self.header()))], self.best
        for trial, row in list(zip(self.trials, self.rows(), strict=True))[:most]:
            lines.append(_line([f"**{cell}**" if cell and trial is best else cell for cell in row]))
        left = len(self.trials) - most
        return "\n".join(lines + ([f"\n{left} more in trials.csv"] if left > 0 else [])) + "\n"

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


def grows(metric: str) -> bool:
    """Whether more of this metric is better."""
    quantity = metric.split("/")[0]
    return quantity in GROWING or quantity.endswith("accuracy")


def score(metrics: Mapping[str, float]) -> float:
    """What a trial is ranked by where there is no table: its preferred metric, less being better; infinite without a finite one."""
    name = next((name for name in PREFERRED if name in metrics), None)
    value = math.nan if name is None else metrics[name]
    if name is None or not math.isfinite(value):
        return math.inf
    return -value if grows(name) else value


def summarize_sweep(
    name: str, folders: Iterable[Path], *, metric: str | None = None, asked: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> Sweep:
    """Reads the table from the journals of the trials.

    `metric` ranks them; by default it is the validation accuracy, RMSE or loss, the first there is.
    `asked` is what the command line says of each job, as path -> value: the columns are what differs in it, not what that implies.
    """
    journals = [(folder, read_journal(folder)) for folder in folders]
    starts = [start_of(events) for _, events in journals]
    found_params = [begun.params for begun in starts]
    jobs = [str(begun.tags.get("pipeline.job", index)) for index, begun in enumerate(starts)]
    swept = _swept([asked.get(job, {}) for job in jobs])
    if swept:
        found_params = [{**asked[job], **found} for job, found in zip(jobs, found_params, strict=True)]  # 0.1 where 1e-1 was asked
    params = swept or _differing(found_params)
    values = [last_values(events) for _, events in journals]
    names = sorted({name for found in values for name in found if name.split("/")[0] not in ASIDE}, key=_order)
    metric = metric or next((wanted for wanted in PREFERRED if wanted in names), names[0] if names else "loss/validation")
    trials = []
    for index, (folder, events) in enumerate(journals):
        end = end_of(events)
        begun, own = starts[index], found_params[index]
        trials.append(
            Trial(
                job=jobs[index],
                name=begun.name or folder.name,
                folder=folder,
                status="RUNNING" if end is None else end.status,
                message="" if end is None else end.message,
                run_id=read_sent(folder).run_id,
                params={key: own[key] for key in params if key in own},
                metrics=values[index],
                curve=series(events).get(metric, {}),
            )
        )
    return Sweep(name=name, metric=metric, params=tuple(params), metrics=tuple(names), trials=tuple(trials))


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
    before: Path | None = None,
    begun: Callable[[Path], None] = lambda folder: None,
) -> Receipt:
    """Writes the summary run: the table as csv, md and html, the best values, the curves of all trials in one figure.

    texts   further artifacts by file name
    name    what the sweep is called; its id where it has no other name
    before  the folder of the summary run that the sweep has already: it is written again, not doubled
    begun   told the folder as soon as it is one
    The receipt's link opens the table of the sweep's runs.  Raises as `start`.
    """
    name = name or sweep.name
    space: dict[str, Any] = {key: _distinct(trial.params.get(key, "") for trial in sweep.trials) for key in sweep.params}
    config = {"sweep": {"name": sweep.name, "trials": len(sweep.trials), "metric": sweep.metric, "space": space}}
    note = f"Sweep {name}: {len(sweep.trials)} trials, ranked by {sweep.metric}.\n\n{sweep.markdown(most=40)}"
    tags = {"pipeline.kind": "sweep", "mlflow.note.content": note[:LONGEST_TAG]}
    if before is not None and before.is_dir():
        step = 1 + max((max(told) for told in series(read_journal(before)).values()), default=-1)
        tracker = resume(before, step=step, project=project, sender=sender, settings=settings)
        tracker.tags(tags)
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
    for file, text in (("trials.csv", sweep.csv()), ("trials.md", sweep.markdown()), ("trials.html", sweep.html()), *texts.items()):
        tracker.text(file, text)
    best = sweep.best
    if best is not None:
        tracker.metrics(step, {f"best/{key}": value for key, value in best.metrics.items() if key in sweep.metrics})
        tracker.tags({"pipeline.best_run": best.run_id, "pipeline.best_folder": best.folder, "pipeline.best": best.label})
    tracker.journal.write(Compare(quantity=sweep.metric, curves=_curves(sweep.trials)))
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


def _curves(trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """Label -> curve; a label that two trials share gets the number of the job."""
    labels = [trial.label for trial in trials]
    count = Counter(labels)
    unique = [label if count[label] == 1 else f"{trial.job}: {label}" for trial, label in zip(trials, labels, strict=True)]
    return {label: {str(k): v for k, v in trial.curve.items()} for label, trial in zip(unique, trials, strict=True) if trial.curve}


def _swept(asked: Sequence[Mapping[str, str]]) -> list[str]:
    """The paths that are asked for with several values; none where they are trials of a search, whose values are drawn."""
    if not all(asked) or any("trial" in found for found in asked):
        return []
    names = dict.fromkeys(name for found in asked for name in found)
    return [name for name in names if len({found.get(name) for found in asked}) > 1]


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


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
