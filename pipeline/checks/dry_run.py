"""One training step and one evaluation: everything compiles, has the promised shapes and stays finite."""

from __future__ import annotations

import numpy as np

from pipeline.checks.finding import Finding
from pipeline.checks.material import Material
from pipeline.config.experiment import Experiment
from pipeline.errors import DivergedError
from pipeline.recipe.course import Course
from pipeline.training.budget import end


def check_dry_run(config: Experiment, material: Material) -> Finding:
    """With the configured batch size, precision, backend and optimizer, on the first batch of the training."""
    program = material.program(config)
    program.follow(_course(config, material))
    order = material.order(1, program.batch_size)
    columns = material.shape.classes or material.shape.targets
    expected = f"finite loss, state and prediction [{order.shape[1]}, {columns}]"
    try:
        loss = float(program.run(material.x, material.y, order, material.weight)[0])
    except DivergedError as error:
        return Finding(check="dry run", passed=False, measured="a loss that is not finite", expected=expected, advice=str(error))
    broken = [name for name, value in program.state().items() if not np.isfinite(value).all()]
    prediction = program.predict(material.x[order[0]])
    if not np.isfinite(prediction).all():
        broken.append("the prediction")
    right = prediction.shape == (order.shape[1], columns)
    finite = f"not finite: {', '.join(broken)}" if broken else "finite"
    return Finding(
        check="dry run",
        passed=not broken and right,
        measured=f"loss {loss:.4g}, prediction {list(prediction.shape)}, {finite}",
        expected=expected,
        advice=f"lower optimizer.learning_rate = {program.learning_rate(0):g}" if broken else "the last layer does not fit the data",
    )


def _course(config: Experiment, material: Material) -> Course:
    per_epoch = len(material.x) // min(config.training.rows, len(material.x))
    return Course(total_steps=end(config.training, config.budget, per_epoch).steps or 0, steps_per_epoch=per_epoch)
