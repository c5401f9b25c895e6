"""A run that goes on is told to MLflow as one that never stopped; nothing says that it is there before it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RunError
from pipeline.tracking.changed import changed
from pipeline.tracking.delivery import Clients, Delivery, read_sent
from pipeline.tracking.folder import read_info, write_info
from pipeline.tracking.journal import end_of, read_journal, start_of
from pipeline.tracking.page import Page
from pipeline.tracking.process import Process, this_process
from pipeline.tracking.sender import Inbox, Round, run, sync
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker, resume, start

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
Begin = Callable[..., Tracker]
GONE = Process(host=this_process().host, pid=2**22 + 1, started=0)


def steps(store: Store, folder: Path) -> list[int]:
    client, _ = connect(store)
    return sorted(point.step for point in client.get_metric_history(read_sent(folder).run_id, "loss/train"))


def status(store: Store, folder: Path) -> str:
    return str(connect(store)[0].get_run(read_sent(folder).run_id).info.status)


def test_the_second_life_of_a_run_is_waited_for_and_arrives(project: Path, store: Store) -> None:
    tracker = start(Tracking(experiment="bn"), name="bn", config={"seed": 0}, project=project)
    for epoch in range(1, 6):
        tracker.metrics(epoch, {"loss/train": 1 / epoch})
    assert tracker.finish("FINISHED").note == "" and read_sent(tracker.folder).ended
    again = resume(tracker.folder, step=5, project=project)
    assert not read_sent(tracker.folder).ended and not read_sent(tracker.folder).complete  # of the former life
    for epoch in range(6, 11):
        again.metrics(epoch, {"loss/train": 1 / epoch})
    assert again.finish("FINISHED").note == ""
    assert steps(store, tracker.folder) == list(range(1, 11)) and status(store, tracker.folder) == "FINISHED"


def test_a_sender_reads_what_a_dead_training_has_told_it_before_it_leaves(begin: Begin, store: Store) -> None:
    trackers = [begin(output=f"runs/{job}") for job in range(3)]
    for tracker in trackers:
        tracker.metrics(1, {"loss/train": 0.5})
        tracker.lock.release()
    out, into = os.pipe()
    os.write(into, b"".join(json.dumps({"folder": str(tracker.folder), "store": asdict(store)}).encode() + b"\n" for tracker in trackers))
    run(Inbox(out), parent=2**22 + 1)  # the other end stays open, as a child of the dead process may keep it
    os.close(into)
    assert [status(store, tracker.folder) for tracker in trackers] == ["KILLED"] * 3
    assert [steps(store, tracker.folder) for tracker in trackers] == [[1]] * 3


def test_the_sender_of_a_dead_training_does_not_kill_the_record_of_its_second_life(begin: Begin, project: Path, store: Store) -> None:
    tracker = begin()
    tracker.finish("KILLED", wait=0)
    former = Round(Delivery(tracker.folder, Clients()))
    former.look(orphaned=False)
    while former.undrawn:
        former.draw()
    again = resume(tracker.folder, step=0, project=project, sender=tracker._sender)
    former = Round(Delivery(tracker.folder, Clients()))
    former.look(orphaned=True)
    assert former.done and end_of(read_journal(tracker.folder)) is None
    again.metrics(1, {"loss/train": 0.5})
    again.finish("FINISHED", wait=0)
    sync(tracker.folder)
    assert status(store, tracker.folder) == "FINISHED"


def test_a_database_that_was_deleted_or_lost_the_run_gets_it_again(begin: Begin, project: Path, store: Store) -> None:
    tracker = begin()
    for epoch in (1, 2):
        tracker.metrics(epoch, {"loss/train": 0.5})
    tracker.finish("FINISHED", wait=0)
    sync(tracker.folder)
    code = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
        database.execute(f"DELETE FROM {table}")
"""
    subprocess.run([sys.executable, "-c", code, str(store.database)], check=True)
    sent = sync(tracker.folder).sent
    assert sent.complete and steps(store, tracker.folder) == [1, 2]


def test_a_run_is_gone_on_with_by_one_at_a_time_and_the_death_of_one_frees_it(begin: Begin, project: Path) -> None:
    tracker = begin()
    write_info(tracker.folder, replace(read_info(tracker.folder), process=GONE))  # as if its process id told nothing
    with pytest.raises(RunError) as caught:
        resume(tracker.folder, step=1, project=project, sender=tracker._sender)
    who = f"the run still goes on as process {GONE.pid}"
    assert str(caught.value) == f"resume = {tracker.folder}: {who}; stop that one first"
    tracker.finish("KILLED", wait=0)
    code = """
import os, signal, sys
from pathlib import Path
from pipeline.tracking.lock import take
lock = take(Path(sys.argv[1]))
print(lock is not None, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code, str(tracker.folder)], stdout=subprocess.PIPE, env=_environment()) as other:
        assert other.stdout is not None and other.stdout.readline() == b"True\n"
        with pytest.raises(RunError):
            resume(tracker.folder, step=1, project=project, sender=tracker._sender)
        other.kill()
        other.wait()
        resume(tracker.folder, step=1, project=project, sender=tracker._sender).finish("FINISHED", wait=0)


def _environment() -> dict[str, Any]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def test_what_a_run_goes_on_with_is_told_where_it_is_looked_for(project: Path, store: Store) -> None:
    note = "**cnn epochs=40 seed=0**\n\nabout"
    told = Page(name="cnn epochs=40 seed=0", params={"training.epochs": "40"}, note=note)
    tracker = start(Tracking(experiment="bn"), name="cnn", config={"training": {"epochs": 40}}, project=project, page=told)
    tracker.finish("KILLED")
    for epochs in ("20", "30"):
        again = resume(tracker.folder, step=5, project=project)
        now = {"training.epochs": epochs, "budget.seconds": "60.0"}
        events = read_journal(tracker.folder)
        told_now = changed(events, now, paths=now, naming=["training.epochs", "budget.seconds"])
        assert told_now is not None and changed([*events, told_now], now, paths=now) is None
        again.journal.write(told_now)
        assert again.finish("FINISHED").note == ""
        run = connect(store)[0].get_run(read_sent(tracker.folder).run_id)
        said = f"training.epochs = {epochs} (40 when it began); budget.seconds = 60.0 (none when it began)"
        name = f"cnn epochs={epochs} seconds=60.0 seed=0"
        assert run.info.run_name == run.data.tags["mlflow.runName"] == name
        assert run.data.tags["pipeline.changed"] == said and run.data.params["training.epochs"] == "40"
        assert run.data.tags["mlflow.note.content"] == (
            f"**{name}**\n\nabout\n\nIt went on with {said}: the parameters are those that it began with, as MLflow changes none."
        )
    begun = start_of(read_journal(tracker.folder))
    assert begun.params == now and begun.shown == now and begun.name == name
