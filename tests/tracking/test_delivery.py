"""What the journal has, MLflow has: all of it, once, also after faults on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RunError, TrackingError
from pipeline.tracking import sender
from pipeline.tracking.database import Database
from pipeline.tracking.delivery import Clients, Delivery, read_sent
from pipeline.tracking.folder import SENT, read_info, write_info
from pipeline.tracking.process import Process, this_process
from pipeline.tracking.repair import LOST, left_behind
from pipeline.tracking.sender import repair, sync
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker, resume

Begin = Callable[..., Tracker]
DEAD = Process(host=this_process().host, pid=2**22 + 1, started=0)  # above the greatest process id of Linux


def trained(begin: Begin, **options: Any) -> Tracker:
    tracker = begin(**options)
    for epoch in range(3):
        tracker.metrics(epoch, {"loss/train": 1 / (epoch + 1), "loss/validation": 1.5 / (epoch + 1), "time/epoch_s": 0.1})
    tracker.tags({"pipeline.digest": "d1"})
    tracker.confusion(["a", "b"], [[3, 1], [0, 4]])
    return tracker


def points(client: Any, run_id: str) -> dict[str, list[tuple[int, float, int]]]:
    names = client.get_run(run_id).data.metrics
    return {name: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, name)] for name in names}


def files(client: Any, run_id: str, folder: str = "") -> list[str]:
    return sorted(item.path for item in client.list_artifacts(run_id, folder))


def tags_of_machine(tags: dict[str, str]) -> set[str]:
    return {name for name in tags if name.rpartition(".")[2] in ("environment", "python", "numpy", "host", "pid", "platform", "version")}


def test_a_run_arrives_whole(begin: Begin, store: Store) -> None:
    tracker = trained(begin, seed=3, sweep="s", job=4, tags={"x": "y"})
    tracker.text("explain.txt", "two layers")
    tracker.finish("FINISHED", wait=0)
    sent = sync(tracker.folder).sent
    client, experiment_id = connect(store)
    run = client.get_run(sent.run_id)
    assert (run.info.status, run.info.run_name, run.info.experiment_id) == ("FINISHED", "bn", experiment_id)
    assert tags_of_machine(run.data.tags) == {"pipeline.environment"}
    assert run.data.params["architecture.layers.1.units"] == "4" and "tracking.kind" not in run.data.params
    tags = run.data.tags
    assert {name: tags[f"pipeline.{name}"] for name in ("sweep", "job", "digest", "kind", "state", "folder")} == {
        "sweep": "s",
        "job": "4",
        "digest": "d1",
        "kind": "run",
        "state": "finished",
        "folder": str(tracker.folder),
    }
    assert [point[:2] for point in points(client, sent.run_id)["loss/train"]] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert files(client, sent.run_id) == ["config.yaml", "explain.txt", "figures"]
    assert files(client, sent.run_id, "figures") == ["figures/confusion_test.png", "figures/learning_curves.png"]
    assert sent.complete and read_sent(tracker.folder) == sent


def test_sending_all_again_changes_nothing(begin: Begin, store: Store) -> None:
    tracker = trained(begin)
    tracker.finish("FINISHED", wait=0)
    first = sync(tracker.folder).sent
    client, experiment_id = connect(store)
    before = points(client, first.run_id)
    (tracker.folder / SENT).unlink()
    assert sync(tracker.folder).sent == first
    assert points(client, first.run_id) == before
    assert len(client.search_runs([experiment_id])) == 1


def test_no_point_is_lost_when_mlflow_fails_within_a_batch(begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = trained(begin)
    delivery = Delivery(tracker.folder, Clients())
    assert delivery.take()
    log = Database.log

    def fails_after(self: Any, *arguments: Any, **options: Any) -> None:
        log(self, *arguments, **options)
        raise ConnectionError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "log", fails_after)
        with pytest.raises(ConnectionError):
            delivery.advance()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "log", lambda *arguments, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delivery.advance()
    delivery.advance()
    client, _ = connect(store)
    assert {name: len(found) for name, found in points(client, delivery.sent.run_id).items()} == {
        "loss/train": 3,
        "loss/validation": 3,
        "time/epoch_s": 3,
    }
    delivery.release()


def test_two_senders_are_never_in_charge_of_one_run(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = trained(begin)
    first, second = Delivery(tracker.folder, Clients()), Delivery(tracker.folder, Clients())
    assert first.take() and first.take() and not second.take()
    monkeypatch.setattr(sender, "DRAWING", 0.1)
    with pytest.raises(TrackingError) as caught:
        sync(tracker.folder)
    assert str(caught.value) == f"run = {tracker.folder}: another process is sending it just now; try again when it is done"
    first.release()
    assert second.take()
    second.release()


def test_a_resumed_run_is_the_same_run_and_repeats_no_step(begin: Begin, store: Store, project: Path) -> None:
    tracker = trained(begin)
    tracker.finish("KILLED", "stopped by Ctrl-C", wait=0)
    run_id = sync(tracker.folder).sent.run_id
    client, _ = connect(store)
    assert client.get_run(run_id).info.status == "KILLED"
    again = resume(tracker.folder, step=1, project=project, sender=tracker._sender)
    sync(tracker.folder)
    assert client.get_run(run_id).info.status == "RUNNING"
    for epoch in (2, 3):
        again.metrics(epoch, {"loss/train": 1 / (epoch + 1), "time/epoch_s": 0.2})
    again.finish("FINISHED", wait=0)
    assert sync(tracker.folder).sent.run_id == run_id
    assert client.get_run(run_id).info.status == "FINISHED"
    found = points(client, run_id)
    assert [point[:2] for point in found["loss/train"]] == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25)]
    assert [point[0] for point in found["time/epoch_s"]] == [0, 1, 2, 3]


def test_a_run_that_still_goes_on_is_not_resumed(begin: Begin, project: Path) -> None:
    tracker = begin()
    write_info(tracker.folder, read_info(tracker.folder).__class__(**{**vars(read_info(tracker.folder)), "process": _parent()}))
    with pytest.raises(RunError) as caught:
        resume(tracker.folder, step=1, project=project)
    assert str(caught.value) == f"resume = {tracker.folder}: the run still goes on as process {_parent().pid}; stop that one first"


def _parent() -> Process:
    import os

    from pipeline.tracking.process import _started

    return Process(host=this_process().host, pid=os.getppid(), started=_started(os.getppid()))


def test_a_dead_run_is_marked_killed_and_a_living_or_foreign_one_is_left(begin: Begin, store: Store, project: Path) -> None:
    dead, living, foreign = trained(begin), trained(begin), trained(begin)
    info = vars(read_info(dead.folder))
    write_info(dead.folder, read_info(dead.folder).__class__(**{**info, "process": DEAD}))
    write_info(
        foreign.folder,
        read_info(foreign.folder).__class__(
            **{**vars(read_info(foreign.folder)), "process": Process(host="elsewhere", pid=DEAD.pid, started=0)}
        ),
    )
    dead.lock.release()
    assert list(left_behind(project / "runs", store)) == [dead.folder]
    repair(dead.folder, store, Clients())
    sent = read_sent(dead.folder)
    client, _ = connect(store)
    run = client.get_run(sent.run_id)
    assert (run.info.status, run.data.tags["pipeline.message"]) == ("KILLED", LOST)
    assert sent.complete and list(left_behind(project / "runs", store)) == []
    assert not (living.folder / SENT).exists() and not (foreign.folder / SENT).exists()


def test_a_failed_run_tells_its_message(begin: Begin, store: Store) -> None:
    with pytest.raises(ZeroDivisionError), trained(begin) as tracker:
        raise ZeroDivisionError("by zero")
    run_id = sync(tracker.folder).sent.run_id
    run = connect(store)[0].get_run(run_id)
    assert (run.info.status, run.data.tags["pipeline.message"]) == ("FAILED", "ZeroDivisionError: by zero")


def test_ctrl_c_is_killed(begin: Begin, store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), trained(begin) as tracker:
        raise KeyboardInterrupt
    assert connect(store)[0].get_run(sync(tracker.folder).sent.run_id).info.status == "KILLED"


def test_non_finite_metrics_and_long_values_do_not_stop_a_run(begin: Begin, store: Store) -> None:
    tracker = begin({"note": "x" * 7000, "seed": 0})
    tracker.metrics(0, {"loss/train": math.nan, "loss/validation": math.inf})
    tracker.metrics(1, {"loss/train": math.nan, "loss/validation": 1.0})
    tracker.finish("FAILED", "m" * 9000, wait=0)
    sent = sync(tracker.folder).sent
    run = connect(store)[0].get_run(sent.run_id)
    assert sent.complete and math.isnan(run.data.metrics["loss/train"]) and len(run.data.params["note"]) == 6000


def test_a_run_made_without_tracking_is_sent_where_one_says(begin: Begin, store: Store) -> None:
    tracker = trained(begin, settings=Tracking(kind="none"))
    said = tracker.finish("FINISHED")
    assert str(said) == f"tracking=none: the run is kept in {tracker.folder}"
    with pytest.raises(RunError) as caught:
        sync(tracker.folder)
    assert str(caught.value) == (f"run = {tracker.folder}: was made with tracking=none; name the store to send it to with tracking.uri=...")
    sent = sync(tracker.folder, store=store).sent
    assert connect(store)[0].get_run(sent.run_id).info.status == "FINISHED"


def test_a_project_folder_with_unusual_letters(tmp_path: Path, database: Path) -> None:
    import shutil

    from pipeline.tracking.outbox import Sender
    from pipeline.tracking.store import locate
    from pipeline.tracking.tracker import start

    project = tmp_path / "my runs #1 100% ü"
    project.mkdir()
    shutil.copy(database, project / "mlflow.db")
    tracker = start(Tracking(kind="none"), name="bn", config={"seed": 0}, project=project, sender=Sender(project, None))
    tracker.metrics(0, {"loss/train": 1.0})
    tracker.finish("FINISHED")
    found = locate(Tracking(experiment="bn ü"), project)
    assert found is not None
    sent = sync(tracker.folder, store=found).sent
    assert files(connect(found)[0], sent.run_id) == ["config.yaml"]
    assert (project / "mlruns" / "bn-ü" / sent.run_id / "artifacts" / "config.yaml").is_file()
