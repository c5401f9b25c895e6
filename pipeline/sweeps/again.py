"""The command that runs one trial of a sweep again, by itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pipeline.config.overrides import asks_for_several
from pipeline.config.search import TRIAL
from pipeline.config.sweep_settings import SWEEP
from pipeline.sweeps.jobs import Trial


def command_of(trial: Trial, flags: Sequence[str]) -> str:
    """`python -m pipeline ...` with the values of the trial, those that a search drew among them; `flags` are those of the sweep."""
    asked = [text for text in trial.context.overrides if not text.startswith(f"{SWEEP}.")]
    if trial.searched is not None:
        asked = [text for text in asked if text.partition("=")[0] != TRIAL]
        asked += [f"{path}={_at(trial.plain, path)}" for path in trial.searched[0].space]
    if asks_for_several(asked):
        asked.append("hydra.mode=RUN")
    kept = [flag for flag in flags if flag not in ("-m", "--multirun")]
    return shlex.join(["python", "-m", "pipeline", *kept, *asked])


def _at(plain: object, path: str) -> object:
    """The value at `path` of a plain config."""
    for key in path.split("."):
        plain = plain[int(key)] if isinstance(plain, list) else plain[key]  # type: ignore[index]  # a path of the config that was run
    return plain
