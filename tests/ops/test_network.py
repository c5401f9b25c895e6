"""A whole training step, dense - batch norm - relu - dropout - dense - cross-entropy - momentum, on every backend against the reference."""

# F features, U units, C classes
from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Backend, Feed
from pipeline import random
from pipeline.compiler.autodiff import gradients
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.ops.reduce import mean
from tests.ops.running import builder, distance, plan_for

F, U, C = 13, 24, 5
TALL = 4096  # rows enough for their sums to be cut into blocks
SHAPES = {"w1": (F, U), "gamma": (U,), "beta": (U,), "w2": (U, C), "b2": (C,)}


def _dropout(b: Builder, x: str) -> str:
    words = [b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high")]
    path = random.path_word("dropout")
    draw = b.add("uniform", *words, shape=b.shape(x), stream=random.DROPOUT, path=path, dtype=b.precision)
    kept = b.add("cast", b.add("less", draw, b.value("keep_prob")), dtype=b.precision)
    return b.add("div", b.add("mul", x, kept), b.value("keep_prob"))


def _network(precision: str, rows: int) -> Graph:
    b = builder(precision)
    x, labels = b.input("x", (rows, F), "data"), b.input("y", (rows,), "data", "int32")
    p = {name: b.input(name, shape, "state") for name, shape in SHAPES.items()}
    h, batch_mean, _ = b.add_many(
        "batch_norm",
        b.add("matmul", x, p["w1"]),
        p["gamma"],
        p["beta"],
        b.value("epsilon"),
        names=("normal", "batch_mean", "batch_variance"),
    )
    h = _dropout(b, b.add("maximum", h, b.constant(0.0)))
    logits = b.add("add", b.add("matmul", h, p["w2"]), p["b2"])
    losses, probabilities = b.add_many("softmax_cross_entropy", logits, labels, names=("rows", "probabilities"))
    b.outputs["loss"] = b.guard = mean(b, losses, (0,), "loss")
    b.outputs["probabilities"] = probabilities
    for name, gradient in gradients(b, b.guard, list(p)).items():
        velocity = b.input(f"{name}.velocity", SHAPES[name], "state")
        b.updates[velocity] = b.add("add", b.add("mul", b.value("momentum"), velocity), gradient)
        b.updates[name] = b.add("sub", p[name], b.add("mul", b.value("learning_rate"), b.updates[velocity]))
    running = b.input("running_mean", (U,), "state")
    b.updates[running] = b.add("add", b.add("mul", b.value("momentum"), running), batch_mean)
    return b.graph()


def _train(backend: Backend, precision: str, trials: int, steps: int, rows: int = 16) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    plan = plan_for(backend, _network(precision, rows), batch=rows)
    memory = backend.allocate(plan.state, trials)
    rng = np.random.default_rng(11)
    for trial in range(trials):
        for name, shape in SHAPES.items():
            memory.write(trial, name, rng.normal(size=shape).astype(np.float32).astype(precision) * 0.5)
    table = {"epsilon": 2.0**-10, "keep_prob": 0.75, "momentum": 0.875, "learning_rate": 2.0**-5}
    words = {"seed": np.arange(trials)[:, None], "step_low": np.arange(steps), "step_high": np.zeros(1)}
    feed = Feed(
        x=rng.normal(size=(50, F)).astype(np.float32).astype(precision),
        y=rng.integers(0, C, 50).astype(np.int32),
        order=rng.integers(0, 50, (trials, steps, rows)),
        values=np.broadcast_to(np.array([table[n] for n in plan.values], precision), (trials, steps, len(table))).copy(),
        words=np.stack([np.broadcast_to(words[n], (trials, steps)) for n in plan.words], -1).astype(np.uint32),
    )
    results = backend.load(plan).run(memory, feed)
    assert results.done.tolist() == [steps] * trials
    state = [{b.name: memory.read(trial, b.name) for b in plan.state} for trial in range(trials)]
    return dict(results.outputs), state


@pytest.mark.parametrize("rows", [16, TALL])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_ten_training_steps_of_two_trials_agree_with_the_reference(
    other: Backend, reference: Backend, precision: str, tolerance: float, rows: int
) -> None:
    outputs, state = _train(other, precision, 2, 10, rows)
    expected_outputs, expected_state = _train(reference, precision, 2, 10, rows)
    for name, value in expected_outputs.items():
        assert distance(outputs[name], value) < tolerance, name
    for trial, expected in enumerate(expected_state):
        for name, value in expected.items():
            assert distance(state[trial][name], value) < tolerance, (trial, name)


def test_the_loss_falls_on_the_reference(reference: Backend) -> None:
    outputs, _ = _train(reference, "float64", 1, 40)
    assert outputs["loss"][0, -5:].mean() < outputs["loss"][0, :5].mean()
