"""task=sync: sends to MLflow what the journals of past runs hold and it does not have yet; with rebuild=true all that they hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import PipelineError, TrackingError
from pipeline.screen.console import console_for, say
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking.delivery import Clients, Delivery, read_sent
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import damage
from pipeline.tracking.outbox import ENVIRONMENT
from pipeline.tracking.sender import sync
from pipeline.tracking.store import Store, locate

LONGEST = 60.0  # seconds that a store may take for one run, its first request included; MLflow alone waits for many minutes

SLOW = 8.0  # of a store that has failed after so long no other run is tried


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> int:
    """Sends the run `experiment.run`, or every run of runs/ that is not whole in MLflow -> how many.  Raises PipelineError.

    `tracking.uri=...` sends to that store instead of the run's own.  What the marks in the folders say is there the store is asked for.
    """
    console = console_for()
    given = any(text.startswith("tracking.uri=") for text in context.overrides)
    store = locate(experiment.tracking, Path.cwd()) if given else None
    folders = [trained.find(experiment.run, experiment)] if experiment.run is not None else _tracked(Path.cwd() / "runs", store)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    clients, sent, failures, silent = Clients(), 0, list[str](), set[str | None]()
    for folder in folders:
        uri = store.uri if store is not None else read_info(folder).uri
        before, start = read_sent(folder), time.monotonic()
        try:
            if uri in silent:
                raise TrackingError("the store does not answer")
            after = _bounded(folder, store, clients, rebuild=experiment.rebuild).sent
        except Exception as error:  # whatever MLflow raises: the other runs go on
            if time.monotonic() - start > SLOW:
                silent.add(uri)
            why = " ".join(str(error).split()) if isinstance(error, PipelineError | TimeoutError) else type(error).__name__
            failures.append(f"{files.shown(folder)}: {why}")
            continue
        if after != before or experiment.rebuild or experiment.run is not None:
            sent += 1
            say(console, f"sent {files.shown(folder)}")
        if lines := damage(folder):
            say(console, lines)
    if failures:
        raise TrackingError(f"{len(failures)} of {len(folders)} runs not sent: {failures[0]}")
    say(console, f"{sent} run{'s' if sent != 1 else ''} sent" if sent else "every run is in MLflow already")
    return sent


def _bounded(folder: Path, store: Store | None, clients: Clients, *, rebuild: bool) -> Delivery:
    """`sync` in a thread that is left behind where the store keeps it waiting: the end of the command ends it.  Raises TimeoutError."""
    results: list[Delivery | Exception] = []

    def work() -> None:
        try:
            results.append(sync(folder, store=store, rebuild=rebuild, clients=clients))
        except Exception as error:  # raised again by the waiting thread
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONGEST)
    if not results:
        raise TimeoutError(f"the store did not take it within {LONGEST:.0f} s")
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _tracked(root: Path, store: Store | None) -> list[Path]:
    """Runs of `root` that have a store; those without one only where one is given."""
    return [folder for folder in run_folders(root) if store is not None or read_info(folder).uri is not None]
