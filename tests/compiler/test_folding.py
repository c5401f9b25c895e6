"""Batch norm folded into the weights of evaluation: the same predictions, no batch norm, and only where nothing stands between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.compiler.fold_batch_norm import fold_batch_norms
from pipeline.compiler.structure import Structure
from pipeline.data import DataShape
from pipeline.layers.graph import LayerNode
from pipeline.layers.reshape import Flatten
from pipeline.program.make import compile_stack, load_backend
from pipeline.program.program import Program
from tests.program.configs import CLASSES, config, data, order, program

IMAGES = DataShape(input_shape=(6, 5, 3), classes=3, targets=None)
DENSE: dict[str, Any] = {"architecture": {"layers": [{"kind": "dense", "units": 17}, {"kind": "dense", "units": 9}]}}
CONVOLUTIONS: dict[str, Any] = {
    "shape": IMAGES,
    "architecture": {
        "layers": [
            {"kind": "conv", "channels": 8, "stride": 2},
            {"kind": "conv_transpose", "channels": 6, "kernel": [3, 2], "stride": 2, "padding": 0},
            {
                "kind": "conv",
                "channels": 4,
                "groups": 2,
                "kernel": 1,
                "activation": "identity",
                "normalization": {"kind": "batch", "position": "post"},
            },
            {"kind": "dense", "units": 6},
        ]
    },
}
NORM: dict[str, Any] = {"normalization": {"kind": "batch", "momentum": 0.5}, "regularization": {"l2": 0.1}, "activation": "tanh"}


def both(changes: dict[str, Any], precision: str) -> tuple[Program, Program]:
    """The native program, which folds, and the reference, which does not: alike but for rounding, with running statistics of ten steps."""
    made = [program(**changes, **NORM, precision=p, backend={"kind": k}) for p, k in ((precision, "numpy"), ("float64", "reference"))]
    x, y = data(40, changes.get("shape", CLASSES))
    made[1].run(x, y, order(10))
    made[0].load_state(made[1].state())
    return made[0], made[1]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("changes", [DENSE, CONVOLUTIONS], ids=["dense", "convolutions"])
def test_predictions_are_those_of_the_norm_itself(changes: dict[str, Any], precision: str, tolerance: float) -> None:
    folded, exact = both(changes, precision)
    x, y = data(40, changes.get("shape", CLASSES), seed=3)
    assert len(folded.structure.folds) == sum(node.kind == "batch_norm" for node in folded.structure.network.nodes) > 1
    np.testing.assert_allclose(folded.predict(x), exact.predict(x), atol=tolerance)
    np.testing.assert_allclose(folded.evaluate(x, y)[1], exact.evaluate(x, y)[1], rtol=10 * tolerance, atol=tolerance)
    assert folded.loss(x, y) == pytest.approx(exact.loss(x, y), rel=10 * tolerance)


def test_the_evaluation_program_has_no_batch_norm() -> None:
    folded, exact = both(DENSE, "float64")
    graph = folded.structure.compiled("evaluate", folded.structure.evaluation_batch).graph
    read = {name for node in graph.nodes for name in node.inputs}
    assert not [name for name in read if name.startswith("bn")]
    assert [node.op for node in graph.nodes if node.op != "constant"] == [
        "matmul", "add", "tanh", "matmul", "add", "tanh", "matmul", "add", "softmax_cross_entropy",
        "mul", "sum", "mul", "mul", "sum", "mul", "add", "mul", "sum", "mul", "add",
    ]  # fmt: skip
    assert exact.structure.folds == ()


def test_a_bias_that_was_kept_is_folded_too() -> None:
    x, _ = data()
    made = []
    for backend in ("numpy", "reference"):
        settings = config(6, **NORM, backend={"kind": backend}, initialization={"kind": "he", "bias_init": 0.3})
        structure = Structure(settings, CLASSES, *load_backend(settings, CLASSES), keep_biases=True)
        made.append(Program(structure, settings, structure.allocate(1)))
    assert (made[0].state()["fc1.bias"] == 0.3).all() and len(made[0].structure.folds) == 1
    np.testing.assert_allclose(made[0].predict(x), made[1].predict(x), atol=1e-12)


def test_the_penalty_is_that_of_the_weights_themselves() -> None:
    folded, exact = both(DENSE, "float64")
    assert folded.penalty() == pytest.approx(exact.penalty(), rel=1e-12)


def test_training_between_evaluations_is_seen() -> None:
    folded, exact = both(DENSE, "float64")
    x, y = data()
    for made in (folded, exact):
        made.predict(x)
        made.run(x, y, order(5, seed=4))
    np.testing.assert_allclose(folded.predict(x), exact.predict(x), atol=1e-9)


def test_folded_weights_are_no_part_of_the_state_and_the_digest_is_that_of_the_unfolded_network() -> None:
    folded, exact = both(DENSE, "float64")
    assert folded.state().keys() == exact.state().keys() and not [name for name in folded.state() if "folded" in name]
    assert folded.digest == exact.digest


def test_trials_of_a_stack_have_weights_of_their_own() -> None:
    x, y = data()
    configs = [config(6, **NORM, precision="float32", backend={"kind": "numpy"}, seed=k) for k in range(3)]
    stack = compile_stack(configs, CLASSES)
    stack.run(x, y, np.stack([order(4)] * 3))
    for k, one in enumerate(stack.programs):
        alone = program(6, **NORM, precision="float32", backend={"kind": "numpy"}, seed=k)
        alone.run(x, y, order(4))
        np.testing.assert_array_equal(one.predict(x), alone.predict(x))


def test_what_was_folded_is_said() -> None:
    text = program(6, **NORM, backend={"kind": "numpy"}).explain()
    said = "bn1 folded into fc1: weight * gamma / sqrt(running_variance + epsilon), once an evaluation"
    assert f"== layer pass fold, for evaluation ==\n{said}\n" in text
    assert "fold, batch 1: " in text and "evaluate, batch 256: " in text


def test_a_norm_after_an_activation_stays() -> None:
    network = build(config(6, normalization={"kind": "batch", "position": "post"}), CLASSES)
    assert fold_batch_norms(network) == (network, (), ("bn1 stays: relu1, before it, has no weight to take it",))


def test_a_norm_after_dropout_or_the_input_stays() -> None:
    network = build(
        config(6, normalization="batch", regularization={"dropout": "inverted", "keep_prob": 0.5}, activation="identity"), CLASSES
    )
    first, norm, dropout, head = network.nodes
    moved = replace(
        network, nodes=(first, replace(dropout, inputs=("fc1",)), replace(norm, inputs=("dropout1",)), replace(head, inputs=("bn1",)))
    )
    assert fold_batch_norms(moved)[1:] == ((), ("bn1 stays: dropout1, before it, has no weight to take it",))
    raw = replace(network, nodes=(replace(norm, inputs=("input",)), replace(first, inputs=("bn1",)), replace(head, inputs=("fc1",))))
    assert fold_batch_norms(raw)[1:] == ((), ("bn1 stays: input, before it, has no weight to take it",))


def test_a_norm_whose_input_another_layer_reads_stays() -> None:
    network = build(config(6, normalization="batch"), CLASSES)
    other = LayerNode(name="branch", kind="flatten", inputs=("fc1",), shape=(6,), record=Flatten())
    assert fold_batch_norms(replace(network, nodes=(*network.nodes, other)))[1:] == ((), ("bn1 stays: branch reads fc1 too",))
