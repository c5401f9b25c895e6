"""Brings the journal of one run to MLflow.

Only what is new is sent, in one batch; the place reached is written to mlflow.json after MLflow has taken it.  A batch may so be sent
twice, never left out, and twice is once: each point carries the time of the journal, which is part of its key in MLflow's database, and the
run itself is found again by its tag pipeline.uid.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import PipelineError, RunError
from pipeline.records import read, record
from pipeline.text import HIDDEN, hidden
from pipeline.tracking import lives, models, page
from pipeline.tracking.client import Client, open_client
from pipeline.tracking.database import Point
from pipeline.tracking.event import Event
from pipeline.tracking.figures import draw
from pipeline.tracking.folder import SENT, RunInfo, read_info, replace_text
from pipeline.tracking.journal import (
    FILE,
    Artifact,
    Changed,
    Data,
    End,
    Machine,
    Metric,
    Model,
    Resume,
    Start,
    Tags,
    end_of,
    parse,
    read_journal,
    read_lines,
    start_of,
    whole_length,
)
from pipeline.tracking.provenance import LONGEST_PARAM, LONGEST_TAG
from pipeline.tracking.store import Store, connect

STANDING = "pipeline.state"
LONGEST_NAME = 200  # bytes of a file or a folder that is sent: file systems take 255, and some names get more
NOTE = "mlflow.note.content"
UID, COPY = "pipeline.uid", "pipeline.copy_of"  # tags: of which folder a run is; the run that it was one with before its folder was copied
TRIAL, FIGURES = "pipeline.trial", "pipeline.figures"  # tags: a run is one of many; its figures are asked for


@record
class Sent:
    """What MLflow has of a run: `offset` bytes of its journal.  `ended`: status and every metric are there; `complete`: the figures too.

    Both speak of the journal as long as it was: of one that has grown since (a run that was resumed) they are no longer true.
    """

    uri: str = ""
    experiment_id: str = ""
    run_id: str = ""
    offset: int = 0
    ended: bool = False
    complete: bool = False
    note: str = ""  # why the last attempt failed, "" after one that did not


def read_sent(folder: Path) -> Sent:
    """What MLflow has of the journal as it is now."""
    sent = _stored(folder)
    return sent if sent.offset == whole_length(folder) else replace(sent, ended=False, complete=False)


def _stored(folder: Path) -> Sent:
    """An unreadable file counts as nothing sent: sending again is harmless."""
    try:
        return read(Sent, json.loads(files.content(folder / SENT)), at=SENT)
    except (OSError, ValueError, RecursionError, PipelineError):
        return Sent()


class Clients:
    """One client and experiment id per store, made at first need."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[Client, str]] = {}
        self._described: set[tuple[str, str]] = set()

    def get(self, store: Store) -> tuple[Client, str]:
        """The client of a store and the id of the experiment; raises as `open_client`."""
        key = (store.uri, store.experiment)
        if key not in self._made:
            self._made[key] = open_client(store)
        return self._made[key]

    def describe(self, store: Store, about: str) -> None:
        """Notes what the experiment is about where its page says nothing yet."""
        key = (store.uri, store.experiment)
        if about and key not in self._described:
            client, experiment_id = self.get(store)
            if not client.experiment_tags(experiment_id).get(NOTE):
                client.describe(experiment_id, {NOTE: about[:LONGEST_TAG]})
            self._described.add(key)

    def forget(self, store: Store) -> None:
        """Opens the store anew at the next need: what failed may be another database by now, or none."""
        self._made.pop((store.uri, store.experiment), None)


