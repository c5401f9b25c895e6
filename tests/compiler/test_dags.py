"""Graphs of layers by config: branches that are added and concatenated, and what is refused."""

# N batch, H W image, C channels
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.data import DataShape
from tests.program.configs import config, data, order, program, slope_and_difference
from tests.refusal import refused

IMAGES = DataShape(input_shape=(5, 4, 3), classes=None, targets=2)
ROWS = DataShape(input_shape=(4,), classes=None, targets=2)
LINEAR = {"activation": {"kind": "identity"}}
BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])

BRANCHES = (
    {"kind": "conv", "channels": 4, "kernel": 1, "name": "one"},
    {"kind": "conv", "channels": 5, "kernel": 3, "name": "three", "input": "input"},
    {"kind": "max_pool", "kernel": 3, "stride": 1, "padding": "same", "name": "pool", "input": "input"},
    {"kind": "concat", "inputs": ["one", "three", "pool"], "name": "inception"},
    {"kind": "conv", "channels": 12, "kernel": 3, "name": "deep"},
    {"kind": "add", "inputs": ["inception", "deep"], "name": "sum"},
    {"kind": "concat", "inputs": ["sum", "one", "one"]},
    {"kind": "global_average_pool"},
)


@BACKENDS
def test_concat_puts_the_inputs_of_rows_side_by_side_in_their_order(backend: str) -> None:
    layers = [
        {"kind": "dense", "units": 3, "name": "a"},
        {"kind": "dense", "units": 2, "name": "b", "input": "input"},
        {"kind": "concat", "inputs": ["b", "input", "a"]},
    ]
    made = program(shape=ROWS, architecture={"layers": layers, "head": "auto"}, backend={"kind": backend}, **LINEAR)
    (x, _), p = data(6, ROWS), made.parameters()
    a, b = (x @ p[f"{name}.weight"] + p[f"{name}.bias"] for name in ("a", "b"))
    expected = np.concatenate([b, x, a], axis=1) @ p["fc3.weight"] + p["fc3.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-12)


def test_the_channels_of_images_are_concatenated() -> None:
    made = build(config(architecture={"layers": list(BRANCHES), "head": "auto"}), IMAGES)
    shapes = {node.name: node.shape for node in made.nodes}
    assert (shapes["inception"], shapes["sum"], shapes["concat2"]) == ((5, 4, 12), (5, 4, 12), (5, 4, 20))


@BACKENDS
def test_gradients_through_branches_are_those_of_finite_differences(backend: str) -> None:
    made = program(
        shape=IMAGES, architecture={"layers": list(BRANCHES), "head": "auto"}, backend={"kind": backend}, activation={"kind": "tanh"}
    )
    slope, difference = slope_and_difference(made, *data(8, IMAGES))
    assert difference == pytest.approx(slope, rel=1e-7)


def test_branches_train_like_the_reference_and_with_the_same_bits_for_any_threads() -> None:
    x, y = data(shape=IMAGES)
    runs = []
    for settings in ({"kind": "reference"}, {"kind": "numpy", "threads": 1}, {"kind": "numpy", "threads": 3}):
        architecture = {"layers": list(BRANCHES), "head": "auto"}
        made = program(shape=IMAGES, architecture=architecture, normalization={"kind": "batch"}, backend=settings)
        runs.append((made.run(x, y, order(6)), made.parameters()))
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=1e-9)
    np.testing.assert_array_equal(runs[1][0], runs[2][0])
    assert all(np.array_equal(value, runs[2][1][name]) for name, value in runs[1][1].items())


CONV = {"kind": "conv", "channels": 2}
REJECTED: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "architecture.layers[2].inputs = [conv1, pool2]: conv1 has shape [5, 4, 2] and pool2 [2, 2, 3]; "
        "concatenate layers that differ in the last axis alone",
        [CONV, {"kind": "max_pool", "input": "input", "name": "pool2"}, {"kind": "concat", "inputs": ["conv1", "pool2"]}],
    ),
    (
        "architecture.layers[2].inputs = [conv1, flatten1]: conv1 has shape [5, 4, 2] and flatten1 [40]; "
        "concatenate layers that differ in the last axis alone",
        [CONV, {"kind": "flatten"}, {"kind": "concat", "inputs": ["conv1", "flatten1"]}],
    ),
    (
        "architecture.layers[1].inputs[1] = cnv1: no earlier layer has this name; did you mean conv1?",
        [CONV, {"kind": "concat", "inputs": ["conv1", "cnv1"]}],
    ),
    (
        "architecture.layers[0].inputs[0] = conv1: stands after this layer, and layers run in order; name an earlier layer, or input",
        [{"kind": "concat", "inputs": ["conv1", "input"]}, CONV],
    ),
    (
        "architecture.layers[1].inputs[1] = concat1: a layer cannot read itself; name an earlier layer, or input",
        [CONV, {"kind": "concat", "inputs": ["conv1", "concat1"]}],
    ),
    (
        "architecture.layers[1].inputs = [conv1]: needs two layers or more; give inputs=[first,second]",
        [CONV, {"kind": "concat", "inputs": ["conv1"]}],
    ),
]


@pytest.mark.parametrize(("sentence", "layers"), REJECTED, ids=[sentence.split(":")[0] for sentence, _ in REJECTED])
def test_what_does_not_fit_is_refused_in_one_sentence(sentence: str, layers: list[dict[str, Any]]) -> None:
    with refused(sentence):
        build(config(architecture={"layers": layers, "head": "auto"}), IMAGES)
