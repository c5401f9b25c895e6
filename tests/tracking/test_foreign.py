"""A run folder from somebody else: what it names is not sent, whom it names is not asked; and no file of ours holds a password."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipeline import cli
from pipeline.errors import PipelineError
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.figures import draw
from pipeline.tracking.folder import INFO, read_info, write_info
from pipeline.tracking.journal import Artifact, Compare, Confusion, Metric
from pipeline.tracking.outbox import Sender
from pipeline.tracking.process import Process, this_process
from pipeline.tracking.repair import left_behind
from pipeline.tracking.sender import sync
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker, start

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
Begin = Callable[..., Tracker]
GONE = Process(host=this_process().host, pid=2**22 + 1, started=0)


def test_only_files_of_the_folder_are_sent(begin: Begin, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("of this machine")
    tracker = begin()
    (tracker.folder / "link.txt").symlink_to(secret)
    (tracker.folder / "door").symlink_to(tmp_path)
    (tracker.folder / "own.txt").write_text("of the run")
    os.mkfifo(tracker.folder / "pipe")
    for path in (str(secret), "../../secret.txt", "link.txt", "door/secret.txt", "pipe", "figures", "x\0y", "own.txt"):
        tracker.journal.write(Artifact(path=path))
    for into in ("../../../elsewhere", str(tracker.folder / "figures"), "x" * 5000):
        tracker.journal.write(Artifact(path="own.txt", into=into))
    tracker.finish("FINISHED", wait=0)
    client, _ = connect(store)
    delivery = sync(tracker.folder)
    assert sorted(item.path for item in client.list_artifacts(delivery.sent.run_id)) == ["config.yaml", "own.txt"]
    assert "../../secret.txt is not sent: it lies outside of the folder, or would there" in delivery.remarks


def test_figures_are_drawn_in_the_folder(begin: Begin, tmp_path: Path) -> None:
    tracker = begin()
    tracker.journal.write(Confusion(part="../../../out", classes=("a", "b"), counts=((1, 0), (0, 1))))
    assert [path.parent for path in draw(tracker.folder, title="t")] == [tracker.folder / "figures"]
    tracker.journal.write(Confusion(part="a" * 9999, classes=("a", "b"), counts=((1, 0), (0, 1))))
    tracker.journal.write(Compare(quantity="q", curves={"a": {"x": 1.0}}))  # an epoch that is none
    assert sorted(path.stem for path in draw(tracker.folder, title="t")) == [f"confusion_{'a' * 40}", "confusion_out"]
    shutil.rmtree(tracker.folder / "figures")
    (tmp_path / "elsewhere").mkdir()
    (tracker.folder / "figures").symlink_to(tmp_path / "elsewhere")
    assert list(draw(tracker.folder, title="t")) == [] and list((tmp_path / "elsewhere").iterdir()) == []


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """A server, and what it was asked."""
    asked: list[str] = []

    class Listens(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Listens) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_foreign_address_is_asked_only_by_name(
    begin: Begin,
    project: Path,
    store: Store,
    stranger: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mine")
    uri, asked = stranger
    tracker = begin(output="runs/theirs")
    tracker.lock.release()
    write_info(tracker.folder, replace(read_info(tracker.folder), uri=uri, process=GONE))
    assert list(left_behind(project / "runs", store)) == []
    with start(Tracking(experiment="bn"), name="mine", config={"seed": 0}, project=project) as own:
        own.metrics(1, {"loss/train": 0.5})
    assert cli.main(["task=sync"]) == 0
    rule = f"is tracked in {uri}, which is not the store of this project"
    hint = f"give tracking.uri={uri} if that is meant, or the tracking.uri of another, or tracking=none"
    assert f"run = runs/theirs: {rule}; {hint}\n" in capsys.readouterr().out
    assert cli.main(["task=sync", "run=runs/theirs"]) == 2
    assert capsys.readouterr().err == f"error: run = runs/theirs: {rule}; {hint}\n"
    assert asked == []
    assert cli.main(["task=sync", "run=runs/theirs", f"tracking.uri={uri}"]) == 2
    assert any("mine" in text for text in asked)


def test_no_file_holds_a_password(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tracking.tracker.check", lambda store: None)
    monkeypatch.setattr("sys.orig_argv", ["python", "-m", "pipeline", 'tracking.uri=postgresql://me:SE"CR ET@host/db'])
    uri = 'postgresql://me:SE"CR ET@host/db'

    class Nobody(Sender):
        def add(self, folder: Path, store: Store) -> None:
            assert store.uri == uri  # who sends is told

    settings = Tracking(uri=uri)
    config: dict[str, Any] = {"tracking": {"uri": uri}, "data": {"path": "https://SECRET@host/a.csv"}}
    tracker = start(settings, name="bn", config=config, project=project, sender=Nobody(project, None), tags={"pipeline.x": uri})
    tracker.text("note.txt", "kept")
    tracker.finish("FAILED", "cannot reach postgresql://me:SECRET@host/db: refuses", wait=0)
    for path in tracker.folder.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "CR ET" not in text and "SECRET" not in text, path.name
    assert json.loads((tracker.folder / INFO).read_text())["uri"] == "postgresql://me:***@host/db"
    with pytest.raises(PipelineError) as caught:
        sync(tracker.folder)
    rule = "no file keeps the credentials of postgresql://me:***@host/db; give tracking.uri=... with them"
    assert str(caught.value) == f"run = {tracker.folder}: {rule}"


def test_a_project_that_is_moved_keeps_its_runs(begin: Begin, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tracker = begin(output="runs/a")
    tracker.metrics(1, {"loss/train": 0.5})
    tracker.finish("FINISHED", wait=0)
    run_id = sync(tracker.folder).sent.run_id
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(project, moved)
    folder = moved / "runs" / "a"
    info = read_info(folder)
    assert info.uri == f"sqlite:///{moved / 'mlflow.db'}" and info.artifacts == (moved / "mlruns" / "bn").as_uri()
    assert str(project) not in (folder / INFO).read_text()
    assert sync(folder).sent.run_id == run_id and read_sent(folder).complete
    client, _ = connect(Store(uri=str(info.uri), experiment="bn"))
    assert len(client.get_metric_history(run_id, "loss/train")) == 1


def test_names_in_a_journal_do_nothing_to_a_terminal(begin: Begin) -> None:
    tracker = begin()
    tracker.confusion(["\x1b[2J", "=cmd|x"], [[1, 0], [0, 1]])
    tracker.journal.write(Metric(step=1, values={"a": 1.0}))
    assert "\\\\x1b[2J" in tracker.journal.path.read_text() and "\x1b" not in tracker.journal.path.read_text()
