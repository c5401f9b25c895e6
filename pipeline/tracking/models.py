"""A model of a run in MLflow: the folder `model/` of the run, which `tasks/served.py` writes, as a logged model and in the registry.

The folder is in MLflow's own form but for what only a store can say: which model of which run it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline import files
from pipeline.errors import TrackingError
from pipeline.text import hidden

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NAME, FILE = "model", "MLmodel"
RUN = "artifacts/run"  # the run folder within it
RESUMABLE = "resume"  # the artifacts of a run with which its training goes on elsewhere
TAG = "pipeline.model"  # of a logged model: which model of the run it is, so that one sent twice is one


def identity(folder: Path) -> str:
    """Which model the folder holds."""
    return str(_told(folder)["model_uuid"])


def copied(folder: Path, target: Path, *, model_id: str, run_id: str) -> None:
    """Copies the folder, its MLmodel saying which model of which run it is."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
    told = _told(folder) | {"model_id": model_id, "model_uuid": model_id, "run_id": run_id, "artifact_path": str(target)}
    (target / FILE).write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")


def _told(folder: Path) -> dict[str, Any]:
    told = yaml.safe_load(files.content(folder / FILE).decode())
    assert isinstance(told, dict), f"{folder / FILE} holds no mapping"
    return told


def tags_of(folder: Path, run_tags: dict[str, str]) -> dict[str, str]:
    """The tags of the logged model: which it is, and of those of its run the ones that MLflow gives models, too."""
    names = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit")
    return {TAG: identity(folder), **{name: run_tags[name] for name in names if name in run_tags}}


def log(client: MlflowClient, experiment_id: str, run_id: str, folder: Path) -> str:
    """Logs the model by MLflow's interface -> its id; of one that is there already the id alone."""
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415  # only who sends loads MLflow

    wanted = f"source_run_id = '{run_id}' AND tags.`{TAG}` = '{identity(folder)}'"
    for found in client.search_logged_models([experiment_id], filter_string=wanted):
        if str(found.status) in ("READY", "LoggedModelStatus.READY"):
            return str(found.model_id)
    tags = tags_of(folder, dict(client.get_run(run_id).data.tags))
    model_id = str(client.create_logged_model(experiment_id, name=NAME, source_run_id=run_id, tags=tags).model_id)
    with tempfile.TemporaryDirectory() as place:
        copied(folder, Path(place) / NAME, model_id=model_id, run_id=run_id)
        client.log_model_artifacts(model_id, str(Path(place) / NAME))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def register(client: MlflowClient, name: str, run_id: str, model_id: str) -> None:
    """Makes the model a version of the registered model `name`, once."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # only who sends loads MLflow

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if not any(str(found.source) == f"models:/{model_id}" for found in client.search_model_versions(f"name = '{name}'")):
        client.create_model_version(name, f"models:/{model_id}", run_id=run_id, model_id=model_id)


@contextmanager
def fetched(client: MlflowClient, uri: str, run_id: str, *, resumable: bool) -> Iterator[Path | None]:
    """The run folder as the store has it, for as long as it is looked at: within its model, or where its checkpoints are; None: nowhere."""
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415  # only who asks loads MLflow
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as place:
        where: dict[str, Any] = {"dst_path": place, "tracking_uri": uri}
        try:
            found = None
            if resumable:
                if client.list_artifacts(run_id, RESUMABLE):
                    found = download_artifacts(run_id=run_id, artifact_path=RESUMABLE, **where)
            else:
                outputs = client.get_run(run_id).outputs
                if outputs is not None and outputs.model_outputs:
                    location = client.get_logged_model(outputs.model_outputs[-1].model_id).artifact_location
                    found = download_artifacts(artifact_uri=f"{location}/{RUN}", **where)
        except MlflowException as error:
            raise TrackingError(f"run {run_id}: {hidden(uri)} does not give it back ({' '.join(str(error).split())[:200]})") from error
        yield None if found is None else Path(found)
