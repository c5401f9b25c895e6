"""What is written without MLflow is, row by row, what MLflow writes: the runs, also resumed and sent twice, and a new database."""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import database as module
from pipeline.tracking.client import Server, open_client
from pipeline.tracking.database import FIRST, Database, create_database, is_ours
from pipeline.tracking.delivery import Clients, Delivery
from pipeline.tracking.folder import SENT
from pipeline.tracking.journal import Data, Machine
from pipeline.tracking.page import Page
from pipeline.tracking.sender import sync
from pipeline.tracking.store import Store, artifacts_of, connect
from pipeline.tracking.tracker import Tracker, resume

Begin = Callable[..., Tracker]
MADE = re.compile(r"\b[0-9a-f]{32}\b")  # ids that are drawn


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, with drawn ids by the order in which they are met, and the times of making experiments as one."""
    with closing(sqlite3.connect(path)) as rows:
        names = [name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        tables = {name: rows.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
        order = [run for (run,) in rows.execute("SELECT run_uuid FROM runs ORDER BY start_time, name")]
    numbers = {run: f"run {index}" for index, run in enumerate(order)}
    tables["tags"] = [row for row in tables["tags"] if row[0] != "pipeline.uid"]  # ours is also the id of the run
    tables["experiments"] = [(*row[:4], "then", "then", *row[6:]) for row in tables["experiments"]]
    return {name: sorted((tuple(plain(cell, numbers) for cell in row) for row in found), key=repr) for name, found in tables.items()}


def plain(cell: Any, numbers: dict[str, str]) -> Any:
    return MADE.sub(lambda found: numbers.get(found.group(), "drawn"), cell) if isinstance(cell, str) else cell


def sent_by(clients: Clients, *folders: Path) -> None:
    for folder in folders:
        delivery = Delivery(folder, clients)
        assert delivery.take()
        delivery.advance()
        delivery.release()


def through_mlflow(store: Store) -> Clients:
    client, experiment_id = connect(store)
    clients = Clients()
    clients._made[store.uri, store.experiment] = (Server(client), experiment_id)
    return clients


def test_rows_are_those_that_mlflow_writes(begin: Begin, project: Path, store: Store) -> None:
    """The same journals, in the same two steps, once through MLflow's interface and once without it."""
    empty = project / "empty.db"
    shutil.copy(project / "mlflow.db", empty)
    told = Page(name="bn seed=3", params={"seed": "3"}, note="**bn**", about="what it shows", data=Data(name="digits", digest="f" * 36))
    first, second = begin(tags={"mlflow.user": "ann", "odd": "x" * 20}, page=told), begin(name="other", page=told)
    first.journal.write(Machine(step=0, values={"system/cpu_utilization_percentage": 41.5}))
    first.metrics(1, {"loss/train": 0.5, "odd": float("nan"), "far": float("inf"), "deep": float("-inf")})
    first.metrics(2, {"loss/train": 0.25, "loss/validation": 3})
    first.metrics(1, {"late": 1.0, "f1/test": 0.5, "accuracy/validation": 0.25})
    first.text("classes.csv", "class\n")
    second.metrics(3, {"loss/train": 1.0})
    second.finish("FAILED", "diverged", wait=0)
    before = {tracker.folder: (tracker.folder / "journal.jsonl").read_bytes() for tracker in (first, second)}
    first.metrics(3, {"loss/train": 0.125})
    first.tags({"odd": "y", "mlflow.runName": "renamed"})
    first.finish("FINISHED", wait=0)
    again = resume(first.folder, step=3, project=project, sender=first._sender)
    again.metrics(3, {"loss/train": 0.125})
    again.metrics(4, {"loss/train": 0.1})
    again.finish("KILLED", "stopped", wait=0)
    after = {folder: (folder / "journal.jsonl").read_bytes() for folder in before}
    found = []
    for way in (through_mlflow, lambda store: Clients()):
        shutil.copy(empty, project / "mlflow.db")
        shutil.rmtree(project / "mlruns", ignore_errors=True)
        clients = way(store)
        for folders in (before, after):
            for folder, lines in folders.items():
                (folder / "journal.jsonl").write_bytes(lines)
            sent_by(clients, *folders)
        for folder in before:  # what is marked as sent is forgotten: all of it comes a second time
            (folder / SENT).unlink()
        sent_by(clients, *before)
        found.append(rows_of(project / "mlflow.db"))
        for folder in before:
            (folder / SENT).unlink()
        assert sorted(path.name for path in (project / "mlruns").rglob("*") if path.is_file()) == ["classes.csv", *2 * ["config.yaml"]]
    by_mlflow, by_us = found
    assert by_us == by_mlflow
    assert len(by_us["runs"]) == 2 and len(by_us["metrics"]) == 13 and by_us["latest_metrics"] and by_us["tags"] and by_us["params"]
    assert len(by_us["datasets"]) == 1 and len(by_us["inputs"]) == len(by_us["input_tags"]) == 2 and by_us["experiment_tags"]


def test_a_new_database_is_that_of_mlflow_with_one_experiment(tmp_path: Path) -> None:
    create_database(tmp_path / "mlflow.db", artifacts=artifacts_of(tmp_path / "mlflow.db", FIRST))
    rows = rows_of(tmp_path / "mlflow.db")
    assert rows["experiments"] == [(0, "default", f"file://{tmp_path}/mlruns/default", "active", "then", "then", "default")]
    client, experiment_id = connect(Store(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="default"))
    assert experiment_id == "0" and [found.name for found in client.search_experiments()] == ["default"]
    assert rows_of(tmp_path / "mlflow.db") == rows


def test_a_damaged_template_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with module._template() as template:
        template.write_bytes(template.read_bytes()[:5000])
    create_database(tmp_path / "mlflow.db", artifacts="file:///a")
    assert is_ours(tmp_path / "mlflow.db", FIRST)


def test_tables_of_another_mlflow_are_left_to_mlflow(project: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_client(store)[0], Database)
    own = Database(project / "mlflow.db")
    monkeypatch.setattr(module, "REVISION", "another")
    assert isinstance(open_client(store)[0], Server)
    with pytest.raises(TrackingError, match="its tables were changed by another MLflow; start again"):
        own.describe("0", {"a": "b"})


def test_artifacts_elsewhere_are_left_to_mlflow(project: Path, store: Store) -> None:
    with closing(sqlite3.connect(project / "mlflow.db")) as rows, rows:
        rows.execute("UPDATE experiments SET artifact_location = 's3://bucket/runs'")
    assert not is_ours(project / "mlflow.db", FIRST)


def test_a_run_that_was_deleted_and_a_parameter_that_changed_are_told(begin: Begin, project: Path, store: Store) -> None:
    tracker = begin()
    tracker.finish("FINISHED", wait=0)
    run_id = sync(tracker.folder).sent.run_id
    own = Database(project / "mlflow.db")
    with pytest.raises(TrackingError, match=f"run {run_id}: parameter seed is 3 there and 4 here; send it to another store"):
        own.log(run_id, points=[], params={"seed": "4"}, tags={})
    connect(store)[0].delete_run(run_id)
    with pytest.raises(TrackingError, match=f"run {run_id}: was deleted in this store; bring it back with `mlflow runs restore"):
        own.log(run_id, points=[], params={}, tags={"a": "b"})


def test_a_disk_that_is_full_keeps_no_part_of_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".mlflow.db.12.new").write_bytes(b"of a killed process")

    def full(source: object, target: object) -> None:
        Path(str(target)).write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        create_database(tmp_path / "mlflow.db", artifacts="file:///a")
    assert list(tmp_path.iterdir()) == []
