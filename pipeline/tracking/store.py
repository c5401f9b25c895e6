"""The tracking store: where it is, and whether it takes runs.

`locate` and `check` run in the training process, so they ask the store without MLflow: a socket for a server, the file for SQLite.
`connect` runs in the sender, and imports MLflow.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import sqlite3
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pipeline.errors import TrackingError
from pipeline.records import record
from pipeline.text import hidden
from pipeline.tracking.asked import request
from pipeline.tracking.database import FIRST, create_database, deleted, is_ours
from pipeline.tracking.settings import Tracking, address, experiment

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
LONGEST_PATH = 490  # bytes: SQLite's limit is 512, and it puts a journal beside the file
PATIENCE = 3.0  # seconds a server gets to answer before training starts
UNKNOWN = "does not know us (401)"
KEYS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or keep the run folder only with tracking=none"
WAY_OUT = "mend it, or keep the run folder only with tracking=none"


@record
class Store:
    """A tracking store: absolute URI, the experiment's name, and where artifacts go (None: the server decides)."""

    uri: str
    experiment: str
    artifacts: str | None = None

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store."""
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:") else None

    def of(self, experiment: str) -> Store:
        """The place of another experiment in the same store."""
        database = self.database
        return Store(uri=self.uri, experiment=experiment, artifacts=None if database is None else artifacts_of(database, experiment))

    @property
    def shown(self) -> str:
        """The URI without its credentials: what is written and shown."""
        return hidden(self.uri)


def locate(settings: Tracking, project: Path) -> Store | None:
    """The store that the settings name, None for kind none.

    Where neither they nor the environment give an address it is mlflow.db of the project folder, the folder the program was started in.
    Raises TrackingError.
    """
    if settings.kind == "none":
        return None
    uri, name = address(settings) or "sqlite:///mlflow.db", experiment(settings)
    if not name.strip():
        raise TrackingError("tracking.experiment = '': must have a name; give tracking.experiment=...")
    if uri.startswith("sqlite:"):
        path = uri.removeprefix("sqlite:").removeprefix("///")
        if not uri.startswith("sqlite:///") or not path or "?" in path:
            raise _refused(uri, "is no SQLite address", "write sqlite:///mlflow.db, or sqlite:////absolute/path/mlflow.db")
        database = (project / path).absolute()
        if "?" in str(database):
            hint = "give a tracking.uri elsewhere, or keep the run folder only with tracking=none"
            raise _refused(f"sqlite:///{database}", "a ? in a path ends an SQLite address", hint)
        _check_path(database)
        return Store(uri=f"sqlite:///{database}", experiment=name, artifacts=artifacts_of(database, name))
    return Store(uri=uri.rstrip("/"), experiment=name)


def _check_path(database: Path) -> None:
    """Whether SQLite opens a file of this name.  Raises TrackingError."""
    hint = "give a tracking.uri elsewhere, or keep the run folder only with tracking=none"
    try:
        length = len(str(database).encode())
    except UnicodeEncodeError:
        shown = str(database).encode(errors="backslashreplace").decode()
        raise _refused(f"sqlite:///{shown}", "the name of a folder is no UTF-8, which SQLite asks for", hint) from None
    if length > LONGEST_PATH:
        at = f"sqlite:///{str(database)[:60]}...{database.name}"
        raise _refused(at, f"the path has {length} bytes, and SQLite opens none above {LONGEST_PATH}", hint)


def artifacts_of(database: Path, experiment: str) -> str:
    """Where the artifacts of an experiment lie: in a folder beside its SQLite database."""
    slug = re.sub(r"[^\w.-]+", "-", experiment).strip("-.") or "experiment"
    return (database.parent / "mlruns" / slug).as_uri()


def check(store: Store) -> None:
    """Finds in at most three seconds whether the store will take a run.  Raises TrackingError with the reason."""
    if importlib.util.find_spec("mlflow") is None:
        hint = "pip install mlflow, or keep the run folder only with tracking=none"
        raise TrackingError(f"tracking.kind = mlflow: MLflow is not installed; {hint}")
    scheme = store.uri.split(":", 1)[0].split("+")[0]
    if store.database is not None:
        _check_file(store, store.database)
    elif scheme in ("http", "https"):
        _check_server(store)
    elif scheme in DATABASES:
        _check_port(store, DATABASES[scheme])
    elif scheme != "databricks":
        hint = "use sqlite:///mlflow.db, http://host:port or postgresql://host/name, or tracking=none"
        raise _refused(store.shown, "MLflow 3 keeps runs in a database or on a server, nowhere else", hint)


def _check_file(store: Store, database: Path) -> None:
    if not database.parent.is_dir():
        raise _refused(store.shown, f"the folder {database.parent} does not exist", "make it, or give another tracking.uri")
    try:
        # What SQLite does on each write: a journal file beside the database.
        with tempfile.TemporaryFile(dir=database.parent) as file:
            file.write(b"\0" * 65536)
    except OSError as error:
        raise _refused(store.shown, f"the folder {database.parent} cannot be written ({error.strerror})", WAY_OUT) from error
    if not database.exists() or (database.is_file() and database.stat().st_size == 0):
        return
    if not database.is_file() or not os.access(database, os.R_OK | os.W_OK):
        raise _refused(store.shown, "is no file that can be read and written", WAY_OUT)
    with database.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise _refused(store.shown, "is a file, but no SQLite database", "give another tracking.uri, or move the file away")
    _check_tables(store, database)


def _check_tables(store: Store, database: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
            row = connection.execute("SELECT lifecycle_stage FROM experiments WHERE name = ?", (store.experiment,)).fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            hint = "wait until the other is done, give another tracking.uri, or keep the run folder only with tracking=none"
            raise _refused(store.shown, f"another program has kept the database locked for {PATIENCE:.0f} s", hint) from error
        raise _refused(store.shown, f"is no MLflow database ({error})", "give another tracking.uri, or move the file away") from error
    except sqlite3.Error as error:
        raise _refused(store.shown, f"is no MLflow database ({error})", "give another tracking.uri, or move the file away") from error
    if row is not None and row[0] == "deleted":
        raise deleted(store.experiment)


def _check_server(store: Store) -> None:
    import urllib.error  # noqa: PLC0415  # with urllib.request comes TLS: loaded only to ask a server
    import urllib.request  # noqa: PLC0415

    def ask() -> str:
        """Whether it lives, which needs no credentials, then whether it takes ours."""
        try:
            for path in ("/health", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(store.experiment)}"):
                try:
                    urllib.request.urlopen(request(store.uri, path), timeout=PATIENCE).close()
                except urllib.error.HTTPError as error:
                    if error.code >= 500 and path == "/health":
                        return f"answers {error.code} {error.reason}"
                    if error.code == 401:
                        return UNKNOWN
            return ""
        except urllib.error.URLError as error:
            return _reason(error.reason)
        except Exception as error:  # a broken answer of any kind (http.client raises a family of its own) is a refusal
            return _reason(error)

    _answer(store, ask)


def _check_port(store: Store, default_port: int) -> None:
    parts = urlsplit(store.uri)
    if not parts.hostname:
        return  # a socket file or a service name: the driver knows, we do not

    def ask() -> str:
        try:
            socket.create_connection((str(parts.hostname), parts.port or default_port), timeout=PATIENCE).close()
        except (OSError, ValueError) as error:
            return _reason(error)
        return ""

    _answer(store, ask)


def _answer(store: Store, ask: Any) -> None:
    """Asks with a bound on the whole: looking up a host name may take half a minute and knows no timeout."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(PATIENCE + 0.5)
    reason = answers[0] if answers else f"does not answer within {PATIENCE:.0f} s"
    if reason:
        hint = "start it, give another tracking.uri, or keep the run folder only with tracking=none"
        hint = KEYS if reason == UNKNOWN else hint
        raise _refused(store.shown, f"the tracking server {reason}", hint)


