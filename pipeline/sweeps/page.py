"""The page of a sweep in MLflow: the views of its trials, and the links that open them, told when training begins and at the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.config.arms import ARM
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import PipelineError
from pipeline.records import record
from pipeline.search.settings import REPEATS
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.journal import SweepJournal
from pipeline.sweeps.objective import PREFERRED, Objective, objectives
from pipeline.sweeps.table import Sweep
from pipeline.tasks.context import Senders
from pipeline.tracking import page
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.journal import Data, read_journal, start_of
from pipeline.tracking.link import Link, link_to_run, link_to_sweep, link_to_view
from pipeline.tracking.outbox import Sender
from pipeline.tracking.store import Store, locate
from pipeline.tracking.view import View, logarithmic, understood

LOOK = 0.1  # seconds between two looks whether MLflow has a trial
MOST_COLUMNS = 12
METRICS = {"regression": ("rmse", "mae"), "reconstruction": ("rmse",), "multilabel": ("accuracy",), "classification": ("accuracy",)}


@record
class Trials:
    """What a page of trials shows: what ranks them, what they were measured by, and the values of what varies, path -> values."""

    sweep: str
    judged: Objective
    metrics: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


def trials_of(sweep: Sweep) -> Trials:
    """Those of a sweep that is over."""
    values = {name: tuple(dict.fromkeys(trial.params.get(name, "") for trial in sweep.trials)) for name in sweep.params}
    return Trials(sweep=sweep.name, judged=sweep.objectives[0], metrics=sweep.metrics, values=values)


def planned_trials(sweep: str, planned: Sequence[Job], folder: Path, settings: SweepSettings) -> Trials:
    """Those of a sweep that begins, one of whose runs is in `folder`: what will be measured follows from its data."""
    paths = dict.fromkeys(path for job in planned for path in job.values)
    values = {path: tuple(dict.fromkeys(job.values.get(path, "") for job in planned)) for path in paths}
    values = {path: given for path, given in values.items() if len(given) > 1}
    data = next((event for event in read_journal(folder) if isinstance(event, Data)), None)
    task = str(json.loads(data.profile).get("task")) if data is not None else ""
    held = data is None or json.loads(data.profile).get("validation rows", 1)
    measured = [f"{name}/{part}" for name in (*METRICS.get(task, ()), "loss") for part in ("validation", "test")] + ["loss/train"]
    known = [name for name in PREFERRED if name in measured and (held or not name.endswith("/validation"))]
    judged = objectives(settings, () if settings.metric else known)[0]
    return Trials(sweep=sweep, judged=judged, metrics=tuple(dict.fromkeys([judged.metric, *measured])), values=values)


def views(trials: Trials) -> list[View]:
    """The table with its charts, and where arms are repeated over seeds or folds, their means and bands."""
    shown = {name: page.metric(name, 0)[0] for name in (trials.judged.metric, *trials.metrics)}
    metric = shown[trials.judged.metric]
    wanted = [name for name in dict.fromkeys((trials.judged.metric, *trials.metrics)) if _is_column(name, trials.judged.metric)]
    curves = dict.fromkeys([trials.judged.metric, "loss/validation", "loss/train"])
    arms = tuple(name for name in trials.values if name not in REPEATS)
    table = View(
        key=trials.sweep,
        title="Trials",
        wanted=f"tags.`pipeline.sweep` = '{trials.sweep}' and tags.`pipeline.kind` = 'run'",
        metric=metric,
        grows=trials.judged.grows,
        metrics=tuple(shown[name] for name in wanted[:MOST_COLUMNS]),
        curves=tuple(shown[name] for name in curves if name in shown),
        params=tuple(trials.values),
        axes=tuple(f"log10.{name}" if logarithmic(values) else name for name, values in trials.values.items()),
    )
    if not arms or len(arms) == len(trials.values):
        return [table]
    return [table, replace(table, key=f"{trials.sweep}-arms", title="Arms", groups=arms if len(arms) == 1 or ARM in arms else (ARM,))]


def _is_column(name: str, metric: str) -> bool:
    """The ranking metric, that of the test part, and the losses that are watched."""
    return name in (metric, f"{metric.split('/')[0]}/test", "loss/validation", "loss/train")


def tell(trials: Trials, sender: Sender, store: Store, run: Link, say: Callable[[str], None]) -> None:
    """Has the views written, and says their links; of a page that knows no views, a link with a filter.  `run` is one of the sweep."""
    experiment_id, run_id = run.experiment_id, run.run_id
    made = views(trials) if understood(store) else []
    tags = [view.tag() for view in made]
    if not made or not all(tags):
        say(f"MLflow      {link_to_sweep(store, experiment_id, run_id, trials.sweep)}")
        return
    sender.describe(store, {name: value for tag in tags for name, value in tag.items()})
    link = link_to_view(store, experiment_id, run_id, made[0].key)
    say(f"MLflow      {link}")
    say(f"charts      {link_to_view(store, experiment_id, run_id, made[0].key, charts=True).url}")
    if len(made) > 1:
        say(f"arms        {link_to_view(store, experiment_id, run_id, made[1].key, charts=True).url}")


class AtTheStart:
    """Says the links of a sweep as soon as MLflow has one of its trials; a thread of its own, so that nothing waits."""

    def __init__(self, journal: SweepJournal, planned: Sequence[Job], senders: Senders, settings: SweepSettings) -> None:
        self._journal, self._planned, self._senders, self._settings = journal, planned, senders, settings
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tells the link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """It is too late for a beginning."""
        self._over.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._over.wait(LOOK):
            with suppress(PipelineError, OSError, ValueError, RuntimeError):  # what is half written is read at the next look
                if self._told():
                    return

    def _told(self) -> bool:
        opened = self._senders.opened()
        folder = next((folder for folder in list(self._journal.runs.values()) if read_sent(folder).run_id), None)
        if folder is None or opened is None:
            return False
        settings, sender = opened
        store, sent = locate(settings, Path.cwd()), read_sent(folder)
        if store is not None and start_of(read_journal(folder)).uid:
            trials = planned_trials(str(self._journal.head["id"]), list(self._planned), folder, self._settings)
            run = link_to_run(store, sent.experiment_id, sent.run_id)
            tell(trials, sender, store, run, lambda text: print(text, flush=True))
        return True
