"""task=sync: what the journals hold is in MLflow afterwards, or it is said why not, soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from pipeline import cli
from pipeline.tasks import sync as task
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info, write_info
from pipeline.tracking.journal import FILE
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
Begin = Callable[..., Tracker]


@pytest.fixture
def ended(begin: Begin, project: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    monkeypatch.chdir(project)
    for name in task.ENVIRONMENT:  # put back afterwards, whatever the task sets
        monkeypatch.setenv(name, task.ENVIRONMENT[name])
    tracker = begin(output="runs/a")
    for epoch in (1, 2, 3):
        tracker.metrics(epoch, {"loss/train": 1 / epoch})
    tracker.finish("FINISHED", wait=0)
    return tracker


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["task=sync", *words]) == 0
    return capsys.readouterr().out


def test_a_run_is_sent_once_and_again_after_the_store_has_lost_it(
    ended: Tracker, store: Store, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys) == "sent runs/a\n1 run sent\n"
    assert said(capsys) == "every run is in MLflow already\n"
    client, _ = connect(store)
    client.delete_run(read_sent(ended.folder).run_id)
    assert said(capsys) == "every run is in MLflow already\n"  # who deletes a run does not want it back
    assert said(capsys, f"tracking.uri=sqlite:///{project / 'other.db'}") == "sent runs/a\n1 run sent\n"
    other = Store(uri=f"sqlite:///{project / 'other.db'}", experiment="default")
    found = connect(other)[0].get_metric_history(read_sent(ended.folder).run_id, "loss/train")
    assert [point.step for point in found] == [1, 2, 3]


def test_rebuild_writes_everything_again(ended: Tracker, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys)
    client, _ = connect(store)
    run_id = read_sent(ended.folder).run_id
    client.set_tag(run_id, "pipeline.state", "spoiled")
    assert said(capsys, "rebuild=true") == "sent runs/a\n1 run sent\n"
    assert read_sent(ended.folder).run_id == run_id and client.get_run(run_id).data.tags["pipeline.state"] == "finished"
    assert len(client.get_metric_history(run_id, "loss/train")) == 3


def test_a_damaged_line_is_told_and_the_rest_is_sent(ended: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (ended.folder / FILE).read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"0.5", b"0.7")
    (ended.folder / FILE).write_bytes(b"".join(lines))
    assert said(capsys) == "sent runs/a\nruns/a/journal.jsonl: line 4 is not as written, and left out\n1 run sent\n"


@contextmanager
def hanging() -> Iterator[str]:
    """A server that says it is well and answers nothing else."""
    done = Event()

    class Hangs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.send_response(200)
                self.end_headers()
            else:
                done.wait()

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Hangs) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        done.set()
        server.shutdown()


def test_a_server_that_hangs_is_told_soon_and_not_asked_for_each_run(
    begin: Begin, ended: Tracker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "LONGEST", 2.0)
    monkeypatch.setattr(task, "SLOW", 1.0)
    with hanging() as uri:
        for job in range(4):
            begin(output=f"runs/{job}", settings=Tracking(uri=uri, experiment="bn")).finish("FINISHED", wait=0)
        start = time.monotonic()
        assert cli.main(["task=sync", f"tracking.uri={uri}"]) == 2
        assert time.monotonic() - start < 10
    assert "5 of 5 runs not sent: runs/0: the store did not take it within 2 s" in capsys.readouterr().err


def test_what_is_not_tracked_is_not_said_to_be_there(ended: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys)
    write_info(ended.folder, replace(read_info(ended.folder), uri=None))
    told = "runs/a is kept with tracking=none and not sent; run=FOLDER tracking.uri=... sends one"
    assert said(capsys) == f"{told}\nevery run that is tracked here is in MLflow already\n"
