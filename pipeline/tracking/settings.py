"""The `tracking` group."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Tracking:
    """Where runs are recorded.  kind none keeps the run folder and its journal only."""

    kind: Literal["mlflow", "none"] = setting("mlflow")
    uri: str | None = setting(None)
    experiment: str = setting("default")
