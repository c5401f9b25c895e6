"""What is known of the jobs of a sweep: what each is asked to do, and what came of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.config.overrides import shown, values_of
from pipeline.config.sweep_settings import SweepSettings
from pipeline.records import record
from pipeline.sweeps.journal import SweepJournal, called
from pipeline.tasks.context import RunContext, Senders

WORD = re.compile(r"""^(["'])([^"'\\\s]+)\1$""")


def going_on(folder: Path) -> str:
    """`resume=FOLDER` as it is typed."""
    return shlex.quote(f"resume={files.shown(folder)}")


@record
class Job:
    """One job: its number, from 0, and its overrides as Hydra reads them."""

    number: int
    texts: tuple[str, ...]

    @property
    def asked(self) -> tuple[str, ...]:
        """Its overrides as a person writes them."""
        return shown(self.texts)

    @property
    def columns(self) -> Mapping[str, str]:
        """Path -> value, as the columns of a table have it: words without the quotes that they need on the command line."""
        pairs = [text.partition("=")[::2] for text in self.asked]
        return {path: WORD.sub(r"\2", value) for path, value in pairs}

    @property
    def values(self) -> Mapping[str, str]:
        """Path -> value."""
        return values_of(self.texts)


@record
class JobResult:
    """One job that is over: `value` is what its task returned, of a training its metrics alone; `error` why there is none.

    trial   what its values are known by; empty where they were refused
    found   whether it was over before: nothing was run now
    rung    the epoch at which it waits to be told whether it goes on; `value` is that of this epoch
    """

    context: RunContext
    experiment: Experiment | None
    trial: str = ""
    value: object = None
    error: BaseException | None = None
    seconds: float = 0.0
    found: bool = False
    rung: int | None = None


@record
class Trial:
    """A job whose values are known: what is to be run, up to the epoch `until` or to its end; `texts`: its overrides as Hydra has them."""

    context: RunContext
    experiment: Experiment
    plain: Mapping[str, Any]
    name: str
    began: float
    until: int | None = None
    texts: tuple[str, ...] = ()


@record
class SweepResult:
    """A sweep when its last job is over, or when it was stopped.

    jobs     those that are over, each trial once
    planned  all that is known of it, of `count` in all, of which `twice` have the values of others
    notes    what is to be said of its best
    """

    id: str
    folder: Path
    jobs: tuple[JobResult, ...]
    planned: tuple[Job, ...]
    count: int
    journal: SweepJournal
    notes: tuple[str, ...] = ()
    settings: SweepSettings = SweepSettings()
    stopped: bool = False
    senders: Senders | None = None
    twice: int = 0

    @property
    def name(self) -> str:
        """What the sweep is called: the last word of its folder."""
        return called(self.folder)

    @property
    def again(self) -> str:
        """The command that goes on with the sweep."""
        return f"python -m pipeline -m {going_on(self.folder)}"
