"""Tracking as the training process sees it: a journal to write to, and a sender to hand it to.

    tracker = start(settings, name="bn", config=plain_config, project=Path.cwd())     # raises before anything is written if the store refuses
    tracker.metrics(epoch, {"loss/train": 0.3, "loss/validation": 0.4})
    receipt = tracker.finish("FINISHED")                                              # receipt.link, or receipt.note which says why not

Nothing here waits for MLflow except `finish` and `Sender.close`, and these with a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import PipelineError, RunError
from pipeline.records import record
from pipeline.tracking.delivery import Sent, read_sent
from pipeline.tracking.folder import RunInfo, fill, new_run_folder, read_info, write_info
from pipeline.tracking.journal import FILE, Journal, Status, unwritable
from pipeline.tracking.process import alive, here, this_process
from pipeline.tracking.provenance import flatten, provenance
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Link, Store, check, link_to_run, locate

# Of a server that is away, the sender must hear soon: MLflow's own defaults try for minutes.  What the user has set stands.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",
}
WAIT = 15.0  # seconds that `finish` waits for the status to reach MLflow
WAIT_FIGURES = 3.0  # and then for the figures, which the sender finishes anyway


@record
class Receipt:
    """What became of a run in the tracking store: a link, and a note where something is to be said."""

    link: Link | None = None
    note: str = ""

    def __str__(self) -> str:
        return "\n".join(str(part) for part in (self.link, self.note) if part)


class Sender:
    """The handle of a sender process (pipeline/tracking/sender.py).  One serves any number of runs of the process that started it."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._folders: list[Path] = []
        self._process = self._start()

    def add(self, folder: Path) -> None:
        """Gives a run folder into its care."""
        self._folders.append(folder)
        self._tell(json.dumps(str(folder)))

    def wake(self) -> None:
        """Has it look at the journals now."""
        self._tell("")

    def wait_for(self, folder: Path, seconds: float = WAIT) -> Sent:
        """Waits until the run's status is in MLflow, and a little for its figures.  Returns what was reached."""
        self.wake()
        end = time.monotonic() + seconds
        restarted = False
        while not (sent := read_sent(folder)).ended and time.monotonic() < end:
            if self._process.poll() is not None:
                if restarted or _gave_up(sent):
                    break
                restarted = True
                self._process = self._start()  # something killed it: the journals are whole, another takes over
                for known in self._folders:
                    self._tell(json.dumps(str(known)))
            time.sleep(0.02)
        end = min(end, time.monotonic() + WAIT_FIGURES)
        while sent.ended and not (sent := read_sent(folder)).complete and time.monotonic() < end and self._process.poll() is None:
            time.sleep(0.02)
        return sent

    def close(self, seconds: float = WAIT) -> None:
        """Lets it end when all is sent, and waits for that at most `seconds`; after them it goes on by itself."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.returncode = 0  # it outlives us by design: no warning that a process was left running

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a dead sender is found and replaced in wait_for
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        code = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH", ""))))
        # -P: the folder a user works in is no place to import from.  A session of its own: Ctrl-C in the terminal is for the training,
        # which then still has a status to tell.
        return subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "pipeline.tracking.sender", str(os.getpid())],
            cwd=self._project,
            env={**ENVIRONMENT, **os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


class Tracker:
    """The record of one run while it goes on.  As a context manager it ends the run with the status that the exception tells."""

    def __init__(self, folder: Path, journal: Journal, store: Store | None, sender: Sender | None, *, own_sender: bool) -> None:
        self.folder, self.journal, self.store = folder, journal, store
        self._sender, self._own_sender = sender, own_sender
        self._receipt: Receipt | None = None

    def metrics(self, step: int, values: Mapping[str, float], *, durable: bool = False) -> None:
        """Metrics of an epoch (`step` counts epochs), by names such as loss/train: MLflow charts by what stands before the slash."""
        self.journal.write("metric", durable=durable, step=int(step), values={name: float(value) for name, value in values.items()})

    def tags(self, values: Mapping[str, object]) -> None:
        """What is known only after the start, e.g. pipeline.digest, pipeline.data."""
        self.journal.write("tags", values={name: str(value) for name, value in values.items()})

    def artifact(self, path: Path, *, into: str = "") -> None:
        """A file of the run folder, to be copied to folder `into` of MLflow's artifacts."""
        self.journal.write("artifact", path=str(path.absolute().relative_to(self.folder)), into=into)

    def text(self, name: str, text: str) -> None:
        """Writes a text file into the run folder and records it as an artifact."""
        try:
            (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritable(self.folder / name, error) from error
        self.artifact(self.folder / name)

    def confusion(self, classes: Sequence[str], counts: Any, *, part: str = "test") -> None:
        """counts [true class, predicted class], drawn as a figure at the end."""
        self.journal.write("confusion", part=part, classes=list(classes), counts=counts)

    def finish(self, status: Status, message: str = "", *, wait: float | None = None) -> Receipt:
        """Ends the run, waits for MLflow at most `wait` seconds (default: 15, or 0 with a shared sender), and tells the link.

        A second call changes nothing.
        """
        if self._receipt is None:
            with contextlib.closing(self.journal):
                self.journal.write("end", durable=True, status=status, message=message)
            self._receipt = self._settle((WAIT if self._own_sender else 0.0) if wait is None else wait)
        return self._receipt

    def _settle(self, wait: float) -> Receipt:
        if self._sender is None or self.store is None:
            return Receipt(note=f"tracking=none: the run is kept in {self.folder}")
        sent = self._sender.wait_for(self.folder, wait)
        if self._own_sender:
            self._sender.close(0.0 if not sent.complete else 0.5)
        return receipt(self.folder, sent, self.store, waited=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.finish("FINISHED")
        elif isinstance(error, KeyboardInterrupt):
            self.finish("KILLED", "stopped by Ctrl-C")
        else:
            self.finish("FAILED", str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}")


def receipt(folder: Path, sent: Sent, store: Store, *, waited: float) -> Receipt:
    """The link if MLflow has the run, and a note unless all of it is there."""
    link = link_to_run(store, sent.experiment_id, sent.run_id) if sent.run_id else None
    if sent.ended or (waited <= 0 and not sent.note):
        return Receipt(link=link)
    reason = sent.note or f"did not take the whole run within {waited:.0f} s"
    hint = f"the run is whole in {folder}, send the rest with task=sync run={folder}"
    return Receipt(link=link, note=f"tracking.uri = {store.shown}: {reason}; {hint}")


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
) -> Tracker:
    """Begins a run: asks the store, makes the run folder (`output` itself, or a new one of `root`), writes the journal's first line and
    starts a sender unless one is given.

    `config` is the resolved config, `project` the folder that relative paths count from.  Trials of one sweep share the word `sweep`.
    Raises TrackingError if the store refuses and RunError if the folder cannot be made; nothing is left behind then.
    """
    store = locate(settings, project)
    if store is not None:
        check(store)
    folder = new_run_folder(project / root, name=name, path=None if output is None else project / output)
    try:
        process = this_process()
        info = RunInfo(
            uid=uuid.uuid4().hex,
            name=name,
            created=time.time_ns() // 1_000_000,
            process=process,
            uri=None if store is None else store.uri,
            experiment=settings.experiment,
            artifacts=None if store is None else store.artifacts,
            sweep=sweep,
        )
        fill(folder, info, config_text(config))
        all_tags = {"pipeline.kind": "run", **provenance(seed=seed), **(tags or {})}
        all_tags |= {"pipeline.sweep": sweep} if sweep is not None else {}
        all_tags |= {"pipeline.job": str(job)} if job is not None else {}
        journal = Journal(folder)
        journal.write("start", durable=True, uid=info.uid, name=name, params=flatten(config), tags=all_tags)
        journal.write("artifact", path="config.yaml", into="")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _tracker(folder, journal, store, sender, project)


def resume(folder: Path, *, step: int, project: Path, sender: Sender | None = None) -> Tracker:
    """Continues the run of a folder after epoch `step`.  Raises RunError if it still runs, TrackingError if its store refuses."""
    folder = folder.absolute()
    info = read_info(folder)
    if here(info.process) and info.process != this_process() and alive(info.process):
        raise RunError(f"resume = {folder}: the run still goes on as process {info.process.pid}; stop that one first")
    if not (folder / FILE).exists():
        raise RunError(f"resume = {folder}: has no {FILE}; give the folder of a run")
    store = None if info.uri is None else Store(uri=info.uri, experiment=info.experiment, artifacts=info.artifacts)
    if store is not None:
        check(store)
    process = this_process()
    write_info(folder, replace(info, process=process))
    journal = Journal(folder)
    journal.write("resume", durable=True, pid=process.pid, step=step)
    journal.write("tags", values={"pipeline.pid": str(process.pid), "pipeline.host": process.host})
    return _tracker(folder, journal, store, sender, project)


def _tracker(folder: Path, journal: Journal, store: Store | None, sender: Sender | None, project: Path) -> Tracker:
    if store is None:
        return Tracker(folder, journal, None, None, own_sender=False)
    own = sender is None
    sender = sender or Sender(project)
    sender.add(folder)
    return Tracker(folder, journal, store, sender, own_sender=own)


def config_text(config: Mapping[str, Any]) -> str:
    """The config as YAML, in its own order."""
    import yaml  # type: ignore[import-untyped]  # it has no types of its own, and comes with Hydra

    plain = json.loads(json.dumps(config, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120))


def _gave_up(sent: Sent) -> bool:
    return bool(sent.note)
