"""How sharp is the minimum that a batch size leads to (Keskar et al. 2017, eq. 3)?  That it explains generalization is contested."""

# N rows, S steps, B batch rows
from __future__ import annotations

import math

import numpy as np

from pipeline import data, preprocessing, random
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import described, program
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing
from pipeline.program.program import Program

SMALL, LARGE, EPOCHS, RUNS = 16, 256, 30, 2
EPSILON, ASCENT = 1e-3, 10


def batch_sharpness(config: Experiment) -> list[Figure]:
    """Digits, sgd at one learning rate: batches of LARGE against SMALL, for the same number of rows and for the same number of steps.

    For the same rows the large batch ends sharper and tests worse; for the same steps both differences are gone (Hoffer et al. 2017): it
    was not the minimum but the training that was short. Sharpness also depends on scales that no prediction sees (Dinh et al. 2017).
    """
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    fitted = preprocessing.fit(Preprocessing(), dataset.train.x, precision="float64")
    x, unseen = fitted.apply(np.asarray(dataset.train.x)), fitted.apply(np.asarray(dataset.test.x))

    def of(size: int, epochs: int) -> tuple[float, float]:
        made = [_trained(config, dataset, x, size, epochs, run) for run in range(RUNS)]
        right = [np.mean(each.predict(unseen).argmax(axis=1) == dataset.test.y) for each in made]
        return float(np.mean([sharpness(each, x, dataset.train.y, EPSILON) for each in made])), float(np.mean(right))

    small, rows, steps = of(SMALL, EPOCHS), of(LARGE, EPOCHS), of(LARGE, EPOCHS * LARGE // SMALL)
    return [
        at_least("same rows: sharpness, large over small", 2.0, rows[0] / small[0]),
        at_least("same rows: test accuracy, small minus large", 0.01, small[1] - rows[1]),
        at_most("same steps: sharpness, large over small", 1.5, steps[0] / small[0]),
        near("same steps: test accuracy, small minus large", 0.0, small[1] - steps[1], 0.02),
    ]


def sharpness(made: Program, x: Array, y: Array, epsilon: float) -> float:
    """100 (max f(w + v) - f(w)) / (1 + f(w)) over |v| <= epsilon (|w| + 1), weight by weight, by projected ascent.

    f is the loss over x [N, ...] and y [N] or [N, T]; `made` ends as it was.
    """
    start = made.parameters()
    bound = {name: epsilon * (np.abs(w) + 1) for name, w in start.items()}
    here, most, place = made.loss(x, y), -math.inf, start
    for _ in range(ASCENT):
        gradient = made.gradients(x, y)
        place = {
            name: np.clip(place[name] + bound[name] / 4 * np.sign(gradient[name]), start[name] - bound[name], start[name] + bound[name])
            for name in start
        }
        made.load_parameters(place)
        most = max(most, made.loss(x, y))
    made.load_parameters(start)
    return 100 * (most - here) / (1 + here)


def _trained(config: Experiment, dataset: Dataset, x: Array, size: int, epochs: int, run: int) -> Program:
    """An MLP 64-32-10 after `epochs` epochs in batches of `size`; an epoch is the rows that fill batches of LARGE."""
    made = program(
        config,
        dataset.shape,
        seed=config.seed + run,
        architecture={"layers": [{"kind": "dense", "units": 32}]},
        optimizer={"kind": "sgd", "learning_rate": 0.1},
        training={"batch_size": size},
    )
    rows = len(x) // LARGE * LARGE
    for epoch in range(epochs):
        made.run(x, dataset.train.y, random.permutation(config.seed + run, random.ORDER, epoch, len(x))[:rows].reshape(-1, size))
    return made
