"""A run as the training process writes it: a journal, handed to a sender.

    with open_sender(settings, project) as sender:            # raises if the store refuses; loads MLflow meanwhile, writes no run yet
        ...                                                   # read the data, compile: a fault here leaves nothing behind
        tracker = start(settings, name="bn", config=plain_config, project=project, sender=sender)
        tracker.metrics(epoch, {"loss/train": 0.3, "loss/validation": 0.4})
        receipt = tracker.finish("FINISHED", wait=WAIT)       # receipt.link, or receipt.note which says why not

Nothing here waits for MLflow except `finish`, and it has a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from pipeline import files
from pipeline.errors import RunError, sentence
from pipeline.records import record
from pipeline.text import hidden
from pipeline.tracking.delivery import NOTE, Sent, read_sent
from pipeline.tracking.folder import CONFIG, INFO, Origin, RunInfo, fill, new_run_folder, read_info, write_info
from pipeline.tracking.journal import FILE, Artifact, Confusion, End, Journal, Metric, Model, Resume, Start, Status, Tags, unwritable
from pipeline.tracking.link import Link, link_to_run
from pipeline.tracking.lock import Lock, take
from pipeline.tracking.log import FILE as LOG
from pipeline.tracking.log import Log
from pipeline.tracking.machine import Watch
from pipeline.tracking.models import RESUMABLE
from pipeline.tracking.outbox import WAIT, Sender, open_sender
from pipeline.tracking.page import Page
from pipeline.tracking.process import alive, here, this_process
from pipeline.tracking.provenance import LONGEST_TAG, flatten, provenance
from pipeline.tracking.settings import Tracking, experiment, watches
from pipeline.tracking.store import Store, check, locate

SAMPLING = 10.0  # seconds between two looks at the machine
MOMENT = 3.0  # seconds that a sender may hold the lock of a dead run


@record
class Receipt:
    """What became of a run in the tracking store: a link, and a note where something is to be said."""

    link: Link | None = None
    note: str = ""

    def __str__(self) -> str:
        return "\n".join(str(part) for part in (self.link, self.note) if part)


class Tracker:
    """The record of one run while it goes on.  As a context manager it ends the run with the status that the exception tells."""

    def __init__(self, folder: Path, journal: Journal, lock: Lock, store: Store | None, sender: Sender, *, own_sender: bool) -> None:
        self.folder, self.journal, self.lock, self.store = folder, journal, lock, store
        self._sender, self._own_sender = sender, own_sender
        self._receipt: Receipt | None = None
        self._watch: Watch | None = None
        self.log = Log(folder)
        self.sends_log = False  # whether the store gets it when the run is over
        self.checkpoints = False  # whether the store gets them when the run is over
        self.note: str | None = None  # its description as it was begun with; None: the journal has it

    def link(self) -> Link | None:
        """The way to the run's page, as soon as MLflow has the run."""
        sent = read_sent(self.folder)
        return link_to_run(self.store, sent.experiment_id, sent.run_id) if self.store is not None and sent.run_id else None

    def watch(self, seconds: float) -> None:
        """Also tells how busy the machine is."""
        self._watch = Watch(self.journal, seconds)

    def metrics(self, step: int, values: Mapping[str, float], *, durable: bool = False) -> None:
        """Metrics of an epoch (`step` counts epochs), by names such as loss/train: MLflow charts by what stands before the slash."""
        self.journal.write(Metric(step=int(step), values={name: float(value) for name, value in values.items()}), durable=durable)

    def tags(self, values: Mapping[str, object]) -> None:
        """What is known only after the start, e.g. pipeline.digest, pipeline.data."""
        self.journal.write(Tags(values={name: str(value) for name, value in values.items()}))

    def artifact(self, path: Path, *, into: str = "") -> None:
        """A file of the run folder, to be copied to folder `into` of MLflow's artifacts."""
        self.journal.write(Artifact(path=str(path.absolute().relative_to(self.folder)), into=into))

    def text(self, name: str, text: str) -> None:
        """Writes a text file into the run folder and records it as an artifact."""
        try:
            (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritable(self.folder / name, error) from error
        self.artifact(self.folder / name)

    def model(self, folder: Path, *, register: str = "") -> None:
        """The trained model, written to `folder` of the run folder; `register` is its name in the registry."""
        self.journal.write(Model(path=str(folder.absolute().relative_to(self.folder)), register=register))

    def confusion(self, classes: Sequence[str], counts: Any, *, part: str = "test") -> None:
        """counts [true class, predicted class], drawn as a figure at the end."""
        self.journal.write(Confusion(part=part, classes=tuple(classes), counts=tuple(map(tuple, np.asarray(counts).tolist()))))

    def finish(self, status: Status, message: str = "", *, epoch: int = 0, wait: float | None = None) -> Receipt:
        """Ends the run, waits for MLflow at most `wait` seconds (default: 15, or 0 with a shared sender), and tells the link.

        epoch: the one whose weights are the result.  A second call changes nothing.
        """
        if self._receipt is None:
            if self._watch is not None:
                self._watch.close()
            with self.lock, contextlib.closing(self.journal):
                self.log(f"{status.lower()}: {message}" if message else status.lower())
                self.log.close()
                if self.sends_log:
                    self.artifact(self.folder / LOG)
                self.journal.write(End(status=status, message=message, epoch=epoch), durable=True)
                for path in self._resumable() if self.checkpoints else ():
                    self.journal.write(Artifact(path=str(path), into=str(Path(RESUMABLE, path.parent))))
            self._receipt = self._settle((WAIT if self._own_sender else 0.0) if wait is None else wait)
        return self._receipt

    def _resumable(self) -> list[Path]:
        """The files that a training goes on with, the journal last: it is sent as it is then."""
        saved = sorted(path.relative_to(self.folder) for path in (self.folder / "checkpoints").glob("*") if path.is_file())
        return [*saved, Path(CONFIG), Path(INFO), Path(FILE)]

    def ended_by(self, error: BaseException, *, wait: float | None = None) -> Receipt:
        """Ends the run that `error` cut off, with what is said of it."""
        if isinstance(error, KeyboardInterrupt):
            return self.finish("KILLED", str(error) or "stopped by Ctrl-C", wait=wait)
        return self.finish("FAILED", sentence(error), wait=wait)

    def _settle(self, wait: float) -> Receipt:
        if self.store is None:
            return Receipt(note=f"tracking=none: the run is kept in {files.shown(self.folder)}")
        sent = self._sender.wait_for(self.folder, wait)
        if self._own_sender:
            self._sender.close(0.5 if sent.complete else 0.0)
        return receipt(self.folder, sent, self.store, waited=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.finish("FINISHED")
        else:
            self.ended_by(error)


def receipt(folder: Path, sent: Sent, store: Store, *, waited: float) -> Receipt:
    """The link if MLflow has the run, and a note unless all of it is there."""
    link = link_to_run(store, sent.experiment_id, sent.run_id) if sent.run_id else None
    if sent.ended or (waited <= 0 and not sent.note):
        return Receipt(link=link)
    elsewhere = "" if store.database == Path.cwd() / "mlflow.db" else f" tracking.uri={shlex.quote(store.shown)}"
    again = f"task=sync run={files.shown(folder)}{elsewhere}"
    if sent.note:
        said = f"{sent.note}; the run is whole in {files.shown(folder)}, send the rest with {again}"
    else:
        late = f"did not take the whole run within {waited:.0f} s, the rest is sent in the background"
        said = f"{late}; should that end too soon, {again} goes on"
    return Receipt(link=link, note=f"tracking.uri = {store.shown}: {said}")


def start(
    settings: Tracking,
    *,
    name: str,
    config: Mapping[str, Any],
    project: Path,
    root: Path | str = "runs",
    output: Path | str | None = None,
    seed: int | None = None,
    tags: Mapping[str, str] | None = None,
    sweep: str | None = None,
    job: int | None = None,
    sender: Sender | None = None,
    origin: Origin | None = None,
    page: Page | None = None,
) -> Tracker:
    """Begins a run: makes its folder (`output` itself, or a new one of `root`), writes the journal's first lines, gives it to the sender.

    `config` is the resolved config, `project` the folder that relative paths count from.  Trials of one sweep share the word `sweep`.
    A fork has an `origin`.
    Without a `sender` the run opens its own, after asking the store, and closes it when it ends.
    Raises TrackingError if the store refuses and RunError if the folder cannot be made; nothing is left behind then.
    """
    opened = sender or open_sender(settings, project)
    try:
        store = locate(settings, project)
        folder = new_run_folder(project / root, name=name, path=None if output is None else project / output)
        all_tags = {"pipeline.kind": "run", **provenance(seed=seed), **(tags or {})}
        all_tags |= {} if sweep is None else {"pipeline.sweep": sweep}
        all_tags |= {} if job is None else {"pipeline.job": str(job)}
        if origin is not None:
            where = origin.run_id or origin.folder
            all_tags |= {"pipeline.origin": f"{where} step {origin.step}", "pipeline.origin_taken": origin.taken}
        page = page or Page()
        all_tags |= {NOTE: page.note[:LONGEST_TAG]} if page.note else {}
        lock, journal = _begin(folder, replace(_info(name, settings, store, sweep), origin=origin), config, all_tags, page)
    except BaseException:
        if sender is None:
            opened.close(0.0)
        raise
    if store is not None:
        opened.add(folder, store)
    tracker = Tracker(folder, journal, lock, store, opened, own_sender=sender is None)
    tracker.checkpoints, tracker.note = settings.checkpoints, str(all_tags.get(NOTE, ""))
    tracker.log(f"begun: {all_tags.get('pipeline.command', name)}")
    if store is not None and watches(settings):
        tracker.watch(float(os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL") or SAMPLING))
    return tracker


def _info(name: str, settings: Tracking, store: Store | None, sweep: str | None) -> RunInfo:
    return RunInfo(
        uid=uuid.uuid4().hex,
        name=name,
        created=time.time_ns() // 1_000_000,
        process=this_process(),
        uri=None if store is None else store.uri,
        experiment=experiment(settings),
        artifacts=None if store is None else store.artifacts,
        sweep=sweep,
    )


def _begin(folder: Path, info: RunInfo, config: Mapping[str, Any], tags: Mapping[str, str], page: Page) -> tuple[Lock, Journal]:
    """Fills a new run folder, or removes it."""
    lock = _taken(folder, at="output")
    try:
        fill(folder, info, config_text(config))
        journal = Journal(folder)
        begun = Start(uid=info.uid, name=page.name or info.name, params=flatten(config), tags=tags, shown=page.params, about=page.about)
        journal.write(begun, durable=True)
        if page.data is not None:
            journal.write(page.data)
        journal.write(Artifact(path="config.yaml"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        raise
    return lock, journal


def _taken(folder: Path, *, at: str) -> Lock:
    """The lock of a run folder that nobody else works in.  Raises RunError.

    Of a run whose process is dead a sender may hold it for a moment, to mark the run as killed: that is waited for.
    """
    info = read_info(folder) if (folder / INFO).exists() else None
    other = info is not None and here(info.process) and info.process != this_process() and alive(info.process)
    lock, end = take(folder), time.monotonic() + MOMENT
    while lock is None and not other and time.monotonic() < end:
        time.sleep(0.02)
        lock = take(folder)
    if lock is not None and not other:
        return lock
    if lock is not None:
        lock.release()
    who = f" as process {info.process.pid}" if info is not None else ""
    raise RunError(f"{at} = {files.shown(folder)}: the run still goes on{who}; stop that one first")


def take_up(folder: Path) -> Lock:
    """The lock of a run that shall go on, taken before its checkpoint is read.  Raises RunError if it still runs or is no run."""
    read_info(folder)
    if not (folder / FILE).exists():
        raise RunError(f"resume = {files.shown(folder)}: has no {FILE}; give the folder of a run")
    return _taken(folder, at="resume")


def resume(
    folder: Path,
    *,
    step: int,
    project: Path,
    sender: Sender | None = None,
    lock: Lock | None = None,
    settings: Tracking | None = None,
) -> Tracker:
    """Continues the run of a folder after epoch `step`.

    lock      that of the folder, where it is taken already
    settings  where its record goes on; None: where the run says
    Raises RunError if it still runs or is no run, TrackingError if its store refuses.
    """
    folder = folder.absolute()
    lock = lock or take_up(folder)
    info = read_info(folder)
    if settings is not None:
        store = locate(settings, project)
    else:
        store = None if info.uri is None else Store(uri=info.uri, experiment=info.experiment, artifacts=info.artifacts)
    if store is not None:
        check(store)
        info = replace(info, experiment=store.experiment, artifacts=store.artifacts)
    process = this_process()
    try:
        write_info(folder, replace(info, process=process, uri=None if store is None else store.uri))
    except OSError as error:
        raise unwritable(folder, error) from error
    journal = Journal(folder)
    journal.write(Resume(pid=process.pid, step=step), durable=True)
    journal.write(Tags(values={"pipeline.pid": str(process.pid), "pipeline.host": process.host}))
    opened = sender or Sender(project, store)
    if store is not None:
        opened.add(folder, store)
    tracker = Tracker(folder, journal, lock, store, opened, own_sender=sender is None)
    tracker.checkpoints = settings is not None and settings.checkpoints
    tracker.log(f"goes on after epoch {step}")
    return tracker


def config_text(config: Mapping[str, Any]) -> str:
    """The config as YAML, in its own order."""
    return "".join(_section(name, json.dumps(value, default=str)) for name, value in config.items())


@lru_cache(maxsize=1024)  # the trials of a sweep differ in few sections
def _section(name: str, written: str) -> str:
    """A section of a config, given as JSON."""
    import yaml  # noqa: PLC0415  # only a run that is recorded needs it

    value = _without_credentials(json.loads(written))
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # in C, where PyYAML was built with it: a sixth of the time
    flow = None if isinstance(value, dict | list) else False  # a single value stands on a line of its own, without braces
    return str(yaml.dump({name: value}, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=120))


def _without_credentials(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_credentials(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_credentials(entry) for entry in value]
    return hidden(value) if isinstance(value, str) else value
