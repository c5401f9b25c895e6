"""The training rows as the network sees them: preprocessed, and the targets of a regression standardized."""

# N rows, B batch rows, S steps, T targets
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import data, random
from pipeline.config.automatic import settled
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.data.prepared import prepared
from pipeline.graph.values import Array
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program
from pipeline.rows import Streamed
from pipeline.training import fit


@dataclass(frozen=True, kw_only=True)
class Material:
    """x [N, ...], y int32 [N] or float64 [N, T] and weight [N] (None: all 1) of the training part.

    config  the experiment, what follows the rows settled
    name    of the data
    shape   of what a program takes: after the preprocessing
    seed    of the order
    """

    config: Experiment
    name: str
    shape: DataShape
    x: Array | Streamed
    y: Array
    seed: int
    weight: Array | None = None

    def program(self, config: Experiment) -> Program:
        """The program of `config` for these rows, classes balanced where the config says so.  Raises ConfigError, BackendError."""
        program = compile_experiment(config, self.shape)
        program.balance(self.y)
        return program

    def weights(self, rows: npt.NDArray[np.int64]) -> Array | None:
        """The weights of `rows` [n] -> [n]; None where the data have none."""
        return None if self.weight is None else self.weight[rows]

    def order(self, steps: int, batch: int) -> npt.NDArray[np.int64]:
        """The rows of the first `steps` training steps, epoch after epoch -> int64 [S, B]; a batch has at most N rows."""
        size = min(batch, len(self.x))
        per_epoch = len(self.x) // size
        epochs = (random.permutation(self.seed, random.ORDER, epoch, len(self.x)) for epoch in range(-(-steps // per_epoch)))
        rows = np.concatenate([epoch[: per_epoch * size].reshape(per_epoch, size) for epoch in epochs])
        return np.ascontiguousarray(rows[:steps])


def material(config: Experiment) -> Material:
    """Loads the data that `config` names and fits its preprocessing.  Raises ConfigError and DataError, as a training would."""
    dataset = data.load(config.data, seed=config.seed)
    config, _ = settled(config, dataset)
    fit.check(dataset, config.training, config.budget)
    ready = prepared(dataset, config.preprocessing, precision=config.precision)
    rows = ready.train
    return Material(
        config=config,
        name=dataset.name,
        shape=ready.shape,
        x=rows.x,
        y=np.asarray(rows.targets),
        seed=config.seed,
        weight=rows.weight,
    )
