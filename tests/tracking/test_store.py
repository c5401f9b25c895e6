"""A store that will not take a run says so before the run begins, in one sentence and soon."""

from __future__ import annotations

import base64
import contextlib
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import database
from pipeline.tracking import store as module
from pipeline.tracking.link import link_to_run, link_to_sweep
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, check, connect, locate
from pipeline.tracking.tracker import start
from tests.refusal import refused
from tests.tracking.conftest import CONFIG


def refusal(uri: str | None, project: Path, experiment: str = "bn") -> str:
    with pytest.raises(TrackingError) as caught:
        found = locate(Tracking(uri=uri, experiment=experiment), project)
        assert found is not None
        check(found)
    return str(caught.value)


@contextlib.contextmanager
def server(code: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_the_default_is_a_database_of_the_project_folder_by_its_absolute_path(tmp_path: Path) -> None:
    found = locate(Tracking(experiment="batch norm #1"), tmp_path)
    assert found == Store(
        uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="batch norm #1", artifacts=f"file://{tmp_path}/mlruns/batch-norm-1"
    )
    check(found)
    assert list(tmp_path.iterdir()) == []


def test_kind_none_has_no_store(tmp_path: Path) -> None:
    assert locate(Tracking(kind="none"), tmp_path) is None


def test_a_server_that_refuses_leaves_no_run_folder(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        start(Tracking(uri="http://127.0.0.1:1"), name="bn", config=CONFIG, project=tmp_path)
    assert str(caught.value) == (
        "tracking.uri = http://127.0.0.1:1: the tracking server refuses the connection; "
        "start it, give another tracking.uri, or keep the run folder only with tracking=none"
    )
    assert time.monotonic() - before < 1
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        said = refusal(f"http://127.0.0.1:{listening.getsockname()[1]}", tmp_path)
    assert "the tracking server does not answer within 0 s; start it" in said


def test_a_server_in_trouble_is_refused_and_one_that_answers_anything_else_is_taken(tmp_path: Path) -> None:
    with server(503) as uri:
        assert f"tracking.uri = {uri}: the tracking server answers 503 Service Unavailable; start it" in refusal(uri, tmp_path)
    with server(404) as uri:
        check(Store(uri=uri, experiment="bn"))


def test_a_name_that_no_one_knows_is_told(tmp_path: Path) -> None:
    assert "tracking.uri = http://nowhere.invalid:5000: the tracking server cannot be reached (" in refusal(
        "http://nowhere.invalid:5000", tmp_path
    )


def test_a_path_that_sqlite_does_not_open_is_refused_before_the_run(tmp_path: Path) -> None:
    """Any other works: %, #, &, line ends, quotes, letters of all alphabets."""
    deep = tmp_path / ("d" * 250) / ("d" * 250)
    with pytest.raises(TrackingError, match=r"bytes, and SQLite opens none above 490; give a tracking\.uri elsewhere, or keep"):
        locate(Tracking(), deep)
    with pytest.raises(TrackingError) as caught:
        locate(Tracking(), tmp_path / "a\udcffb")
    assert "a\\udcffb/mlflow.db: the name of a folder is no UTF-8, which SQLite asks for; give" in str(caught.value)
    for name in ("a%20b", "100%", "a#b", "a&b=c;d", "ü ñ 😀", "with 'quotes\"", "new\nline", "${seed}"):
        (tmp_path / name).mkdir()
        store = locate(Tracking(), tmp_path / name)
        assert store is not None and store.database == tmp_path / name / "mlflow.db"
        database.create_database(store.database, artifacts="file:///a")
        check(store)
        assert (tmp_path / name / "mlflow.db").is_file()


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    said = refusal("postgresql+psycopg://ann:secret@127.0.0.1:1/runs", tmp_path)
    assert said.startswith("tracking.uri = postgresql+psycopg://ann:***@127.0.0.1:1/runs: the tracking server refuses the connection; ")


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "ftp://host"])
def test_a_folder_of_files_is_no_store_of_mlflow_3(uri: str, tmp_path: Path) -> None:
    assert refusal(uri, tmp_path) == (
        f"tracking.uri = {uri}: MLflow 3 keeps runs in a database or on a server, nowhere else; "
        "use sqlite:///mlflow.db, http://host:port or postgresql://host/name, or tracking=none"
    )


def test_a_malformed_sqlite_address(tmp_path: Path) -> None:
    assert refusal("sqlite://mlflow.db", tmp_path) == (
        "tracking.uri = sqlite://mlflow.db: is no SQLite address; write sqlite:///mlflow.db, or sqlite:////absolute/path/mlflow.db"
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert refusal("sqlite:///no/mlflow.db", tmp_path) == (
        f"tracking.uri = sqlite:///{tmp_path}/no/mlflow.db: the folder {tmp_path}/no does not exist; make it, or give another tracking.uri"
    )


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("hello")
    assert refusal(None, tmp_path).endswith(
        "/mlflow.db: is a file, but no SQLite database; give another tracking.uri, or move the file away"
    )


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE a (b)")
    assert "is no MLflow database (no such table: experiments); give another tracking.uri" in refusal(None, tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert refusal(None, tmp_path) == (
        f"tracking.uri = sqlite:///{tmp_path}/mlflow.db: the folder {tmp_path} cannot be written (Read-only file system); "
        "mend it, or keep the run folder only with tracking=none"
    )


def test_a_deleted_experiment_is_told_before_the_run(project: Path, store: Store) -> None:
    client, experiment_id = connect(store)
    client.delete_experiment(experiment_id)
    assert refusal(None, project) == (
        "tracking.experiment = bn: was deleted in this store; "
        "bring it back with `mlflow experiments restore`, or give another tracking.experiment"
    )


def test_an_experiment_without_a_name(tmp_path: Path) -> None:
    assert refusal(None, tmp_path, experiment=" ") == "tracking.experiment = '': must have a name; give tracking.experiment=..."


def test_links_open_the_pages_of_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Store(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="bn")
    assert str(link_to_run(found, "1", "ab")) == (
        "http://127.0.0.1:5000/#/experiments/1/runs/ab?workflowType=machine_learning"
        "   (after: mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000)"
    )
    served = Store(uri="https://runs.example.org", experiment="bn")
    assert str(link_to_sweep(served, "7", "ab", "s1")) == (
        "https://runs.example.org/#/experiments/7/runs?searchFilter=tags.%60pipeline.sweep%60%20%3D%20%27s1%27&workflowType=machine_learning"
    )


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that answers /health to everybody, and all else to ann alone."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") in ("Basic " + base64.b64encode(b"ann:a secret@").decode(), "Bearer word")
            self.send_response(200 if known or self.path == "/health" else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_server_is_asked_with_the_credentials_of_the_environment_or_of_the_address(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(
        f"tracking.uri = http://{guarded}: the tracking server does not know us (401); set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or keep the run folder only with tracking=none",
        TrackingError,
    ):
        check(Store(uri=f"http://{guarded}", experiment="bn"))
    check(Store(uri=f"http://ann:a%20secret%40@{guarded}", experiment="bn"))
    assert link_to_run(Store(uri=f"http://ann:a%20secret%40@{guarded}", experiment="bn"), "1", "ab").url.startswith(f"http://{guarded}/#/")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "word")
    check(Store(uri=f"http://{guarded}", experiment="bn"))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a secret@")
    check(Store(uri=f"http://{guarded}", experiment="a name & more"))
