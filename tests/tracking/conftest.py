"""A project folder with a tracking database, copied from one that is made once: making one takes MLflow seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking.outbox import Sender
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, locate, make_ready
from pipeline.tracking.tracker import Tracker, start

CONFIG: dict[str, Any] = {
    "task": "train",
    "seed": 3,
    "architecture": {"layers": [{"kind": "dense", "units": 8}, {"kind": "dense", "units": 4}]},
    "preprocessing": {"steps": ["center", "standardize"]},
    "optimizer": {"kind": "adam", "learning_rate": 0.001},
    "tracking": {"kind": "mlflow", "uri": None, "experiment": "bn"},
}


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("store") / "mlflow.db"
    make_ready(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(tmp_path: Path, database: Path) -> Path:
    shutil.copy(database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def store(project: Path) -> Store:
    found = locate(Tracking(experiment="bn"), project)
    assert found is not None
    return found


@pytest.fixture
def begin(project: Path) -> Callable[..., Tracker]:
    """Begins a run whose journal nobody sends: tests send it themselves."""

    class Nobody(Sender):
        def add(self, folder: Path, store: Store) -> None: ...

    def begin(config: Mapping[str, Any] = CONFIG, **options: Any) -> Tracker:
        settings = options.pop("settings", Tracking(experiment="bn"))
        return start(settings, name=options.pop("name", "bn"), config=config, project=project, sender=Nobody(project, None), **options)

    return begin
