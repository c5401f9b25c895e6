"""Pandas and caviar: one model looked after, or many raised at once, for the same number of steps."""

# K trials, S steps, B batch rows
from __future__ import annotations

import math

import numpy as np

from pipeline import data, preprocessing, random
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset
from pipeline.demonstrations.figure import Figure, at_least, near
from pipeline.demonstrations.network import described
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing
from pipeline.program.make import compile_experiment, compile_stack
from pipeline.program.program import Program
from pipeline.search.spaces import Log, draw

BATCH, TRIALS, EPOCHS = 32, 8, 2  # caviar: 8 trials of 2 epochs; the panda: 1 of 16
RATES = Log(low=1e-3, high=0.3)


def pandas_caviar(config: Experiment) -> list[Figure]:
    """Digits.  The panda starts at 0.1 and is given a third of its learning rate whenever its validation loss has risen over an epoch;
    caviar is a stack of learning rates drawn on the log scale, of which validation picks one.  Either may win: both are shown.
    """
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    fitted = preprocessing.fit(Preprocessing(), dataset.train.x, precision="float64")
    x, seen, unseen = (fitted.apply(np.asarray(part.x)) for part in (dataset.train, dataset.validation, dataset.test))
    panda = _panda(config, dataset, x, seen)
    caviar = _caviar(config, dataset, x)
    scores = [float(np.mean(made.evaluate(seen, dataset.validation.y)[1])) for made in caviar]
    best = caviar[int(np.nanargmin(scores))]
    return [
        near("steps of caviar, over those of the panda", 1.0, sum(made.steps_done for made in caviar) / panda.steps_done, 0.0),
        at_least("panda: test accuracy", 0.9, _accuracy(panda, unseen, dataset.test.y)),
        at_least("caviar, the best: test accuracy", 0.9, _accuracy(best, unseen, dataset.test.y)),
        at_least("caviar: worst loss over best loss", 2.0, np.nanmax(scores) / np.nanmin(scores)),
    ]


def _panda(config: Experiment, dataset: Dataset, x: Array, seen: Array) -> Program:
    rate, best = 0.1, math.inf
    made = _program(config, dataset, rate)
    for epoch in range(TRIALS * EPOCHS):
        made.run(x, dataset.train.y, _order(config, len(x), epoch))
        loss = float(np.mean(made.evaluate(seen, dataset.validation.y)[1]))
        if loss > best:  # an intervention: the state goes on under a smaller learning rate
            rate, state = rate / 3, made.state()
            made = _program(config, dataset, rate)
            made.load_state(state)
        best = min(best, loss)
    return made


def _caviar(config: Experiment, dataset: Dataset, x: Array) -> tuple[Program, ...]:
    rates = draw(RATES, TRIALS, seed=config.seed, path="optimizer.learning_rate")
    stack = compile_stack([_described(config, rate) for rate in rates], dataset.shape)
    for epoch in range(EPOCHS):
        stack.run(x, dataset.train.y, np.repeat(_order(config, len(x), epoch)[None], TRIALS, axis=0))
    return stack.programs


def _described(config: Experiment, rate: float) -> Experiment:
    return described(
        config,
        architecture={"layers": [{"kind": "dense", "units": 32}]},
        optimizer={"kind": "momentum", "learning_rate": float(rate)},
        training={"batch_size": BATCH},
    )


def _program(config: Experiment, dataset: Dataset, rate: float) -> Program:
    return compile_experiment(_described(config, rate), dataset.shape)


def _order(config: Experiment, rows: int, epoch: int) -> Array:
    """Row numbers of an epoch [S, B]."""
    order = random.permutation(config.seed, random.ORDER, epoch, rows)
    return order[: rows // BATCH * BATCH].reshape(-1, BATCH)


def _accuracy(made: Program, x: Array, y: Array) -> float:
    return float(np.mean(made.predict(x).argmax(axis=1) == y))
