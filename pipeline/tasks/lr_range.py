"""task=lr_range: learning-rate range test of the configured network; the network is thrown away and no run is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.checks.learning_rate_figure import png, table
from pipeline.checks.learning_rates import RangeTest, range_test
from pipeline.checks.material import material
from pipeline.config.experiment import Experiment
from pipeline.errors import RunError
from pipeline.optimizers import OPTIMIZERS
from pipeline.screen.console import console_for, say
from pipeline.tasks.context import RunContext
from pipeline.tracking.folder import new_run_folder


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> RangeTest:
    """Prints a suggestion and writes lr_range.png and lr_range.csv to a new folder.  Raises PipelineError."""
    if experiment.output is not None and Path(experiment.output).exists():
        raise RunError(f"output = {experiment.output}: exists already and is not overwritten; give another name or remove it")
    rows = material(experiment)
    test = range_test(rows.config, rows)
    optimizer = OPTIMIZERS.kind_of(experiment.optimizer)
    folder = new_run_folder(name="lr_range", path=experiment.output)
    files.write(folder / "lr_range.csv", table(test))
    if len(test.losses):
        files.write(folder / "lr_range.png", png(test, title=f"{rows.name}, {optimizer}"))
    for line in words(test):
        say(console_for(), line)
    say(console_for(), f"written to {files.shown(folder)}")
    return test


def words(test: RangeTest) -> list[str]:
    """What the test showed, line by line."""
    count = len(test.losses)
    to = f", up to a learning rate of {test.rates[-1]:.2g}" if count else ""
    lines = [f"learning-rate range test: {count} step{'' if count == 1 else 's'}{to}; {test.ended}"]
    if test.lowest is None or test.steepest is None or test.tenth is None:
        begun = "the loss did not fall" if count > test.reach else f"the loss was lost before {test.reach + 1} steps"
        return [*lines, f"no suggestion: {begun}; try a lower lr_range.start, more lr_range.steps, or task=check"]
    rate, careful = f"{test.tenth:.2g}", f"{min(test.steepest, test.tenth):.2g}"
    range_ = "" if careful == rate else f", or down to {careful} to be careful"
    return [
        *lines,
        f"lowest smoothed loss  {test.smoothed[test.lowest]:.4g} at {test.rates[test.lowest]:.2g}",
        f"steepest descent      {test.steepest:.2g}",
        f"minimum / 10          {test.tenth:.2g}",
        f"suggestion            optimizer.learning_rate={rate}{range_}",
    ]
