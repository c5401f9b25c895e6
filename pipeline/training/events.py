"""What the training loop tells: frozen records handed to one callable, in the order they happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Before the first step.  epoch counts whole epochs already trained, step the steps done of the next one.

    epochs, total  how many epochs (the last may be a part of one) and steps there will be; None where the clock ends the training
    """

    epochs: int | None
    total: int | None
    steps_per_epoch: int
    epoch: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something the user should read once; of a job of a sweep what comes after its first step, too, where it is `grave`."""

    text: str
    grave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """`step` steps of epoch `epoch` (counted from 1) are done."""

    epoch: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """The metrics of epoch `epoch` (counted from 1), or of its part that a budget allowed; best when the watched metric improved."""

    epoch: int
    values: Mapping[str, float]
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint lies under `path`."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How training ended.  status KILLED: a stop was asked for.  metrics: of the epoch whose weights the program now holds."""

    status: Literal["FINISHED", "KILLED"]
    history: tuple[Mapping[str, float], ...]
    metrics: Mapping[str, float]
    epoch: int
    best_epoch: int
    message: str


Event = Started | Noted | Advanced | EpochEnded | Saved
