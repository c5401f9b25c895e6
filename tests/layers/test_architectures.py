"""Architectures by name against the numbers of their papers; the VGG-like one and the autoencoder trained for a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.compiler.remove_biases import remove_biases
from pipeline.config.compose import compose
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.layers.graph import LayerGraph
from pipeline.program.make import compile_experiment
from tests.refusal import refused

GREY = DataShape(input_shape=(28, 28, 1), classes=10)
COLOUR = DataShape(input_shape=(32, 32, 3), classes=10)


def named(option: str, shape: DataShape, *overrides: str) -> LayerGraph:
    return remove_biases(build(experiment(compose([f"architecture={option}", *overrides])), shape))[0]


def counts(network: LayerGraph) -> dict[str, int]:
    return {node.name: node.parameter_count for node in network.nodes if node.parameter_count}


def test_lenet_has_the_layers_of_its_paper() -> None:
    """LeCun et al. 1998, section II.B: C1 156, C5 48,120 and F6 10,164 parameters; their C3 leaves some connections out, 1,516 of 2,416."""
    made = named("lenet", DataShape(input_shape=(28, 28, 1), classes=10))
    assert counts(made) == {"conv1": 156, "conv2": 2_416, "fc1": 48_120, "fc2": 10_164, "fc3": 850}
    shapes = [node.shape for node in made.nodes if node.kind in ("conv", "average_pool")]
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16)]


def test_resnet20_has_the_layers_of_its_paper() -> None:
    """He, Zhang, Ren & Sun 2016, section 4.2 and table 6: 20 weighted layers, maps of 32, 16, 8 with 16, 32, 64 channels, 0.27M."""
    made = named("resnet20", COLOUR)
    weighted = [node for node in made.nodes if any(p.fan_in for p in node.parameters) and not node.name.endswith("_skip")]
    assert len(weighted) == 20
    maps = [node.shape for node in weighted[:-1]]
    assert maps == [(32, 32, 16)] * 7 + [(16, 16, 32)] * 6 + [(8, 8, 64)] * 6
    skips = sum(count for name, count in counts(made).items() if "_skip" in name)
    assert sum(counts(made).values()) - skips == 269_722  # with the paper's skips without parameters, its option A
    assert skips == (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)


@pytest.mark.parametrize(("shape", "side", "count"), [(GREY, 3, 584_618), (COLOUR, 4, 814_570)])
def test_vgg_small_halves_the_image_three_times(shape: DataShape, side: int, count: int) -> None:
    made = named("vgg_small", shape)
    pools = [node.shape for node in made.nodes if node.kind == "max_pool"]
    half = shape.input_shape[0] // 2
    assert pools == [(half, half, 32), (half // 2, half // 2, 64), (side, side, 128)]
    assert sum(counts(made).values()) == count


@pytest.mark.parametrize("side", [8, 28, 32])
def test_the_autoencoder_gives_back_what_it_was_given_in_shape(side: int) -> None:
    made = named("conv_autoencoder", DataShape(input_shape=(side, side, 1), targets=side * side), "data.task=reconstruction")
    shapes = {node.name: node.shape for node in made.nodes if node.kind.startswith("conv") or node.kind == "flatten"}
    assert list(shapes.values()) == [
        (side // 2, side // 2, 16), (side // 4, side // 4, 8), (side // 2, side // 2, 16), (side, side, 1), (side * side,),
    ]  # fmt: skip
    assert shapes["code"] == (side // 4, side // 4, 8)
    assert sum(counts(made).values()) == (9 * 1 + 1) * 16 + (9 * 16 + 1) * 8 + (9 * 8 + 1) * 16 + (9 * 16 + 1)


TRAINED = [
    ("vgg_small", DataShape(input_shape=(8, 8, 1), classes=3), []),
    ("maxout_mlp", DataShape(input_shape=(8, 8, 1), classes=3), []),
    ("conv_autoencoder", DataShape(input_shape=(8, 8, 1), targets=64), ["data.task=reconstruction"]),
]


@pytest.mark.parametrize(("option", "shape", "overrides"), TRAINED, ids=[option for option, *_ in TRAINED])
def test_a_few_steps_on_a_tiny_batch_bring_the_loss_down(option: str, shape: DataShape, overrides: list[str]) -> None:
    config = compose([f"architecture={option}", "training.batch_size=6", "optimizer.learning_rate=0.002", *overrides])
    made = compile_experiment(experiment(config), shape)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, *shape.input_shape)).astype(np.float32)
    y: Any = x.reshape(6, -1) if shape.classes is None else np.array([0, 1, 2, 0, 1, 2])
    before = made.loss(x, y, training=True)
    losses = made.run(x, y, np.tile(np.arange(6), (40, 1)))
    assert np.isfinite(losses).all() and losses[-5:].mean() < 0.8 * before


REJECTED = [
    (
        ["architecture=conv_autoencoder"],
        GREY,
        "architecture.layers[4] = [784]: the last layer must give [10] for this data and loss=softmax_cross_entropy; "
        "for an autoencoder give data.task=reconstruction",
    ),
    (
        ["architecture.layers=[{kind: conv, channels: 1, kernel: 3, padding: same}]", "architecture.head=none"],
        GREY,
        "architecture.layers[0] = [28, 28, 1]: the last layer must give [10] for this data and loss=softmax_cross_entropy; "
        "for an autoencoder give data.task=reconstruction and a flatten layer at the end",
    ),
    (
        ["architecture.layers=[{kind: conv, channels: 1, kernel: 3, padding: same}]", "architecture.head=none", "data.task=reconstruction"],
        DataShape(input_shape=(28, 28, 1), targets=784),
        "architecture.layers[0] = [28, 28, 1]: the last layer must give [784] for this data and loss=mean_squared_error; "
        "for an autoencoder give a flatten layer at the end",
    ),
    (
        ["architecture=conv_autoencoder", "data.task=reconstruction"],
        DataShape(input_shape=(30, 30, 1), targets=900),
        "architecture.layers[4] = [1024]: the last layer must give [900] for this data and loss=mean_squared_error; "
        "give architecture.head=auto",
    ),
]


@pytest.mark.parametrize(("overrides", "shape", "sentence"), REJECTED, ids=["labels", "image", "flat", "sides"])
def test_what_an_autoencoder_cannot_learn_is_refused_in_one_sentence(overrides: list[str], shape: DataShape, sentence: str) -> None:
    with refused(sentence):
        build(experiment(compose(overrides)), shape)
