"""From a config and the shape of the data to layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.compiler.remove_biases import remove_biases
from pipeline.data import DataShape
from pipeline.layers.graph import LayerGraph
from pipeline.recipe.initialization import He, Zeros
from pipeline.recipe.losses import LOSSES
from tests.program.configs import CLASSES, NUMBERS, TWO_CLASSES, config, data, order, program
from tests.refusal import refused


def layers(network: LayerGraph) -> list[str]:
    return [node.name for node in network.nodes]


def layered(*layers: dict[str, Any], shape: DataShape = CLASSES, head: str | None = "auto", **changes: Any) -> LayerGraph:
    architecture = {"layers": [{"kind": "dense", **layer} for layer in layers], "head": head}
    return build(config(architecture=architecture, **changes), shape)


BATCH = {"kind": "batch"}
DROPOUT = {"dropout": "inverted", "keep_prob": 0.8}


def test_slots_stand_in_order_and_the_head_takes_none_of_them() -> None:
    network = build(config(5, 6, normalization=BATCH, regularization=DROPOUT), CLASSES)
    assert layers(network) == ["fc1", "bn1", "relu1", "dropout1", "fc2", "bn2", "relu2", "dropout2", "fc3"]
    assert network.output.shape == (3,)


def test_a_norm_after_the_activation() -> None:
    network = build(config(5, normalization={"kind": "batch", "position": "post"}, regularization=DROPOUT), CLASSES)
    assert layers(network) == ["fc1", "relu1", "bn1", "dropout1", "fc2"]


def test_no_norm_no_dropout_and_the_identity_make_no_layers() -> None:
    assert layers(build(config(5, activation={"kind": "identity"}), CLASSES)) == ["fc1", "fc2"]


def test_given_names_are_kept_and_name_the_slots() -> None:
    network = layered({"units": 5, "name": "hidden"}, {"units": 6}, normalization=BATCH)
    assert layers(network) == ["hidden", "hidden_bn", "hidden_relu", "fc2", "bn2", "relu2", "fc3"]
    names = [p.name for p in network.parameters]
    assert names[:6] == [
        "hidden.weight",
        "hidden.bias",
        "hidden_bn.gamma",
        "hidden_bn.beta",
        "hidden_bn.running_mean",
        "hidden_bn.running_variance",
    ]


def test_a_layer_overrides_the_groups() -> None:
    own = {"units": 5, "initialization": {"kind": "zeros"}, "activation": {"kind": "tanh"}, "normalization": {"kind": "none"}}
    network = layered(own, {"units": 6}, normalization=BATCH)
    assert layers(network) == ["fc1", "tanh1", "fc2", "bn2", "relu2", "fc3"]
    assert [p.initial for p in network.parameters if p.fan_in] == [Zeros(), He(), He()]


def test_leaving_dropout_out_of_one_layer_renames_no_other() -> None:
    network = layered({"units": 5, "regularization": {}}, {"units": 6}, regularization=DROPOUT)
    assert "dropout2" in layers(network) and "dropout1" not in layers(network)


def test_images_are_flattened_and_weights_are_in_times_out() -> None:
    network = build(config(5), DataShape(input_shape=(2, 3, 4), classes=3, targets=None))
    assert network.nodes[0].parameters[0].shape == (24, 5)
    assert (network.nodes[0].parameters[0].fan_in, network.nodes[0].parameters[0].fan_out) == (24, 5)


@pytest.mark.parametrize(("shape", "loss", "units", "kind"), [
    (CLASSES, "auto", 3, "softmax_cross_entropy"),
    (TWO_CLASSES, "logistic", 1, "logistic"),
    (NUMBERS, "auto", 2, "mean_squared_error"),
])  # fmt: skip
def test_the_head_and_the_loss_follow_from_the_data(shape: DataShape, loss: str, units: int, kind: str) -> None:
    network = build(config(5, loss={"kind": loss}), shape)
    assert (network.output.shape, LOSSES.kind_of(network.loss)) == ((units,), kind)


def test_without_a_head_the_last_layer_is_the_output() -> None:
    network = layered({"units": 5}, {"units": 3}, head=None, normalization=BATCH, regularization=DROPOUT)
    assert layers(network)[-1] == "fc2"


def test_an_input_by_name_means_the_end_of_its_slots() -> None:
    network = layered({"units": 5, "name": "a"}, {"units": 6, "input": "a"}, {"units": 7, "input": "fc2"})
    assert [node.inputs for node in network.nodes if node.kind == "dense"] == [("input",), ("a_relu",), ("relu2",), ("relu3",)]


REJECTED: list[tuple[str, dict[str, Any], DataShape]] = [
    (
        "loss.kind = logistic: needs 2 classes, and the data has 3; use loss=softmax_cross_entropy",
        {"loss": {"kind": "logistic"}},
        CLASSES,
    ),
    (
        "loss.kind = mean_squared_error: needs numbers, and the data has classes as targets; use loss=auto",
        {"loss": {"kind": "mean_squared_error"}},
        CLASSES,
    ),
    (
        "loss.kind = softmax_cross_entropy: needs classes, and the data has numbers as targets; use loss=auto",
        {"loss": {"kind": "softmax_cross_entropy"}},
        NUMBERS,
    ),
    (
        "architecture.layers[1].units = 4: the last layer needs 3 units for this data and loss=softmax_cross_entropy; "
        "give units=3, or architecture.head=auto",
        {"architecture": {"layers": [{"kind": "dense", "units": 5}, {"kind": "dense", "units": 4}], "head": None}},
        CLASSES,
    ),
    (
        "architecture.layers[0] = fc1: no layer uses its output; name it as the input of a later layer: input=fc1",
        {"architecture": {"layers": [{"kind": "dense", "units": 5}, {"kind": "dense", "units": 4, "input": "input"}]}},
        CLASSES,
    ),
    (
        "architecture.layers[1].name = relu1: another layer has this name; a name can be used once",
        {"architecture": {"layers": [{"kind": "dense", "units": 5}, {"kind": "dense", "units": 4, "name": "relu1"}]}},
        CLASSES,
    ),
]


@pytest.mark.parametrize(("sentence", "changes", "shape"), REJECTED, ids=[sentence.split(":")[0] for sentence, *_ in REJECTED])
def test_what_does_not_fit_is_refused_in_one_sentence(sentence: str, changes: dict[str, Any], shape: DataShape) -> None:
    with refused(sentence):
        build(config(**changes), shape)


def test_a_bias_goes_only_where_batch_norm_follows_directly() -> None:
    network, reasons = remove_biases(build(config(5, normalization=BATCH), CLASSES))
    assert reasons == ("bias of fc1 removed: batch norm follows, its gradient is zero",)
    assert [p.name for p in network.parameters if p.name.endswith("bias")] == ["fc2.bias"]
    after_activation = build(config(5, normalization={"kind": "batch", "position": "post"}), CLASSES)
    assert remove_biases(after_activation) == (after_activation, ())


def test_the_table_of_layers() -> None:
    assert str(remove_biases(build(config(5, normalization=BATCH), CLASSES))[0]) == TABLE


TABLE = """\
layer  kind                   input  output shape  parameters  tensors
input  data                          [4]
fc1    dense                  input  [5]           20          fc1.weight [4, 5]
bn1    batch_norm             fc1    [5]           10          bn1.gamma [5], bn1.beta [5], bn1.running_mean [5], bn1.running_variance [5]
relu1  relu                   bn1    [5]
fc2    dense                  relu1  [3]           18          fc2.weight [5, 3], fc2.bias [3]
loss   softmax_cross_entropy  fc2
48 parameters"""


def test_batch_norm_of_one_row_a_step_needs_more_than_one_number_a_channel() -> None:
    one = {"training": {"batch_size": 1}, "normalization": {"kind": "batch"}}
    rule = "batch norm needs at least 2 rows a batch, as bn1 has one number a channel in each; use normalization=layer or none"
    with refused(f"training.batch_size = 1: {rule}"):
        layered({"kind": "dense", "units": 3}, **one)
    images = DataShape(input_shape=(3, 4, 2), classes=3, targets=None)
    conv = {"kind": "conv", "channels": 3}
    assert "bn1" in layers(layered(conv, shape=images, **one))
    with refused(f"training.batch_size = 1: {rule.replace('bn1', 'bn2')}"):
        layered(conv, {"kind": "conv", "channels": 3, "kernel": [3, 4], "padding": "valid"}, shape=images, **one)


@pytest.mark.parametrize("statistics", ["ema", "population"])
def test_batch_norm_over_an_image_trains_with_one_row_a_step(statistics: str) -> None:
    images = DataShape(input_shape=(3, 4, 2), classes=3, targets=None)
    groups = {"training": {"batch_size": 1}, "normalization": {"kind": "batch", "statistics": statistics}}
    architecture = {"layers": [{"kind": "conv", "channels": 3}]}
    made = [program(shape=images, architecture=architecture, backend={"kind": kind}, **groups) for kind in ("reference", "numpy")]
    (x, y), rows = data(8, images), order(8, rows=8, batch=1)
    first, second = (one.run(x, y, rows) for one in made)
    np.testing.assert_allclose(first, second, rtol=1e-9)
    for name, value in made[0].state().items():
        np.testing.assert_allclose(made[1].state()[name], value, rtol=1e-6, atol=1e-9, err_msg=name)
