"""All checks of one network, in the order in which one mends what they find."""

from __future__ import annotations

from pipeline.checks.dry_run import check_dry_run
from pipeline.checks.finding import Finding
from pipeline.checks.gradients import check_gradients
from pipeline.checks.material import Material, material
from pipeline.checks.penalty import check_penalty
from pipeline.checks.start_loss import check_start_loss
from pipeline.checks.tiny_batch import check_tiny_batch
from pipeline.config.experiment import Experiment
from pipeline.config.task_settings import Check


def check(config: Experiment, given: Material | None = None) -> tuple[Finding, ...]:
    """What the checks find of the network that `config` describes; loads its data unless they are `given`.

    Trains no run and writes nothing.  Raises ConfigError, DataError and BackendError, as a training would.
    """
    rows = given or material(config)
    config = config if given else rows.config
    settings = config.check or Check()
    return (
        check_dry_run(config, rows),
        check_start_loss(config, rows),
        check_penalty(config, rows),
        *check_gradients(config, rows, elements=settings.elements),
        check_tiny_batch(config, rows, rows=settings.rows, steps=settings.steps),
    )
