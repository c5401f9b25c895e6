"""One job: a composed config -> its checked experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import tasks
from pipeline.config.compose import job_config
from pipeline.config.experiment import Experiment
from pipeline.config.search import Tried
from pipeline.config.spec import experiment


def described(config: object, tried: Sequence[Tried] = ()) -> tuple[Experiment, dict[str, Any]]:
    """The checked experiment of a composed config, and its plain form.  Raises PipelineError; nothing is written before this."""
    plain = job_config(config, tried)
    result = experiment(plain)
    tasks.selected(result)
    return result, plain
