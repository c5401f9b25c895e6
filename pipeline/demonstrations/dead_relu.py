"""Dead units: a large learning rate pushes relu units off the data for good; activations with a slope below 0 keep theirs."""

# N rows
from __future__ import annotations

import numpy as np

from pipeline import data, preprocessing, random
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import described, program
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing

UNITS, STEPS, BATCH, RUNS = 64, 44, 32, 4
USUAL, LARGE = 1e-3, 0.1  # of Adam
OTHERS = ("leaky_relu", "prelu", "elu", "maxout")


def dead_relu(config: Experiment) -> list[Figure]:
    """Digits, 64-64, an epoch of Adam: the share of hidden units that give one value for all training rows, mean over RUNS initial weights.

    The notes' slightly positive bias makes no clear difference here.
    """
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    x = preprocessing.fit(Preprocessing(), dataset.train.x, precision="float64").apply(np.asarray(dataset.train.x))

    def share(activation: str, learning_rate: float, bias: float = 0.0) -> float:
        return float(np.mean([_dead(config, dataset, x, activation, learning_rate, bias, run) for run in range(RUNS)]))

    relu = share("relu", LARGE)
    figures = [at_most(f"relu, learning rate {USUAL}: dead", 0.01, share("relu", USUAL)), at_least(f"relu, {LARGE}: dead", 0.1, relu)]
    figures += [
        near(f"relu, {LARGE}, bias {bias:+}: dead, minus bias 0", 0.0, share("relu", LARGE, bias) - relu, 0.1) for bias in (-0.01, 0.01)
    ]
    return [*figures, *(at_most(f"{activation}, {LARGE}: dead", 0.01, share(activation, LARGE)) for activation in OTHERS)]


def _dead(config: Experiment, dataset: Dataset, x: Array, activation: str, learning_rate: float, bias: float, run: int) -> float:
    """The share of dead units after STEPS steps from the initial weights of `run`."""
    made = program(
        config,
        dataset.shape,
        seed=config.seed + run,
        architecture={"layers": [{"kind": "dense", "units": UNITS, "name": name} for name in ("one", "two")]},
        activation=activation,
        initialization={"kind": "he", "bias_init": bias},
        optimizer={"kind": "adam", "learning_rate": learning_rate},
        training={"batch_size": BATCH},
    )
    order = random.permutation(config.seed + run, random.ORDER, 0, len(x))[: STEPS * BATCH].reshape(STEPS, BATCH)
    made.run(x, dataset.train.y, order)
    values = made.layer_values(x)
    return float(np.mean([np.ptp(values[f"{name}_{activation}"], axis=0) == 0 for name in ("one", "two")]))
