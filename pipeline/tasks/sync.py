"""task=sync: sends to MLflow what the journals of past runs hold and it does not have yet; with rebuild=true all that they hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import PipelineError, RunError, TrackingError
from pipeline.screen.console import console_for, say
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking.delivery import Clients, Delivery, read_sent
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import damage
from pipeline.tracking.outbox import ENVIRONMENT
from pipeline.tracking.run import own
from pipeline.tracking.sender import sync
from pipeline.tracking.store import Store, locate

LONGEST = 60.0  # seconds that a store may take for one run, its first request included; MLflow alone waits for many minutes

SLOW = 8.0  # of a store that has failed after so long no other run is tried


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> int:
    """Sends the run `experiment.run`, or every run of runs/ that is not whole in MLflow -> how many.  Raises PipelineError.

    `tracking.uri=...` sends to that store instead of the run's own, which is taken only if it is the project's.
    Whether what the folders mark as sent is there, the store is asked.
    """
    console = console_for()
    runs, others, failures = _runs(experiment, context.overrides)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    clients, sent, silent = Clients(), 0, set[str]()
    asked = len(runs) + len(failures)
    for folder, store in runs:
        before, start = read_sent(folder), time.monotonic()
        try:
            if store.uri in silent:
                raise TrackingError("the store does not answer")
            delivery = _bounded(folder, store, clients, rebuild=experiment.rebuild)
        except Exception as error:  # whatever MLflow raises: the other runs go on
            if time.monotonic() - start > SLOW:
                silent.add(store.uri)
            failures.append(f"{files.shown(folder)}: {_why(error)}")
            continue
        if delivery.sent != before or experiment.rebuild or experiment.run is not None:
            sent += 1
            say(console, f"sent {files.shown(folder)}")
        for text in (*sorted(f"{files.shown(folder)}: {text}" for text in delivery.remarks), damage(folder)):
            if text:
                say(console, text)
    for text in others:
        say(console, text)
    if failures:
        raise TrackingError(f"{len(failures)} of {asked} runs not sent: {failures[0]}")
    nothing = "every run that is tracked here is in MLflow already" if others else "every run is in MLflow already"
    say(console, f"{sent} run{'s' if sent != 1 else ''} sent" if sent else nothing)
    return sent


def _why(error: Exception) -> str:
    """In words; of an error of the store its kind alone, for its text may hold anything."""
    if isinstance(error, PipelineError | TimeoutError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str):
        hint = "restore the file from a copy of the folder" if isinstance(error, FileNotFoundError) else "mend that"
        return f"{files.shown(Path(error.filename))[:300]}: {error.strerror}; {hint}"
    return type(error).__name__


def _bounded(folder: Path, store: Store, clients: Clients, *, rebuild: bool) -> Delivery:
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


def _runs(experiment: Experiment, overrides: Sequence[str]) -> tuple[list[tuple[Path, Store]], list[str], list[str]]:
    """The runs to send, each with its store; what to say of those that are not sent, and of those that cannot be.  Raises PipelineError."""
    project, settings = Path.cwd(), experiment.tracking
    given = any(text.startswith("tracking.uri=") for text in overrides)
    renamed = any(text.startswith("tracking.experiment=") for text in overrides)
    folders = [trained.find(experiment.run, experiment)] if experiment.run is not None else run_folders(project / "runs")
    found: list[tuple[Path, Store]] = []
    others, broken, untracked = list[str](), list[str](), list[Path]()
    for folder in folders:
        try:
            info = read_info(folder)
            store = locate(settings, project) if given else own(info, settings, project, at=_asked(folder))
        except (TrackingError, RunError) as error:
            if experiment.run is not None:
                raise
            (others if isinstance(error, TrackingError) else broken).append(str(error))
            continue
        if store is not None:
            found.append((folder, store if renamed else store.of(info.experiment)))
        elif experiment.run is not None:
            raise RunError(f"{_asked(folder)}: was made with tracking=none; name the store to send it to with tracking.uri=...")
        else:
            untracked.append(folder)
    if untracked:
        runs = (
            f"{files.shown(untracked[0])} and {len(untracked) - 1} more runs are"
            if len(untracked) > 1
            else f"{files.shown(untracked[0])} is"
        )
        others.append(f"{runs} kept with tracking=none and not sent; run=FOLDER tracking.uri=... sends one")
    return found, others, broken


def _asked(folder: Path) -> str:
    return f"run = {files.shown(folder)}"