def _reason(error: object) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return f"does not answer within {PATIENCE:.0f} s"
    return f"cannot be reached ({getattr(error, 'strerror', None) or error})"


def _refused(uri: str | None, rule: str, hint: str) -> TrackingError:
    return TrackingError(f"tracking.uri = {uri}: {rule}; {hint}")


def connect(store: Store) -> tuple[MlflowClient, str]:
    """A client of the store and the id of the experiment, both made if missing.  Imports MLflow, and raises what it raises."""
    client = _loaded(store.uri)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # loaded by now

    experiment = client.get_experiment_by_name(store.experiment)
    if experiment is None and store.experiment == FIRST:
        experiment = client.get_experiment_by_name("Default")  # MLflow's own: a second one would be beside it
    if experiment is None:
        try:
            return client, client.create_experiment(store.experiment, artifact_location=store.artifacts)
        except MlflowException:
            experiment = client.get_experiment_by_name(store.experiment)  # another process may have been first
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise deleted(store.experiment)
    return client, str(experiment.experiment_id)


def make_ready(uri: str) -> None:
    """Makes an SQLite database that is not there; of other stores, and of one whose tables we do not know, loads MLflow and opens it.

    MLflow keeps what it opened for the next client.
    """
    database = Store(uri=uri, experiment="").database
    if database is not None:
        create_database(database, artifacts=artifacts_of(database, FIRST))
        if is_ours(database, FIRST):
            return
    _loaded(uri)


def _loaded(uri: str) -> MlflowClient:
    """A client of MLflow, which has opened the store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow and its database layer warn of each other's future as they load
        from mlflow.tracking import MlflowClient  # noqa: PLC0415  # only who sends loads MLflow

        database = Store(uri=uri, experiment="").database
        if database is not None:
            create_database(database, artifacts=artifacts_of(database, FIRST))
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.get_experiment_by_name("Default")
        return client
