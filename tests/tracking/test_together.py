"""Runs of a sweep that are sent in one transaction: what comes of it is what comes of each sent alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.tracking.delivery import FIGURES, TRIAL, Clients, Delivery, advance_together, read_sent
from pipeline.tracking.folder import SENT
from pipeline.tracking.journal import Journal, Tags
from pipeline.tracking.sender import sync
from pipeline.tracking.tracker import Tracker

TABLES = ("runs", "metrics", "latest_metrics", "params", "tags")


def runs_of(begin: Callable[..., Tracker], count: int) -> list[Path]:
    folders = []
    for job in range(count):
        tracker = begin(sweep="s", job=job, tags={TRIAL: f"t{job}"})
        for epoch in range(3):
            tracker.metrics(epoch, {"loss/train": 1.0 / (1 + epoch + job), "accuracy/validation": 0.1 * epoch})
        tracker.text("classes.csv", "class\n")
        tracker.finish("FAILED" if job == 1 else "FINISHED", "diverged" if job == 1 else "")
        folders.append(tracker.folder)
    return folders


def counted(project: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(project / "mlflow.db") as database:
        found = {table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchall() for table in TABLES}
        found["metric rows"] = database.execute("SELECT key, value, step FROM metrics ORDER BY key, step, value").fetchall()
        found["states"] = database.execute("SELECT status, name FROM runs ORDER BY status, name").fetchall()
        found["told"] = database.execute(
            "SELECT key, value FROM tags WHERE key IN ('pipeline.state', 'pipeline.message') ORDER BY 1, 2"
        ).fetchall()
    return found


def taken(folders: list[Path], clients: Clients, *, first: bool = True) -> list[Delivery]:
    made = [Delivery(folder, clients, first=first) for folder in folders]
    assert all(item.take() for item in made)
    return made


def test_runs_sent_together_are_those_sent_one_by_one(begin: Callable[..., Tracker], project: Path, tmp_path: Path) -> None:
    folders, clients = runs_of(begin, 4), Clients()
    empty = (project / "mlflow.db").read_bytes()
    for item in taken(folders, clients):
        item.advance()
        item.release()
    alone = counted(project)
    assert alone["runs"] == [(4,)] and alone["states"][0] == ("FAILED", "bn")
    (project / "mlflow.db").write_bytes(empty)
    for folder in folders:
        (folder / SENT).unlink()
    clients = Clients()
    together = taken(folders, clients)
    assert advance_together(together, clients)
    assert counted(project) == alone
    assert all(read_sent(folder).complete and read_sent(folder).run_id for folder in folders)  # no figures are asked for


def test_one_that_cannot_be_sent_takes_nothing_with_it(
    begin: Callable[..., Tracker], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, clients = runs_of(begin, 3), Clients()
    together, real = taken(folders, clients), Delivery._log

    def broken(self: Delivery, *given: object) -> None:
        if self.folder == folders[2]:
            raise OSError("no")
        real(self, *given)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Delivery, "_log", broken)
    assert not advance_together(together, clients)
    assert counted(project)["runs"] == [(0,)] and not any((folder / SENT).exists() for folder in folders)
    for item in together[:2]:
        item.advance()
    assert counted(project)["runs"] == [(2,)]
    monkeypatch.undo()
    together[2].advance()
    assert counted(project)["runs"] == [(3,)]


def test_a_sender_that_is_killed_after_the_transaction_doubles_nothing(
    begin: Callable[..., Tracker], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, clients = runs_of(begin, 3), Clients()
    together = taken(folders, clients)
    monkeypatch.setattr(Delivery, "write", lambda self: None)  # killed before it notes what was sent
    assert advance_together(together, clients)
    before = counted(project)
    monkeypatch.undo()
    for item in together:
        item.release()
    again = taken(folders, clients, first=False)
    assert advance_together(again, clients)
    assert counted(project) == before


def test_the_figures_of_a_trial_are_drawn_when_they_are_asked_for(begin: Callable[..., Tracker], project: Path) -> None:
    first, second, third = runs_of(begin, 3)
    for folder in (first, second, third):
        item = Delivery(folder, Clients())
        assert item.take()
        item.advance()
        item.finish()
        item.release()
        assert read_sent(folder).complete and not (folder / "figures").exists()
    journal = Journal(first)
    journal.write(Tags(values={FIGURES: "the best of s"}))
    journal.close()
    item = Delivery(first, Clients())
    assert item.take()
    item.advance()
    assert item.sent.ended and not item.sent.complete
    item.finish()
    item.release()
    assert read_sent(first).complete and list((first / "figures").iterdir())
    sync(third)
    assert list((third / "figures").iterdir()) and not (second / "figures").exists()
