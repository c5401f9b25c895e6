"""Tasks that note what they were asked, for tests of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config.experiment import Experiment
from pipeline.errors import DataError, DivergedError, Stopped
from pipeline.sweeps.jobs import SweepResult
from pipeline.tasks import RunContext

calls: list[tuple[Experiment, Mapping[str, Any], RunContext]] = []
sweeps: list[SweepResult] = []


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    calls.append((experiment, config, context))
    return experiment.seed / 10


def diverge_at_seed_1(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    if experiment.seed == 1:
        raise DivergedError("step 7: fc1 holds a NaN; lower the learning rate")
    return run(experiment, config, context)


def break_at_seed_1(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    assert experiment.seed != 1, "a mistake of ours"
    return run(experiment, config, context)


def fail_once_at_seed_1(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    value = run(experiment, config, context)
    if experiment.seed == 1 and [e.seed for e, _, _ in calls].count(1) == 1:
        raise OSError(28, "No space left on device")
    return value


def fail_always(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    run(experiment, config, context)
    raise DataError("my.csv: no column price; did you mean prices?") if experiment.seed == 9 else OSError(5, "Input/output error")


def leave_at_seed_1(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    if experiment.seed == 1:
        raise SystemExit(5)
    return run(experiment, config, context)


def interrupt_at_seed_1(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    if experiment.seed == 1:
        raise KeyboardInterrupt
    return run(experiment, config, context)


def stop(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> float:
    raise Stopped(15, "stopped after step 12; continue with resume=runs/x")


def read_missing_file(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> str:
    with open("no/such/file.csv") as file:
        return file.read()


def data_error(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> None:
    raise DataError("my.csv: no column price; did you mean prices?")


def finished(sweep: SweepResult) -> None:
    sweeps.append(sweep)


def finished_badly(sweep: SweepResult) -> None:
    raise DataError("the summary cannot be written")
