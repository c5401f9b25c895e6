"""The command that runs one trial of a sweep again, by itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pipeline.config.overrides import asks_for_several
from pipeline.config.sweep_settings import SWEEP
from pipeline.sweeps.jobs import Trial


def command_of(trial: Trial, flags: Sequence[str]) -> str:
    """`python -m pipeline ...` with the values of the trial; `flags` are those of the sweep."""
    asked = [text for text in trial.context.overrides if not text.startswith(f"{SWEEP}.")]
    if asks_for_several(asked):
        asked.append("hydra.mode=RUN")
    kept = [flag for flag in flags if flag not in ("-m", "--multirun")]
    return shlex.join(["python", "-m", "pipeline", *kept, *asked])
