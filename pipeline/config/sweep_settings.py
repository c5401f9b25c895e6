"""What a sweep as a whole is told: `sweep.stack=false`.  No part of the config of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.records import read, record, setting

SWEEP = "sweep"


@record
class SweepSettings:
    """How the trials of a sweep are run.

    stack     trials of one structure train together, as one program
    on_error  what follows a trial that failed: the others go on, or the sweep stops
    dry_run   every trial is named, how they stack and what memory they take; nothing is run
    """

    stack: bool = setting(True)
    on_error: Literal["continue", "stop"] = setting("continue")
    dry_run: bool = setting(False)


def taken_out(config: dict[str, Any]) -> tuple[dict[str, Any], SweepSettings]:
    """A config without what it says of its sweep, and that.  Raises ConfigError."""
    given = config.get(SWEEP)
    rest = {name: value for name, value in config.items() if name != SWEEP}
    return rest, read(SweepSettings, given, at=SWEEP) if isinstance(given, Mapping) else SweepSettings()
