"""task=sync: sends to MLflow what the journals of past runs hold and it does not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import PipelineError, TrackingError
from pipeline.screen.console import console_for, say
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.sender import sync
from pipeline.tracking.store import Store, locate


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> int:
    """Sends the run `experiment.run`, or every run of runs/ that is not whole in MLflow -> how many.  Raises PipelineError.

    `tracking.uri=...` sends to that store instead of the run's own.
    """
    console = console_for()
    given = any(text.startswith("tracking.uri=") for text in context.overrides)
    store = locate(experiment.tracking, Path.cwd()) if given else None
    folders = [trained.find(experiment.run, experiment)] if experiment.run is not None else _incomplete(Path.cwd() / "runs", store)
    failures: list[str] = []
    for folder in folders:
        try:
            sync(folder, store=store)
            say(console, f"sent {files.shown(folder)}")
        except Exception as error:  # whatever MLflow raises: the other runs go on
            why = " ".join(str(error).split()) if isinstance(error, PipelineError) else type(error).__name__
            failures.append(f"{files.shown(folder)}: {why}")
    if failures:
        raise TrackingError(f"{len(failures)} of {len(folders)} runs not sent: {failures[0]}")
    say(console, f"{len(folders)} run{'s' if len(folders) != 1 else ''} sent" if folders else "every run is in MLflow already")
    return len(folders)


def _incomplete(root: Path, store: Store | None) -> list[Path]:
    """Runs of `root` that the store does not have whole; runs without a store only when one is given."""
    found = []
    for folder in run_folders(root):
        uri = store.uri if store is not None else read_info(folder).uri
        sent = read_sent(folder)
        if uri is not None and not (sent.complete and sent.uri == uri):
            found.append(folder)
    return found
