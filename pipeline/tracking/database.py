"""An SQLite file of MLflow, written as MLflow itself writes it, without loading MLflow: its import takes a second and 165 MB, and a run of
a sweep 35 ms in its layers, where the rows take one.

This is done only where the tables are those of `REVISION`, the last migration of the MLflow that is pinned; any other database is left to
MLflow's own interface.  `tests/tracking/test_database.py` compares all rows of all tables with those that the interface writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from backends.folder import cache_folder, is_own, is_private
from pipeline.errors import TrackingError
from pipeline.records import record
from pipeline.tracking import models
from pipeline.tracking.journal import Data

REVISION = "dc11669786a5"  # of the tables of MLflow 3.17: alembic_version
CONTEXT = "mlflow.data.context"  # the tag that says what a data set was for
FIRST = "default"  # what the experiment is called that each new database has: ours and MLflow's `Default` would be two
BUSY = 20.0  # seconds that another writer may take
LARGEST = 1.7976931348623157e308  # what MLflow keeps of an infinity


@record
class Point:
    """One value of a metric; time in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


class Database:
    """The runs of one SQLite file.  Each call is a transaction of its own, or a part of the one of `together`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """What is written within it is one transaction: all of it is there, or nothing.  Raises what SQLite raises, TrackingError."""
        if self._open is not None:
            yield self._open
            return
        with contextlib.closing(_connected(self._path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if _revision(connection) != REVISION:
                raise TrackingError(f"tracking.uri = sqlite:///{self._path}: its tables were changed by another MLflow; start again")
            self._open = connection
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                self._open = None  # closing without a commit takes all of it back

    def experiment(self, name: str, artifacts: str) -> str:
        """The id of the experiment, made if missing, its artifacts in the folder of that address.  Raises TrackingError if deleted."""
        with self.together() as rows:
            found = rows.execute("SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", (name,)).fetchone()
            if found is None and name == FIRST:  # a database that MLflow itself has made
                found = rows.execute("SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = 'Default'").fetchone()
            if found is None:
                now = _now()
                made = rows.execute(
                    "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace)"
                    " VALUES (?, ?, 'active', ?, ?, 'default')",
                    (name, artifacts, now, now),
                )
                return str(made.lastrowid)
        if found[1] != "active":
            raise deleted(name)
        return str(found[0])

    def experiment_tags(self, experiment_id: str) -> dict[str, str]:
        """What is noted of an experiment."""
        with self.together() as rows:
            return dict(rows.execute("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (int(experiment_id),)))

    def describe(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Notes something of an experiment."""
        with self.together() as rows:
            rows.executemany(
                "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)"
                " ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value",
                [(name, value, int(experiment_id)) for name, value in tags.items()],
            )

    def find(self, experiment_id: str, uid: str) -> str:
        """The run whose tag pipeline.uid this is, "" where there is none."""
        wanted = (
            "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND experiment_id = ? AND run_uuid IN"
            " (SELECT run_uuid FROM tags WHERE key = 'pipeline.uid' AND value = ?) ORDER BY start_time DESC"
        )
        with self.together() as rows:
            found = rows.execute(wanted, (int(experiment_id), uid)).fetchone()
        return str(found[0]) if found else ""

    def tags(self, run_id: str) -> dict[str, str] | None:
        """Those of a run, None where there is no such run."""
        with self.together() as rows:
            if rows.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is None:
                return None
            return dict(rows.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)))

    def create(self, experiment_id: str, *, uid: str, name: str, time: int, tags: Mapping[str, str]) -> str:
        """A new run -> its id, which is our own where that is free."""
        with self.together() as rows:
            (place,) = rows.execute("SELECT artifact_location FROM experiments WHERE experiment_id = ?", (int(experiment_id),)).fetchone()
            taken = rows.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (uid,)).fetchone() is not None
            run_id = uuid.uuid4().hex if taken else uid
            rows.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,"
                " source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time)"
                " VALUES (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, NULL, '', 'active', ?, ?, NULL)",
                (run_id, name, tags.get("mlflow.user", "unknown"), time, f"{place}/{run_id}/artifacts", int(experiment_id)),
            )
            _set_tags(rows, run_id, {"mlflow.runName": name, **tags})
        return run_id

    def log(self, run_id: str, *, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Metrics, parameters and tags of a run; a point that is there already is left as it is.  Raises TrackingError."""
        with self.together() as rows:
            _check_active(rows, run_id)
            _add_params(rows, run_id, params)
            metrics = [(point.name, *_stored(point.value), point.time, point.step, run_id) for point in points]
            rows.executemany(
                "INSERT OR IGNORE INTO metrics (key, value, is_nan, timestamp, step, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", metrics
            )
            rows.executemany(
                "INSERT INTO latest_metrics (key, value, is_nan, timestamp, step, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan,"
                " timestamp = excluded.timestamp, step = excluded.step"
                " WHERE (excluded.step, excluded.timestamp, excluded.value)"
                " > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
                metrics,
            )
            _set_tags(rows, run_id, tags)

    def data(self, experiment_id: str, run_id: str, data: Data) -> None:
        """Notes what a run was trained on."""
        with self.together() as rows:
            found = rows.execute(
                "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?",
                (int(experiment_id), data.name, data.digest),
            ).fetchone()
            dataset, link = (uuid.uuid4().hex if found is None else str(found[0])), uuid.uuid4().hex
            if found is None:
                rows.execute(
                    "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, dataset_schema,"
                    " dataset_profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (dataset, int(experiment_id), data.name, data.digest, data.kind, data.source, data.schema, data.profile),
                )
            made = rows.execute(
                "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
                " VALUES (?, 'DATASET', ?, 'RUN', ?, 0)",
                (link, dataset, run_id),
            )
            if made.rowcount:
                rows.execute("INSERT INTO input_tags (input_uuid, name, value) VALUES (?, ?, 'training')", (link, CONTEXT))

    def set_status(self, run_id: str, status: str, *, end: int | None = None) -> None:
        """Where a run stands; `end` is when it ended."""
        with self.together() as rows:
            _check_active(rows, run_id)
            rows.execute("UPDATE runs SET status = ?, end_time = coalesce(?, end_time) WHERE run_uuid = ?", (status, end, run_id))

    def artifact(self, run_id: str, path: Path, into: str) -> None:
        """Copies a file to the artifacts of a run.  Raises TrackingError where links lead elsewhere."""
        place = self.artifacts(run_id)
        target = place / into / path.name
        if not target.resolve().is_relative_to(place.resolve()) or place.resolve().parts[-2:] != place.parts[-2:]:
            raise TrackingError(f"tracking.uri = sqlite:///{self._path}: {target} is a link to elsewhere; remove it")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)

    def model(self, experiment_id: str, run_id: str, folder: Path) -> str:
        """Logs the model of a run, once -> its id."""
        with self.together() as rows:
            found = rows.execute(
                "SELECT model_id FROM logged_models WHERE source_run_id = ? AND lifecycle_stage = 'active' AND model_id IN"
                " (SELECT model_id FROM logged_model_tags WHERE tag_key = ? AND tag_value = ?)",
                (run_id, models.TAG, models.identity(folder)),
            ).fetchone()
            if found is not None:
                return str(found[0])
            (place,) = rows.execute("SELECT artifact_location FROM experiments WHERE experiment_id = ?", (int(experiment_id),)).fetchone()
            model_id, now = f"m-{uuid.uuid4().hex}", _now()
            target = f"{place}/models/{model_id}/artifacts"
            local = local_folder(target)
            assert local is not None, "`is_ours` has looked"
            models.copied(folder, local, model_id=model_id, run_id=run_id)
            rows.execute(
                "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
                " last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id, status_message)"
                " VALUES (?, ?, ?, ?, ?, ?, 2, 'active', NULL, ?, NULL)",
                (model_id, int(experiment_id), models.NAME, target, now, now, run_id),
            )
            tags = models.tags_of(folder, dict(rows.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,))))
            rows.executemany(
                "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES (?, ?, ?, ?)",
                [(model_id, int(experiment_id), name, value) for name, value in tags.items()],
            )
            rows.execute(
                "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
                " VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, 0)",
                (uuid.uuid4().hex, run_id, model_id),
            )
        return model_id

    def artifacts(self, run_id: str) -> Path:
        """The folder of the artifacts of a run.  Raises TrackingError where they are not in a folder of this machine."""
        with self.together() as rows:
            found = rows.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
        place = None if found is None else local_folder(str(found[0]))
        if place is None or place.parts[-2:] != (run_id, "artifacts"):  # a database may come from anybody, and files are written there
            raise TrackingError(f"tracking.uri = sqlite:///{self._path}: has no folder for the artifacts of run {run_id}")
        return place


def local_folder(address: str) -> Path | None:
    """The folder that an address of artifacts means on this machine, None for one elsewhere."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


def deleted(experiment: str) -> TrackingError:
    """The sentence for an experiment that was deleted."""
    return TrackingError(
        f"tracking.experiment = {experiment}: was deleted in this store; "
        "bring it back with `mlflow experiments restore`, or give another tracking.experiment"
    )


def is_ours(path: Path, experiment: str) -> bool:
    """Whether the rows of this experiment can be written here: its tables are those that we know, its artifacts lie in a folder."""
    with contextlib.closing(_connected(path)) as connection:
        if _revision(connection) != REVISION:
            return False
        names = (experiment, "Default") if experiment == FIRST else (experiment,)
        found = connection.execute(
            f"SELECT artifact_location FROM experiments WHERE name IN ({', '.join('?' * len(names))}) OR workspace != 'default'", names
        )
        return all(local_folder(str(place)) is not None for (place,) in found)


def create_database(path: Path, *, artifacts: str) -> None:
    """Makes the SQLite file if it is not there; `artifacts` is where those of its first experiment go.

    MLflow's own creation takes seconds, and breaks the file for good when two processes do it at once or one is killed in it: so it is done
    once for each MLflow, in the cache, and copied under a lock; the finished file is renamed.
    """
    if _made(path):
        return
    with _lock(path.with_name(f".{path.name}.lock")):
        if _made(path):
            return
        for left in path.parent.glob(f".{path.name}.*.new"):  # by processes that were killed, as the lock is ours
            left.unlink(missing_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            with _template() as template:
                shutil.copyfile(template, partial)
            with contextlib.closing(_connected(partial)) as connection:
                first = "UPDATE experiments SET name = ?, artifact_location = ?, creation_time = ?, last_update_time = ?"
                connection.execute(f"{first} WHERE experiment_id = 0", (FIRST, artifacts, _now(), _now()))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _template() -> Iterator[Path]:
    """A database with no runs, as the MLflow that is installed makes it, kept in the cache; where others can write that, or nobody can, one
    that is made for this once."""
    root = cache_folder("mlflow")
    path = root / f"{metadata.version('mlflow')}.db"
    try:
        usable = is_private(root)
        if usable and not _sound(path):
            with _lock(root / ".lock"):
                if not _sound(path):
                    _make(path)
    except OSError:
        usable = False
    if usable:
        yield path
        return
    with tempfile.TemporaryDirectory() as place:
        _make(Path(place, "mlflow.db"))
        yield Path(place, "mlflow.db")


def _make(path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.new")
    partial.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow and its database layer warn of each other's future as they load
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415  # seconds that hardly a run needs

        SqlAlchemyStore(f"sqlite:///{partial}", (path.parent / "mlruns").as_uri()).engine.dispose()
    partial.chmod(0o600)
    os.replace(partial, path)


def _sound(path: Path) -> bool:
    """Whether a template is whole: one that a full disk or a foreign hand has damaged is made again."""
    if not _made(path) or not is_own(path.lstat()):
        return False
    try:
        with contextlib.closing(_connected(path)) as connection:
            checked = connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
            return bool(checked) and connection.execute("SELECT COUNT(*) FROM experiments").fetchone()[0] == 1
    except sqlite3.Error:
        return False


def _made(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _connected(path: Path) -> sqlite3.Connection:
    """A connection that never makes a file, and begins transactions when it is told to."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _revision(connection: sqlite3.Connection) -> str:
    try:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.OperationalError, TypeError):
        return ""


def _check_active(rows: sqlite3.Connection, run_id: str) -> None:
    found = rows.execute("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
    if found is None or found[0] != "active":
        raise TrackingError(f"run {run_id}: was deleted in this store; bring it back with `mlflow runs restore --run-id {run_id}`")


def _add_params(rows: sqlite3.Connection, run_id: str, params: Mapping[str, str]) -> None:
    """As MLflow does, a parameter keeps its first value."""
    if not params:
        return
    before = dict(rows.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)))
    for name, value in params.items():
        if before.get(name, value) != value:
            raise TrackingError(f"run {run_id}: parameter {name} is {before[name]} there and {value} here; send it to another store")
    rows.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        [(name, value, run_id) for name, value in params.items() if name not in before],
    )


def _set_tags(rows: sqlite3.Connection, run_id: str, tags: Mapping[str, str]) -> None:
    if "mlflow.runName" in tags:
        rows.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (tags["mlflow.runName"], run_id))
    rows.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
        [(name, value, run_id) for name, value in tags.items()],
    )


def _stored(value: float) -> tuple[float, int]:
    """A value as MLflow keeps it, and whether it is none."""
    if value != value:
        return 0.0, 1
    return max(-LARGEST, min(LARGEST, value)), 0


def _now() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds an advisory lock; the file is removed after it, which is safe because what it guards is looked at again under it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
