"""What a sweep as a whole is told: `sweep.stack=false`.  No part of the config of its runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.records import read, record, setting

SWEEP = "sweep"
ON_ERROR = re.compile(r"continue|stop|retry\(([1-9]\d{0,3})\)")


@record
class SweepSettings:
    """How the trials of a sweep are run.

    stack     trials of one structure train together, as one program
    on_error  what follows a trial that failed: continue, the others go on; stop, those that train are saved and the sweep ends;
              retry(n), it is tried again, at most n times, unless its values, its data or its numbers are at fault
    dry_run   every trial is named, how they stack and what memory they take; nothing is run
    engine    where trials are trained: local, in this process; processes, in several of this machine; ray, on a
              Ray cluster; slurm, as jobs of SLURM
    workers   how many stacks are trained at once where not in this process; null: as many as there are cores, of SLURM as it has room for
    address   of the Ray cluster (auto: the one that this machine is in; null: one of this machine alone); local tries slurm without SLURM
    options   what Ray's tasks (num_cpus, memory, ...) or submitit's jobs (slurm_partition, timeout_min, ...) are given beside the plan's
    shared    whether Ray's nodes see the folder of the project; null: each looks
    metric    what trials are judged by; several: the first ranks them, and the Pareto front is told; null: the validation accuracy,
              RMSE or loss, the first there is
    direction whether less or more of it is better; auto: more of accuracies, r2, f1 and the like, else less
    value     last: of the epoch whose weights are kept; best: the best of all epochs
    """

    stack: bool = setting(True)
    on_error: str = setting("continue")
    dry_run: bool = setting(False)
    engine: Literal["local", "processes", "ray", "slurm"] = setting("local")
    workers: int | None = setting(None, least=1)
    address: str | None = setting(None)
    options: Mapping[str, Any] = setting({})
    shared: bool | None = setting(None)
    metric: str | tuple[str, ...] | None = setting(None)
    direction: Literal["auto", "minimize", "maximize"] | tuple[Literal["auto", "minimize", "maximize"], ...] = setting("auto")
    value: Literal["last", "best"] = setting("last")

    @property
    def retries(self) -> int:
        """How often a trial that failed is tried again."""
        found = ON_ERROR.fullmatch(self.on_error)
        return int(found[1] or 0) if found else 0


def taken_out(config: dict[str, Any]) -> tuple[dict[str, Any], SweepSettings]:
    """A config without what it says of its sweep, and that.  Raises ConfigError."""
    given = config.get(SWEEP)
    rest = {name: value for name, value in config.items() if name != SWEEP}
    settings = read(SweepSettings, given, at=SWEEP) if isinstance(given, Mapping) else SweepSettings()
    if not ON_ERROR.fullmatch(settings.on_error):
        hint = "use continue, stop, or retry(2) with the number of tries you want"
        raise ConfigError(at=f"{SWEEP}.on_error", got=settings.on_error, rule="unknown choice", hint=hint)
    return rest, settings
