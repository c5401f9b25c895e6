"""One job: a composed config -> its checked experiment."""

from __future__ import annotations

from typing import Any

from pipeline import tasks
from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment


def described(plain: dict[str, Any]) -> tuple[Experiment, dict[str, Any]]:
    """The checked experiment of a plain config, and that config.  Raises PipelineError; nothing is written before this."""
    result = experiment(plain)
    tasks.selected(result)
    return result, plain
