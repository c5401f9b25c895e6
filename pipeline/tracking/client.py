"""What the sender asks of a store, and who does it: `database.py` for an SQLite file of known tables, MLflow's interface for all else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.tracking import models
from pipeline.tracking.database import CONTEXT, Database, Point, create_database, is_ours
from pipeline.tracking.journal import Data
from pipeline.tracking.store import Store, artifacts_of, connect

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Client(Protocol):
    """The runs of one store."""

    def together(self) -> contextlib.AbstractContextManager[object]:
        """What is written within it is one transaction, where the store knows them."""

    def experiment_tags(self, experiment_id: str) -> Mapping[str, str]:
        """What is noted of an experiment."""

    def describe(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Notes something of an experiment."""

    def find(self, experiment_id: str, uid: str) -> str:
        """The run whose tag pipeline.uid this is, "" where there is none."""

    def tags(self, run_id: str) -> Mapping[str, str] | None:
        """Those of a run, None where there is no such run."""

    def create(self, experiment_id: str, *, uid: str, name: str, time: int, tags: Mapping[str, str]) -> str:
        """A new run -> its id."""

    def log(self, run_id: str, *, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Metrics, parameters and tags of a run; what is there already is left as it is."""

    def data(self, experiment_id: str, run_id: str, data: Data) -> None:
        """Notes what a run was trained on."""

    def set_status(self, run_id: str, status: str, *, end: int | None = None) -> None:
        """Where a run stands; `end` is when it ended."""

    def artifact(self, run_id: str, path: Path, into: str) -> None:
        """Copies a file to the artifacts of a run."""

    def model(self, experiment_id: str, run_id: str, folder: Path) -> str:
        """Logs the model of a run, once -> its id."""


def open_client(store: Store) -> tuple[Client, str]:
    """Who writes the store, and the id of its experiment, both made if missing.  Raises TrackingError, and what a store raises."""
    path = store.database
    if path is not None:
        create_database(path, artifacts=artifacts_of(path, "default"))
        if is_ours(path, store.experiment):
            own = Database(path)
            return own, own.experiment(store.experiment, store.artifacts or artifacts_of(path, store.experiment))
    client, experiment_id = connect(store)
    return Server(client), experiment_id


class Server:
    """The runs of any other store, by MLflow's own interface."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Each call is one of its own."""
        yield

    def experiment_tags(self, experiment_id: str) -> Mapping[str, str]:
        """What is noted of an experiment."""
        return dict(self._client.get_experiment(experiment_id).tags)

    def describe(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Notes something of an experiment."""
        for name, value in tags.items():
            self._client.set_experiment_tag(experiment_id, name, value)

    def find(self, experiment_id: str, uid: str) -> str:
        """The run whose tag pipeline.uid this is, "" where there is none."""
        found = self._client.search_runs([experiment_id], f"tags.`pipeline.uid` = '{uid}'", max_results=1)
        return str(found[0].info.run_id) if found else ""

    def tags(self, run_id: str) -> Mapping[str, str] | None:
        """Those of a run, None where there is no such run."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  # only who sends loads MLflow

        try:
            return dict(self._client.get_run(run_id).data.tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def create(self, experiment_id: str, *, uid: str, name: str, time: int, tags: Mapping[str, str]) -> str:
        """A new run -> its id, which the store chooses."""
        return str(self._client.create_run(experiment_id, start_time=time, run_name=name, tags=dict(tags)).info.run_id)

    def log(self, run_id: str, *, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Metrics, parameters and tags of a run; what is there already is left as it is."""
        from mlflow import entities  # noqa: PLC0415  # only who sends loads MLflow

        batch: dict[str, list[Any]] = {
            "metrics": [entities.Metric(point.name, point.value, point.time, point.step) for point in points],
            "params": [entities.Param(name, value) for name, value in params.items()],
            "tags": [entities.RunTag(name, value) for name, value in tags.items()],
        }
        self._client.log_batch(run_id, **batch)

    def data(self, experiment_id: str, run_id: str, data: Data) -> None:
        """Notes what a run was trained on."""
        from mlflow import entities  # noqa: PLC0415  # only who sends loads MLflow

        made = entities.Dataset(data.name, data.digest, data.kind, data.source, data.schema, data.profile)
        self._client.log_inputs(run_id, [entities.DatasetInput(made, [entities.InputTag(CONTEXT, "training")])])

    def set_status(self, run_id: str, status: str, *, end: int | None = None) -> None:
        """Where a run stands; `end` is when it ended."""
        if end is None:
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status=status, end_time=end)

    def artifact(self, run_id: str, path: Path, into: str) -> None:
        """Copies a file to the artifacts of a run."""
        self._client.log_artifact(run_id, str(path), into or None)

    def model(self, experiment_id: str, run_id: str, folder: Path) -> str:
        """Logs the model of a run, once -> its id."""
        return models.log(self._client, experiment_id, run_id, folder)
