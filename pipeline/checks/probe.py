"""The training loss as a function of the parameters, everything else held still: the same rows, the same dropout masks."""

# B batch rows
from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.checks.kinks import loss_and_pattern
from pipeline.checks.material import Material
from pipeline.compiler import lower
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.graph.values import Array, Clock, value_table, word_table
from pipeline.passes import compile_passes
from pipeline.plan import make_plan
from pipeline.program.make import load_backend
from pipeline.program.program import Program

NOISE = 0.01


class Probe:
    """The network of `config` in float64 on the configured backend, over `rows` [B] of the material.

    Its parameters are the initial ones plus N(0, NOISE^2): zeros (biases, a whole zero initialization) put units exactly on their kinks,
    and gradients exactly to 0.
    """

    def __init__(self, config: Experiment, material: Material, rows: npt.NDArray[np.int64]) -> None:
        config = replace(config, precision="float64")
        backend, reason = load_backend(config, material.shape)
        self.structure, batch = Structure(config, material.shape, backend, reason), len(rows)
        self._x, self._y, self._weight = material.x[rows], material.y[rows], material.weights(rows)
        self._memory = self.structure.allocate(1)
        self._program = Program(self.structure, config, self._memory)
        self._program.balance(material.y)
        self.parameters = {name: _moved(name, value, config.seed) for name, value in self._program.parameters().items()}
        self._program.load_parameters(self.parameters)
        lowered = self.structure.lowered("gradient", batch, self._weight is not None)
        graph, _ = compile_passes(loss_and_pattern(lowered), backend.target)
        plan = make_plan(graph, name="probe", batch=batch, state=self.structure.state)
        clock = Clock(steps=np.zeros(1, np.int64))
        values, words = (
            value_table(plan.values, lower.values(self.structure.network, config), clock),
            word_table(plan.words, config.seed, clock),
        )
        given = self._program.feed("gradient", self._x, self._y, np.arange(batch)[None], self._weight)
        self._feed = replace(given, values=values[None], words=words[None])
        self._executable = backend.load(plan)

    def gradients(self) -> dict[str, Array]:
        """The gradient of the loss for each tensor, by the rules of the ops; each in the tensor's shape: fc1.weight [I, O]."""
        return self._program.gradients(self._x, self._y, self._weight)

    def loss(self) -> tuple[float, float]:
        """The loss, and the pattern of its kinks; see `kinks`."""
        outputs = self._executable.run(self._memory, self._feed).outputs
        pattern = float(outputs["pattern"][0, 0]) if "pattern" in outputs else 0.0
        return float(outputs["loss"][0, 0]), pattern

    def loss_with(self, name: str, index: int, value: float) -> tuple[float, float]:
        """As `loss`, with element `index` of tensor `name` at `value`."""
        changed = self.parameters[name].copy()
        changed.reshape(-1)[index] = value
        self._memory.write(0, name, changed)
        try:
            return self.loss()
        finally:
            self._memory.write(0, name, self.parameters[name])


def _moved(name: str, value: Array, seed: int) -> npt.NDArray[np.float64]:
    noise = random.normal(seed, random.GENERATOR, f"check/{name}", 0, value.size)
    return np.ascontiguousarray(value.astype(np.float64) + NOISE * noise.reshape(value.shape))
