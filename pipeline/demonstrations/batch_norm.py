"""Batch norm: the bias before it does nothing; what evaluation normalizes by matters."""

# N rows
from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import data, preprocessing, random
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset, DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import described, program
from pipeline.graph.values import Array
from pipeline.program.make import load_backend
from pipeline.program.program import Program
from pipeline.recipe.course import Course

ROWS, FEATURES, CLASSES, STEPS = 64, 8, 3, 30
EPOCHS, BATCH, RUNS = 8, 64, 5


def bn_bias(config: Experiment) -> list[Figure]:
    """With and without the bias before batch norm: the same losses, and its gradient is 0 (Ioffe & Szegedy 2015, section 3.2)."""
    described_ = described(
        config,
        architecture={"layers": [{"kind": "dense", "units": 16}, {"kind": "dense", "units": 16}]},
        normalization="batch",
        activation="tanh",
        initialization={"kind": "xavier", "bias_init": 0.1},
        optimizer={"kind": "momentum", "learning_rate": 0.05},
        training={"batch_size": ROWS},
    )
    shape = DataShape(input_shape=(FEATURES,), classes=CLASSES)
    backend, reason = load_backend(described_, shape)
    x = random.normal(config.seed, random.GENERATOR, "bn_bias", 0, ROWS * FEATURES).reshape(ROWS, FEATURES)
    y = np.argmax(x[:, :CLASSES], axis=1).astype(np.int32)
    losses, without, with_ = (
        [],
        *(_program(Structure(described_, shape, backend, reason, keep_biases=keep), described_) for keep in (False, True)),
    )
    removed = sorted(set(with_.parameters()) - set(without.parameters()))
    gradient = 0.0
    for _ in range(STEPS):
        found = with_.gradients(x, y)
        gradient = max(gradient, *(float(np.abs(found[name]).max()) for name in removed))
        losses.append((without.step(x, y), with_.step(x, y)))
    apart = max(abs(one - other) for one, other in losses)
    return [
        near("biases that the compiler removes", 2, len(removed), 0),
        at_most(f"largest difference of the losses in {STEPS} steps", 1e-12, apart),
        at_most(f"largest |gradient| of a bias in {STEPS} steps", 1e-12, gradient),
        at_least("fall of the loss in these steps", 0.1, losses[0][0] - losses[-1][0]),
    ]


def bn_test_stats(config: Experiment) -> list[Figure]:
    """Digits: running and population statistics agree; the statistics of a batch of one row leave nothing of the row."""
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    fitted = preprocessing.fit(preprocessing.Preprocessing(), dataset.train.x, precision="float64")
    x = fitted.apply(dataset.validation.x)
    y = dataset.validation.y
    found: dict[str, tuple[float, float]] = {}
    for statistics in ("ema", "population"):
        made = _trained(config, dataset, fitted.apply(np.asarray(dataset.train.x)), {"kind": "batch", "statistics": statistics})
        prediction, row_loss = made.evaluate(x, y)
        found[statistics] = float(np.mean(prediction.argmax(axis=1) == y)), float(row_loss.mean())
    # every row alone in its batch is its own mean: all rows give the same prediction, and no constant beats the entropy of the labels
    alone = [made.loss(x[i : i + 1], y[i : i + 1], training=True) for i in range(len(x))]
    share = np.bincount(y) / len(y)
    entropy = -float(np.sum(share * np.log(share)))
    return [
        at_least("accuracy, running statistics", 0.9, found["ema"][0]),
        near("accuracy, population minus running", 0.0, found["population"][0] - found["ema"][0], 0.03),
        near("loss, population minus running", 0.0, found["population"][1] - found["ema"][1], 0.1),
        at_least("loss, statistics of batches of one row", entropy, float(np.mean(alone))),
        at_most("loss, running statistics", entropy / 4, found["ema"][1]),
    ]


def bn_gradient(config: Experiment) -> list[Figure]:
    """Four tanh layers before training: the norm of the first layer's gradient with batch norm, over that without; the least of RUNS runs.

    Batch norm does not see the scale of the weights before it, so that small ones neither starve the signal nor the gradient.
    """
    shape = DataShape(input_shape=(FEATURES,), classes=CLASSES)

    def norm(run: int, normalization: str, initialization: dict[str, Any]) -> float:
        made = program(
            config,
            shape,
            seed=config.seed + run,
            architecture={"layers": [{"kind": "dense", "units": 32}] * 4},
            normalization=normalization,
            activation="tanh",
            initialization=initialization,
        )
        x = random.normal(config.seed + run, random.GENERATOR, "bn_gradient", 0, ROWS * FEATURES).reshape(ROWS, FEATURES)
        return float(np.linalg.norm(made.gradients(x, np.argmax(x[:, :CLASSES], axis=1).astype(np.int32))["fc1.weight"]))

    figures = []
    for name, bound, initialization in (("weights 0.05", 50.0, {"kind": "normal", "std": 0.05}), ("xavier", 1.0, {"kind": "xavier"})):
        ratios = [norm(run, "batch", initialization) / norm(run, "none", initialization) for run in range(RUNS)]
        figures.append(at_least(f"{name}: with batch norm over without", bound, min(ratios)))
    return figures


def _program(structure: Structure, config: Experiment) -> Program:
    return Program(structure, config, structure.allocate(1))


def _trained(config: Experiment, dataset: Dataset, x: Array, normalization: dict[str, Any]) -> Program:
    """An MLP 64-32-10 after EPOCHS epochs of x."""
    made = program(
        config,
        dataset.shape,
        architecture={"layers": [{"kind": "dense", "units": 32}]},
        normalization=normalization,
        optimizer={"kind": "adam", "learning_rate": 0.01},
        training={"batch_size": BATCH},
    )
    steps = len(x) // BATCH
    made.follow(Course(steps_per_epoch=steps))
    for epoch in range(EPOCHS):
        order = random.permutation(config.seed, random.ORDER, epoch, len(x))[: steps * BATCH]
        made.run(x, dataset.train.y, order.reshape(-1, BATCH))
    return made
