"""A model of a run in MLflow: the folder `model/` of the run, which `tasks/served.py` writes, as a logged model and in the registry.

The folder is in MLflow's own form but for what only a store can say: which model of which run it is.
"""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
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
NEEDED = ("mlflow", "caviar-pipeline", "numpy", "pandas", "pyarrow", "scikit-learn", "llvmlite", "safetensors", "pyyaml", "hydra-core")
CODE = '''"""A model of Caviar, as MLflow serves it: the answers are those of task=predict."""

import mlflow
from mlflow.pyfunc import PythonModel

from pipeline.tasks import served


class Served(PythonModel):
    def load_context(self, context):
        self.run = served.load(context.artifacts["run"], EXTENSIONS)

    def predict(self, context, model_input, params=None):
        return served.answer(self.run, model_input)


mlflow.models.set_model(Served())
'''
MOST = 2**22  # bytes of an MLmodel
BESIDE = ("input_example.json", "serving_input_example.json", "artifacts")
TAG = "pipeline.model"  # of a logged model: which model of the run it is, so that one sent twice is one


def flavor(python: str) -> dict[str, Any]:
    """How MLflow loads the model."""
    return {
        "artifacts": {"run": {"path": RUN, "uri": "run"}},
        "code": None,
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": "model.py",
        "python_version": python,
        "streamable": False,
    }


def texts(python: str, pins: Sequence[str], extensions: Sequence[str]) -> dict[str, str]:
    """What of the folder is run or installed where the model is loaded: code and environments, by name of the file."""
    environment = {"python": python, "build_dependencies": ["pip", "setuptools", "wheel"], "dependencies": ["-r requirements.txt"]}
    packages = [f"python={python}", "pip", {"pip": list(pins)}]
    return {
        "model.py": CODE.replace("EXTENSIONS", repr(list(extensions))),
        "requirements.txt": "\n".join(pins) + "\n",
        "python_env.yaml": yaml.safe_dump(environment, sort_keys=False),
        "conda.yaml": yaml.safe_dump({"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages}, sort_keys=False),
    }


def fault(folder: Path) -> str:
    """Why a model is none that we wrote, "" where it is one.

    A run folder may come from anybody, and whoever serves the model runs its code and installs its packages.
    """
    try:
        for path in folder.rglob("*"):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                return f"{files.shown(path)} is a link or no file"
        python = str(_told(folder)["flavors"]["python_function"]["python_version"])
        pins = files.content(folder / "requirements.txt").decode().splitlines()
        words = re.search(r"served\.load\(.*, (\[.*\])\)", files.content(folder / "model.py").decode())
        extensions = ast.literal_eval(words[1]) if words else []
        made = texts(python, pins, extensions)
        others = {path.name for path in folder.iterdir()} - {*made, *BESIDE, FILE}
        if others:
            return f"{files.shown(folder / min(others))} is no file of a model"
        changed = [name for name, text in made.items() if files.content(folder / name).decode() != text]
        if _told(folder)["flavors"] != {"python_function": flavor(python)}:
            changed.append(FILE)
        if changed or not re.fullmatch(r"[\d.]+\w*", python) or not all(re.fullmatch(r"[\w.]+", name) for name in extensions):
            return f"{files.shown(folder / (changed or ['model.py'])[0])} is not as it was written"
        odd = [pin for pin in pins if not (found := re.fullmatch(r"([\w.-]+)==[\w.+!]+", pin)) or not _is_known(found[1])]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, SyntaxError, RecursionError, MemoryError, yaml.YAMLError) as error:
        return f"{files.shown(folder)} cannot be read ({type(error).__name__})"
    return f"{files.shown(folder / 'requirements.txt')} asks for {odd[0]}, which is not installed here" if odd else ""


def _is_known(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return package in NEEDED
    return True


def identity(folder: Path) -> str:
    """Which model the folder holds."""
    return str(_told(folder)["model_uuid"])


def copied(folder: Path, target: Path, *, model_id: str, run_id: str) -> None:
    """Copies the folder, its MLmodel saying which model of which run it is."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
    told = _told(folder) | {"model_id": model_id, "model_uuid": model_id, "run_id": run_id, "artifact_path": str(target)}
    (target / FILE).write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")


def _told(folder: Path) -> dict[str, Any]:
    told = yaml.safe_load(files.content(folder / FILE, most=MOST).decode())
    if not isinstance(told, dict) or not isinstance(told.get("model_uuid"), str):
        raise ValueError(f"{folder / FILE}: is no MLmodel")
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
