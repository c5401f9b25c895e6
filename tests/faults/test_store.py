"""A store that fails costs a note and a bounded wait; the run is whole in its folder, and can be sent when the store is well."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.tasks import sync as task
from pipeline.tracking import database, sender
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import end_of, read_journal
from tests.end_to_end.conftest import Command, command, environment, pipeline_command, work
from tests.faults.disk import Commands
from tests.faults.server import KINDS, failing

__all__ = ["pipeline_command", "work"]
RUN = ("data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=2", "output=runs/a")


@pytest.mark.parametrize("kind", KINDS)
def test_task_sync_leaves_a_server_that_fails_soon(
    work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(task, "LONGEST", 2.0)
    monkeypatch.setattr(task, "SLOW", 1.0)
    assert pipeline_command(*RUN).returncode == 0
    with failing(kind) as uri:
        start = time.monotonic()
        assert cli.main(["task=sync", f"tracking.uri={uri}", "rebuild=true"]) == 2
        assert time.monotonic() - start < 20
    said = capsys.readouterr().err
    assert "not sent" in said and len(said.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_and_its_sender_leave_a_server_that_fails(work: Path, kind: str) -> None:
    with failing(kind) as uri:
        start = time.monotonic()
        words = command(*RUN, f"tracking.uri={uri}", tracking="mlflow")
        done = subprocess.run(words, cwd=work, env=environment(), capture_output=True, text=True, timeout=120)
        if kind == "hang":  # it is asked before the training, which does not begin
            assert done.returncode == 2 and "the tracking server does not answer within 3 s" in done.stderr
            assert not (work / "runs").exists() and time.monotonic() - start < 30
            return
        assert done.returncode == 0 and "task=sync run=runs/a" in done.stdout and time.monotonic() - start < 60
        pid = read_info(work / "runs" / "a").process.pid
        while _senders(pid) and time.monotonic() - start < 150:
            time.sleep(0.5)
        assert not _senders(pid), "the sender stays"
    end = end_of(read_journal(work / "runs" / "a"))
    assert end is not None and end.status == "FINISHED"


def _senders(pid: int) -> list[str]:
    """The processes that send for the training `pid`."""
    lines = (path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return [str(words) for words in lines if b"pipeline.tracking.sender" in words and str(pid).encode() in words]


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_locked_database_is_waited_for_and_the_run_is_sent_later(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command(*RUN).returncode == 0
    database.create_database(work / "mlflow.db", artifacts=(work / "mlruns").as_uri())
    with closing(sqlite3.connect(work / "mlflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = pipeline_command("task=sync", "rebuild=true", "tracking.uri=sqlite:///mlflow.db")
        assert done.returncode == 2 and "another program has kept the database locked for 3 s" in done.stderr
        freed = threading.Timer(1.0, lambda: other.execute("ROLLBACK"))
        freed.start()
        done = pipeline_command("task=sync", "rebuild=true", "tracking.uri=sqlite:///mlflow.db")
        freed.join()
    assert done.returncode == 0, done.stderr
    assert read_sent(work / "runs" / "a").ended


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_creation_that_failed_once_is_tried_again(work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline_command(*RUN).returncode == 0
    real, left = shutil.copyfile, [OSError(28, "No space left on device")]

    def copied(*arguments: Path, **named: bool) -> object:
        if left:
            raise left.pop()
        return real(*arguments, **named)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(shutil, "copyfile", copied)
    tried = sender.Round(sender.Delivery(work / "runs" / "a", sender.Clients(), store=_store(work)))
    tried.look(orphaned=False)
    assert not tried.done and "No space left on device" in read_sent(work / "runs" / "a").note
    time.sleep(2 * sender.TICK + 0.05)
    tried.look(orphaned=False)
    assert read_sent(work / "runs" / "a").ended and read_sent(work / "runs" / "a").note == ""
    tried.delivery.release()


def _store(work: Path) -> sender.Store:
    from pipeline.tracking.settings import Tracking
    from pipeline.tracking.store import locate

    store = locate(Tracking(), work)
    assert store is not None
    return store


def test_a_clock_that_jumps_back_changes_no_run(work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    real, jumps = time.time_ns, [0]

    def jumping() -> int:
        jumps[0] += 1
        return real() - jumps[0] * 3_600_000_000_000

    monkeypatch.setattr(time, "time_ns", jumping)
    monkeypatch.setattr(time, "time", lambda: jumping() / 1e9)
    assert pipeline_command(*RUN, "budget.seconds=1000").returncode == 0
    assert pipeline_command("resume=runs/a", "training.epochs=3").returncode == 0
    end = end_of(read_journal(work / "runs" / "a"))
    assert end is not None and end.status == "FINISHED" and jumps[0] > 4


def test_of_two_processes_in_one_folder_one_is_refused(work: Path) -> None:
    commands = [Commands(), Commands()]
    done: list[dict[str, object]] = []
    words = (*RUN, "tracking=none", "training.epochs=500")
    threads = [threading.Thread(target=lambda one=one: done.append(one(work, *words))) for one in commands]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in commands:
        one.close()
    assert sorted(str(one["code"]) for one in done) == ["0", "2"], done
    refused = next(one for one in done if one["code"] == 2)
    assert "exists already" in str(refused["said"]) or "still goes on" in str(refused["said"])
