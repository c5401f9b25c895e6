"""Learning-rate decay must leave the optimizer's state alone: with a new one at each change Adam's loss jumps, momentum starts anew."""

# S steps, B batch rows
from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import data, preprocessing, random
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset
from pipeline.demonstrations.figure import Figure, at_least, at_most
from pipeline.demonstrations.network import described, program
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing

BATCH, EPOCHS, AFTER, RUNS = 32, 10, 20, 3


def lr_decay_state(config: Experiment) -> list[Figure]:
    """Digits; after EPOCHS epochs the learning rate is halved.  State kept and reset part there, from the same weights to the last bit.

    The loss is that of all training rows; the figures are means over RUNS runs.
    """
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    x = preprocessing.fit(Preprocessing(), dataset.train.x, precision="float64").apply(np.asarray(dataset.train.x))
    adam, momentum = {"kind": "adam", "learning_rate": 0.01}, {"kind": "momentum", "learning_rate": 0.01}

    def losses(optimizer: dict[str, Any], state: str) -> Array:
        return np.array([_losses(config, dataset, x, optimizer, state, run) for run in range(RUNS)])

    kept, reset = losses(adam, "keep"), losses(adam, "reset")
    fall, slow = (_fall(losses(momentum, state)) for state in ("keep", "reset"))
    return [
        at_most("largest difference of the losses at the change", 0.0, float(np.abs(kept - reset)[:, 0].max())),
        at_most(f"adam, state kept: largest loss in {AFTER} steps, over that at the change", 1.02, _peak(kept)),
        at_least(f"adam, state reset: largest loss in {AFTER} steps, over that at the change", 1.05, _peak(reset)),
        at_most(f"momentum: fall of the loss in {AFTER // 2} steps, state reset over state kept", 0.75, slow / fall),
    ]


def _peak(losses: Array) -> float:
    return float(np.mean(losses.max(axis=1) / losses[:, 0]))


def _fall(losses: Array) -> float:
    return float(np.mean(losses[:, 0] - losses[:, AFTER // 2]))


def _losses(config: Experiment, dataset: Dataset, x: Array, optimizer: dict[str, Any], state: str, run: int) -> Array:
    """The loss at the change and after each of AFTER steps more."""
    steps = len(x) // BATCH
    change = EPOCHS * steps
    made = program(
        config,
        dataset.shape,
        seed=config.seed + run,
        architecture={"layers": [{"kind": "dense", "units": 32}]},
        activation="tanh",
        optimizer=optimizer,
        schedule={"kind": "step", "every": change, "factor": 0.5, "state_on_change": state},
        training={"batch_size": BATCH},
    )
    epochs = [random.permutation(config.seed + run, random.ORDER, epoch, len(x))[: steps * BATCH] for epoch in range(EPOCHS + 1)]
    order = np.concatenate(epochs).reshape(-1, BATCH)
    y = dataset.train.y
    made.run(x, y, order[:change])
    losses = [made.loss(x, y)]
    for step in range(change, change + AFTER):
        made.run(x, y, order[step : step + 1])
        losses.append(made.loss(x, y))
    return np.array(losses)
