"""A network that cannot learn a few rows by heart will learn nothing from many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.checks.finding import Finding
from pipeline.checks.material import Material
from pipeline.checks.variants import without_regularization
from pipeline.config.experiment import Experiment
from pipeline.errors import DivergedError
from pipeline.graph.values import Array
from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.recipe.schedules import Constant

CHUNK = 25  # steps between two looks
SHARE = 0.1  # of the variance of the targets, or of the loss of their mean, that may be left


def check_tiny_batch(config: Experiment, material: Material, *, rows: int, steps: int) -> Finding:
    """Trains on a few rows, the same at every step, without dropout, regularization and schedule, at most `steps` steps.

    Classes and labels: all are predicted right.  Numbers: the squared error falls below SHARE of the variance of the targets.
    Fewer than `rows` rows are taken where the network has too few parameters to hold them.
    """
    program = material.program(replace(without_regularization(config), schedule=Constant()))
    program.follow(Course(steps_per_epoch=CHUNK))  # population statistics of batch norm are those of the last chunk
    outputs = program.structure.network.output.shape[-1]
    parameters = sum(value.size for value in program.parameters().values())
    count = min(rows, len(material.x), max(2, parameters // (2 * outputs)))
    batch = material.order(1, count)[0]
    classes = material.shape.classes is not None or material.shape.labels
    x, y = material.x[batch], material.y[batch]
    order = np.arange(count)[None].repeat(CHUNK, axis=0)
    labels = material.shape.labels
    left, done = _left(program, x, y, labels), 0
    things, of = ("labels", y.size) if labels else ("rows", count)
    expected = f"all of {of} {things} right" if classes else f"squared error below {SHARE:g} of the variance of {count} rows"
    try:
        while done < steps and not _learned(left, classes):
            program.run(x, y, order[: steps - done])
            done += min(CHUNK, steps - done)
            left = _left(program, x, y, labels)
    except DivergedError as error:
        measured = f"training diverged at step {error.step + 1}"
        advice = f"lower optimizer.learning_rate = {program.learning_rate(0):g}"
        return Finding(check="tiny batch", passed=False, measured=measured, expected=expected, advice=advice)
    shown = f"{of - round(left * of)} of {of} {things} right" if classes else f"{left:.3g} of the variance left"
    return Finding(
        check="tiny batch",
        passed=_learned(left, classes),
        measured=f"{shown} after {done} steps",
        expected=expected,
        advice=f"try another optimizer.learning_rate (now {program.learning_rate(0):g}; task=lr_range suggests one), "
        f"another initialization, a wider network, or more steps: check.steps={2 * steps}",
    )


def _learned(left: float, classes: bool) -> bool:
    return left == 0 if classes else left < SHARE


def _left(program: Program, x: Array, y: Array, labels: bool) -> float:
    """The share of wrong rows or labels, or the squared error relative to the variance of the targets."""
    prediction = program.predict(x)
    if labels:
        return float(np.mean((prediction >= 0.5) != y))
    if np.ndim(y) == 1:
        return float(np.mean(prediction.argmax(axis=1) != y))
    variance = float(np.mean(np.square(y - y.mean(axis=0))))
    return float(np.mean(np.square(prediction - y))) / (variance or 1.0)
