"""A look at the inside of a network: what it says is what NumPy says, and no look changes a bit of the program."""

from __future__ import annotations

import numpy as np
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.program.health import Looker
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.tracking.health import Health, TensorHealth

X = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


def _looked(*overrides: str, steps: int = 3) -> tuple[Program, Health]:
    declared = ["data=arrays", "data.input_shape=[6]", "data.classes=2", "training.batch_size=20", "architecture=mlp_small"]
    program = compile_experiment(experiment(pipeline.compose([*declared, *overrides])))
    program.run(X, Y, np.arange(20 * steps).reshape(steps, 20))
    before = program.state()
    health = Looker(program, X, Y).look(before, Course(), epoch=1)
    after = program.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    return program, health


def test_values_gradients_and_a_step_are_those_of_the_program() -> None:
    program, health = _looked("precision=float64", "activation=tanh")
    values, gradients, state = program.layer_values(X), program.gradients(X, Y), program.state()
    layers, tensors = {layer.name: layer for layer in health.layers}, {tensor.name: tensor for tensor in health.tensors}
    assert layers["tanh1"].mean == pytest.approx(values["tanh1"].mean()) and layers["tanh1"].deviation == pytest.approx(
        values["tanh1"].std()
    )
    assert sum(layers["tanh1"].values.counts) == values["tanh1"].size
    batch = np.linspace(0, 59, 20).astype(int)
    program.step(X[batch], Y[batch])
    moved = program.parameters()
    for name, tensor in tensors.items():
        assert tensor.gradient == pytest.approx(np.sqrt(np.mean(gradients[name] ** 2)))
        assert tensor.update == pytest.approx(np.sqrt(np.mean((moved[name] - state[name]) ** 2)))
    assert health.step == 3 and health.rows == 60


def test_dead_alike_and_saturated_units_are_counted() -> None:
    _, dead = _looked("initialization=constant", "initialization.value=-1.0", "preprocessing=none", steps=0)
    assert all(layer.alike for layer in dead.layers if layer.kind == "relu")
    _, saturated = _looked("activation=sigmoid", "initialization=normal", "initialization.std=30", steps=0)
    assert all(float(layer.saturated) > 0.8 for layer in saturated.layers if layer.kind == "sigmoid")
    _, sound = _looked(steps=0)
    assert not any(layer.dead or layer.alike or layer.saturated for layer in sound.layers if layer.kind == "relu")


def test_what_is_frozen_has_no_gradient_and_no_step() -> None:
    _, health = _looked("architecture.layers=[{kind: dense, units: 8, frozen: true}, {kind: dense, units: 8}]")
    frozen: TensorHealth = health.tensors[0]
    assert (frozen.gradient, frozen.update) == (None, None)
