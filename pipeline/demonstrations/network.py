"""The small networks of the demonstrations: the product's own, in float64, on the backend and with the seed of the experiment."""

# N rows, S steps
from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.config import spec
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.graph.values import Array
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program


def described(config: Experiment, **groups: Any) -> Experiment:
    """An experiment of `groups` (plain config values) with the seed and the backend of `config`."""
    own = {"seed": config.seed, "precision": "float64", "backend": {"kind": config.backend.kind, "threads": config.backend.threads}}
    return spec.experiment({**own, **groups})


def program(config: Experiment, shape: DataShape, **groups: Any) -> Program:
    """The program of `described`."""
    return compile_experiment(described(config, **groups), shape)


def layers(*entries: dict[str, Any], head: str | None = None) -> dict[str, Any]:
    """The architecture group of these layers; without a head the last of them is the output."""
    return {"layers": list(entries), "head": head}


def descend(made: Program, x: Array, y: Array, steps: int) -> Array:
    """`steps` optimizer steps, each on all rows -> the loss before each [S]."""
    return made.run(x, y, np.tile(np.arange(len(x)), (steps, 1)))