class Delivery:
    """One run folder on its way to its store.  `advance` sends what is new and raises whatever MLflow raises."""

    def __init__(self, folder: Path, clients: Clients, *, store: Store | None = None, first: bool = False, draws: bool = False) -> None:
        """
        store  replaces the one that the run names, and has the credentials that no file keeps
        first  nobody can have begun to send the run before
        draws  figures are drawn whatever the run is; else those of a trial of a sweep are left until somebody asks for them
        """
        self.folder, self._first, self._draws = folder, first, draws
        self.info: RunInfo = read_info(folder)
        if store is None and self.info.uri is not None and HIDDEN not in self.info.uri:
            store = Store(uri=self.info.uri, experiment=self.info.experiment, artifacts=self.info.artifacts)
        if store is None and self.info.uri is not None:
            named = hidden(self.info.uri)
            raise RunError(f"run = {files.shown(folder)}: no file keeps the credentials of {named}; give tracking.uri=... with them")
        if store is None:
            raise RunError(f"run = {files.shown(folder)}: was made with tracking=none; name the store to send it to with tracking.uri=...")
        self.store = store
        self.clients = clients
        self.sent = self._mark()
        self._lock = -1
        self._told: set[tuple[str, int]] = set()
        self._found = False  # whether the store has been asked for the run
        self._tags: Mapping[str, str] = {}  # of the run as the store had it
        self._held = False
        self.models = False  # whether the run has a model
        self._created: dict[str, str] = {}  # the tags that the run was just created with
        self.remarks = set[str]()  # what a reader should know: what of the folder is not sent, and why

    def take(self) -> bool:
        """Takes charge of the folder: two processes that send one run at once could create it twice.  False if another has it."""
        if self._lock < 0:
            lock = os.open(self.folder / FILE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lock = lock
            self.sent = self._mark()  # what the one before us has sent
            sent = read_lines(self.folder)[: self.sent.offset] if self.sent.offset else b""
            self._told = _points(parse(sent))
        return True

    def again(self) -> None:
        """Nothing counts as sent: the journal is written again from its beginning."""
        self.sent, self._told = Sent(uri=self.store.shown), set()

    def release(self) -> None:
        """Gives up charge of the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def advance(self) -> None:
        """Sends the new lines of the journal; all of them where the store has lost the run."""
        client, experiment_id = self.clients.get(self.store)
        if not self._found:
            self._find(client)
        lines = read_lines(self.folder, start=self.sent.offset)
        if not lines:
            return
        events = parse(lines)
        whole = read_journal(self.folder) if self.sent.offset else events
        run_id = self.sent.run_id or self._find_or_create(client, experiment_id, whole)
        if run_id != self.sent.run_id:
            self._save(run_id=run_id, experiment_id=experiment_id)
        if lives.contained(whole, self._tags):
            self.remarks.add("is a copy made before the run went on; MLflow has all of it")
            self._save(offset=self.sent.offset + len(lines), ended=True, complete=True, note="")
            return
        self._log(client, experiment_id, run_id, events, lives.text(lives.lives(whole)))
        before = End(status="FINISHED") if self.sent.ended else None
        ended = end_of(events, before=before) is not None
        self.models = any(isinstance(event, Model) for event in whole)
        drawn = ended and not (self._draws or _wants_figures(whole) or self.models)
        self._save(offset=self.sent.offset + len(lines), ended=ended, complete=drawn, note="")

    def news(self) -> bool:
        """Whether the journal holds what is not sent."""
        return (self.folder / FILE).stat().st_size > self.sent.offset

    def _find(self, client: Client) -> None:
        """Asks the store, once, whether it still has the run that it is said to have: a database may have been deleted."""
        if self.sent.offset > whole_length(self.folder):  # of a journal that has been put back
            self.again()
        if self.sent.run_id:
            tags = client.tags(self.sent.run_id)
            whole = [] if tags is None else read_journal(self.folder)
            if tags is None or (lives.apart(self.info.uid, whole, tags) and not lives.contained(whole, tags)):
                self.again()
            self._tags = tags or {}
        self._found = True

    def lost(self) -> None:
        """What failed is looked for again at the next try, run and store."""
        self._found = False
        self.clients.forget(self.store)

    def finish(self) -> None:
        """Sends the model and the figures."""
        for _ in self.rest():
            pass

    def rest(self) -> Iterator[None]:
        """Sends the model, draws the figures and sends them, one at a time: what comes last, after the status is right."""
        drawn = any((self.folder / "figures").glob("*.png"))
        if self.sent.complete and (drawn or not self._draws):
            return
        client, experiment_id = self.clients.get(self.store)
        whole = read_journal(self.folder)
        model = next((event for event in reversed(whole) if isinstance(event, Model)), None)
        if model is not None and self._is_sound(model):
            model_id = client.model(experiment_id, self.sent.run_id, self.folder / model.path)
            if model.register:
                models.register(connect(self.store)[0], model.register, self.sent.run_id, model_id)
                self.remarks.add(f"its model is a version of {model.register} in the registry")
        yield
        for path in draw(self.folder) if self._draws or _wants_figures(whole) else ():
            client.artifact(self.sent.run_id, path, "figures")
            yield
        self._save(complete=True)

    def _is_sound(self, model: Model) -> bool:
        """Whether the model of the folder is one that may be sent; why not is told."""
        if not inside(self.folder, model.path) or not (self.folder / model.path).is_dir():
            return False
        fault = models.fault(self.folder / model.path)
        if fault:
            self.remarks.add(f"its model is not sent: {fault}")
        return not fault

    def remark(self, note: str) -> None:
        """Leaves word in mlflow.json of why it does not go on."""
        if note != self.sent.note:
            with contextlib.suppress(OSError):
                self._save(note=note)

    def _find_or_create(self, client: Client, experiment_id: str, whole: Sequence[Event]) -> str:
        """The run with our uid: an earlier create may have worked although its answer was lost.

        Of a copy whose original has gone on as well, it is a run of its own.
        """
        first, self._first, self._tags = self._first and not lives.lives(whole), False, {}
        uid, origin, start = self.info.uid, "", start_of(whole)
        found = "" if first else client.find(experiment_id, uid)
        if found:
            self._tags = client.tags(found) or {}
            other = lives.apart(uid, whole, self._tags)
            if not other or lives.contained(whole, self._tags):
                return found
            uid, origin, self._tags = other, found, {}
            found = client.find(experiment_id, uid)
        if found:
            return found
        self.clients.describe(self.store, start.about)
        own = {UID: uid, "pipeline.folder": str(self.folder), STANDING: "running", **({COPY: origin} if origin else {})}
        self._created = _tags({**start.tags, **own})
        name = (start.name or self.info.name)[: page.LONGEST_NAME]
        return client.create(experiment_id, uid=uid, name=name, time=self.info.created, tags=self._created)

    def _log(self, client: Client, experiment_id: str, run_id: str, events: Sequence[Event], lived: str) -> None:
        metrics: dict[tuple[str, int], Point] = {}
        params: dict[str, Any] = {}
        tags: dict[str, Any] = {}
        for event in events:
            tags |= _standing(event)
            match event:
                case Metric(step=step, values=values) | Machine(step=step, values=values):
                    # A resumed run tells the steps after its checkpoint again, with the same bits: MLflow keeps the first.
                    for name, value in values.items():
                        if (name, step) not in self._told:
                            shown, at = page.metric(name, step)
                            metrics.setdefault((name, step), Point(name=shown, value=float(value), time=event.time, step=at))
                case Start():
                    params |= event.params if event.shown is None else event.shown
                    tags |= event.tags
                case Tags():
                    tags |= event.values
                case Changed():
                    tags |= {**event.tags, "mlflow.runName": event.name[: page.LONGEST_NAME]}
        client.log(
            run_id,
            points=list(metrics.values()),
            params={page.named(name): str(value)[:LONGEST_PARAM] for name, value in params.items() if value != "null"},
            tags={name: value for name, value in _tags(tags).items() if self._created.get(name) != value and name not in (UID, COPY)}
            | ({lives.TAG: lived} if lived != self._tags.get(lives.TAG, "") else {}),
        )
        self._told |= set(metrics)
        self._created, self._tags = {}, {lives.TAG: lived}
        for event in events:
            if isinstance(event, Data):
                client.data(experiment_id, run_id, event)
            if isinstance(event, Artifact) and not (inside(self.folder, event.path) and inside(self.folder, event.into or ".")):
                self.remarks.add(f"{event.path[:LONGEST_NAME]} is not sent: it lies outside of the folder, or would there")
            else:
                _act(client, run_id, self.folder, event)

    def _mark(self) -> Sent:
        """What is marked as sent to our store."""
        stored = _stored(self.folder)
        return stored if stored.uri == self.store.shown else Sent(uri=self.store.shown)

    def _save(self, **changes: Any) -> None:
        self.sent = replace(self.sent, **changes)
        if not self._held:
            self.write()

    def write(self) -> None:
        """Notes in the folder what MLflow has; one that a power cut takes is found again by the run's uid."""
        replace_text(self.folder / SENT, json.dumps(asdict(self.sent), indent=1) + "\n", durable=False)


def advance_together(deliveries: Sequence[Delivery], clients: Clients) -> bool:
    """`advance` for runs of one store, in one transaction where that can be -> whether it is done; if not, nothing is.

    The caller is in charge of the folders.
    """
    client, _ = clients.get(deliveries[0].store)
    before = [(item, item.sent, set(item._told), item._first) for item in deliveries]
    try:
        with client.together():
            for item in deliveries:
                item._held = True
                item.advance()
    except Exception:  # whatever a store can raise: each is then tried alone, and tells why it does not go on
        for item, sent, told, first in before:
            item.sent, item._told, item._first, item._created = sent, told, first and bool(sent.run_id), {}
            item._found = False
        return False
    finally:
        for item in deliveries:
            item._held = False
    for item in deliveries:
        item.write()
    return True


def _wants_figures(events: Sequence[Event]) -> bool:
    """Those of a trial of a sweep are drawn for the best one, or when they are asked for."""
    told: dict[str, Any] = {}
    for event in events:
        told |= event.tags if isinstance(event, Start) else event.values if isinstance(event, Tags) else {}
    return TRIAL not in told or FIGURES in told


def inside(folder: Path, path: str) -> bool:
    """Whether `path` means something in the run folder, wherever links lead: a journal may come from anybody, and what it names is sent."""
    try:
        if any(len(part.encode()) > LONGEST_NAME for part in Path(path).parts):
            return False
        return not Path(path).is_absolute() and (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero in it, a circle of links
        return False


def _points(events: Sequence[Event]) -> set[tuple[str, int]]:
    return {(name, event.step) for event in events if isinstance(event, Metric | Machine) for name in event.values}


def _tags(tags: dict[str, Any]) -> dict[str, str]:
    return {page.named(name): value[:LONGEST_TAG] for name, value in page.tags(tags).items()}


def _standing(event: Event) -> dict[str, str]:
    """The tags that say where a run stands after an event."""
    match event:
        case Start() | Resume():
            return {STANDING: "running"}
        case End():
            return {STANDING: event.status.lower(), **({"pipeline.message": event.message} if event.message else {})}
    return {}


def _act(client: Client, run_id: str, folder: Path, event: Event) -> None:
    """What an event asks for beside its metrics, parameters and tags, which went with the batch."""
    match event:
        case Resume():
            client.set_status(run_id, "RUNNING")
        case Artifact() if (folder / event.path).is_file():  # one that its run replaced or removed since is no reason to hold up the rest
            client.artifact(run_id, folder / event.path, event.into)
        case End():
            client.set_status(run_id, event.status, end=event.time)
