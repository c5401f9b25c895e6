"""task=doctor: what is here that a run depends on, and what another would change; reads, and changes nothing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from backends.facts import Fact, facts, held, version
from backends.folder import cache_folder
from pipeline.config.experiment import Experiment
from pipeline.tasks.context import RunContext
from pipeline.text import leaving

PACKAGES = {
    "numpy": "the start of the weights: the last bit of its log and cos differs between processors",
    "hydra-core": "reads the command line",
    "mlflow": "the form of the store",
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> str:
    """Prints what is here, a line for each -> that text."""
    lines = list(found(experiment))
    width = max(len(what) for what, _, _ in lines)
    text = "\n".join(leaving(f"{what:<{width}}  {here}  [{decides}]") for what, here, decides in lines)
    if experiment.scope is None:
        text += "\nof a training: task=doctor run=FOLDER"
    print(text)
    return text


def found(experiment: Experiment) -> Iterator[Fact]:
    """(what, what is here, what it decides), in the order in which a run meets them."""
    yield "Python", f"{platform.python_version()}, {sys.executable}", "no bits"
    for package, decides in PACKAGES.items():
        yield package, version(package) or "not installed", decides
    yield from facts(experiment.backend.threads)
    yield "cache of tables", held(cache_folder("tables")), "may be removed: it is made anew"
    uri = experiment.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or "mlflow.db of this folder"
    yield "MLflow store", uri, "where runs are shown: tracking.uri=...; tracking=none keeps them in their folders alone"
