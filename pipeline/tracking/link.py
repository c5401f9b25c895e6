"""Links into MLflow's page.

`workflowType` in the address opens the pages of training runs; without it MLflow 3 opens those for language models.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from urllib.parse import quote

from pipeline.records import record
from pipeline.tracking.asked import bare
from pipeline.tracking.store import Store

PORT = 5000  # MLflow's own choice, said in the command, so that link and page agree whatever MLFLOW_PORT says


@record
class Link:
    """The way to a run, or to the runs of a sweep, in MLflow's page."""

    run_id: str
    experiment_id: str
    url: str
    command: str | None  # what must be running for the url to open; None for a server

    def __str__(self) -> str:
        return self.url if self.command is None else f"{self.url}   (after: {self.command})"


def link_to_run(store: Store, experiment_id: str, run_id: str) -> Link:
    """Opens the page of a run."""
    return _link(store, experiment_id, run_id, f"runs/{run_id}?workflowType=machine_learning")


def link_to_sweep(store: Store, experiment_id: str, run_id: str, sweep: str) -> Link:
    """Opens the table of the sweep's runs; `run_id` is its summary run."""
    wanted = quote(f"tags.`pipeline.sweep` = '{sweep}'", safe="")
    return _link(store, experiment_id, run_id, f"runs?searchFilter={wanted}&workflowType=machine_learning")


def link_to_view(store: Store, experiment_id: str, run_id: str, key: str, *, charts: bool = False) -> Link:
    """Opens a view of runs (`view.py`), as a table or as charts; `run_id` is one of them."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return _link(store, experiment_id, run_id, f"runs?viewStateShareKey={quote(key, safe='')}&workflowType=machine_learning{mode}")


def _link(store: Store, experiment_id: str, run_id: str, rest: str) -> Link:
    if store.uri.startswith("http"):
        # without credentials: a browser asks for its own, and *** are none
        server = bare(store.uri)
        return Link(run_id=run_id, experiment_id=experiment_id, url=f"{server}/#/experiments/{experiment_id}/{rest}", command=None)
    uri = store.shown
    with contextlib.suppress(ValueError, OSError):
        if store.database is not None:
            uri = f"sqlite:///{store.database.relative_to(Path.cwd())}"
    url = f"http://127.0.0.1:{PORT}/#/experiments/{experiment_id}/{rest}"
    return Link(
        run_id=run_id, experiment_id=experiment_id, url=url, command=f"mlflow ui --backend-store-uri {shlex.quote(uri)} --port {PORT}"
    )
