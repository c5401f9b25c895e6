"""Initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.recipe.initialization import (
    INITIALIZATIONS,
    CaffeMsra,
    CaffeXavier,
    Constant,
    He,
    Lecun,
    Normal,
    Orthogonal,
    Rand,
    Sparse,
    Uniform,
    Xavier,
    Zeros,
    draw,
)
from tests.program.configs import program

SHAPE = (300, 200)
CASES = [
    (Normal(std=0.05), 0.05**2, "normal"),
    (Xavier(), 2 / 500, "normal"),
    (Xavier(distribution="uniform"), 2 / 500, "uniform"),
    (He(), 2 / 300, "normal"),
    (He(distribution="uniform"), 2 / 300, "uniform"),
    (Lecun(), 1 / 300, "normal"),
    (Lecun(distribution="uniform"), 1 / 300, "uniform"),
    (Uniform(low=-0.3, high=0.3), 0.6**2 / 12, "uniform"),
    (CaffeXavier(), 1 / 300, "uniform"),
    (CaffeXavier(variance_norm="fan_out"), 1 / 200, "uniform"),
    (CaffeXavier(variance_norm="average"), 1 / 250, "uniform"),
    (CaffeMsra(), 2 / 300, "normal"),
    (CaffeMsra(variance_norm="fan_out"), 2 / 200, "normal"),
    (CaffeMsra(variance_norm="average"), 2 / 250, "normal"),
]


def drawn(record: object, name: str = "fc1.weight", seed: int = 0) -> np.ndarray:
    return draw(record, SHAPE, fan_in=300, fan_out=200, seed=seed, name=name)


@pytest.mark.parametrize(("record", "variance", "distribution"), CASES, ids=str)
def test_mean_and_variance_lie_within_three_standard_errors(record: object, variance: float, distribution: str) -> None:
    w, n = drawn(record), 60_000
    # the standard error of a variance is variance * sqrt((kurtosis - 1) / n); kurtosis 3 for normal, 9 / 5 for uniform
    kurtosis = 3.0 if distribution == "normal" else 1.8
    assert abs(w.mean()) < 3 * np.sqrt(variance / n)
    assert abs(w.var() - variance) < 3 * variance * np.sqrt((kurtosis - 1) / n)
    if distribution == "uniform":
        assert np.abs(w).max() <= np.sqrt(3 * variance)


def test_zeros() -> None:
    assert not drawn(Zeros()).any()


def test_the_fans_of_caffe_count_the_window() -> None:
    """A blob of 64 outputs and 16 channels of 3 x 3 has fan_in = count / 64 = 144 and fan_out = count / 16 = 576."""
    shape, n = (3, 3, 16, 64), 3 * 3 * 16 * 64
    for variance_norm, fan in (("fan_in", 144), ("fan_out", 576), ("average", 360)):
        w = draw(CaffeXavier(variance_norm=variance_norm), shape, fan_in=1, fan_out=1, seed=0, name="conv1.weight")
        assert np.abs(w).max() <= np.sqrt(3 / fan)
        assert abs(w.var() - 1 / fan) < 3 / fan * np.sqrt(0.8 / n)


# each layer with its fans, and those that Caffe reads from the shape of its weight (of the convolution that a transposed one turns)
FANS: dict[str, tuple[dict[str, Any], tuple[int, int], tuple[int, int]]] = {
    "conv": ({"kind": "conv", "channels": 48, "kernel": [3, 2]}, (3 * 2 * 16, 3 * 2 * 48), (3 * 2 * 16, 3 * 2 * 48)),
    "groups": ({"kind": "conv", "channels": 48, "kernel": 3, "groups": 4}, (9 * 4, 9 * 12), (9 * 4, 9 * 48)),
    "conv_transpose": (
        {"kind": "conv_transpose", "channels": 48, "kernel": [3, 2], "stride": [2, 1]},
        (3 * 2 * 16 // 2, 3 * 2 * 48),
        (3 * 2 * 48, 3 * 2 * 16),
    ),
    "dense": ({"kind": "dense", "units": 200}, (300, 200), (300, 200)),
}
# initialization -> mean, variance and kurtosis of its weights, of fan_in and fan_out as above
SPREADS: list[tuple[dict[str, Any], Any]] = [
    ({"kind": "normal", "std": 0.3}, lambda i, o: (0.0, 0.09, 3.0)),
    ({"kind": "uniform", "low": -0.1, "high": 0.3}, lambda i, o: (0.1, 0.16 / 12, 1.8)),
    ({"kind": "lecun", "distribution": "normal"}, lambda i, o: (0.0, 1 / i, 3.0)),
    ({"kind": "lecun", "distribution": "uniform"}, lambda i, o: (0.0, 1 / i, 1.8)),
    ({"kind": "he", "distribution": "normal"}, lambda i, o: (0.0, 2 / i, 3.0)),
    ({"kind": "he", "distribution": "uniform"}, lambda i, o: (0.0, 2 / i, 1.8)),
    ({"kind": "xavier", "distribution": "normal"}, lambda i, o: (0.0, 2 / (i + o), 3.0)),
    ({"kind": "xavier", "distribution": "uniform"}, lambda i, o: (0.0, 2 / (i + o), 1.8)),
    ({"kind": "caffe_xavier", "variance_norm": "fan_in"}, lambda i, o: (0.0, 1 / i, 1.8)),
    ({"kind": "caffe_xavier", "variance_norm": "fan_out"}, lambda i, o: (0.0, 1 / o, 1.8)),
    ({"kind": "caffe_xavier", "variance_norm": "average"}, lambda i, o: (0.0, 2 / (i + o), 1.8)),
    ({"kind": "caffe_msra", "variance_norm": "fan_in"}, lambda i, o: (0.0, 2 / i, 3.0)),
    ({"kind": "caffe_msra", "variance_norm": "fan_out"}, lambda i, o: (0.0, 2 / o, 3.0)),
    ({"kind": "caffe_msra", "variance_norm": "average"}, lambda i, o: (0.0, 4 / (i + o), 3.0)),
    ({"kind": "rand"}, lambda i, o: (0.5 / np.sqrt(i), 1 / (12 * i), 1.8)),
]


def first_weight(layer: dict[str, Any], initialization: dict[str, Any], seed: int = 0) -> np.ndarray:
    shape = (300,) if layer["kind"] == "dense" else (5, 4, 16)
    data = DataShape(input_shape=shape, classes=None, targets=1)
    made = program(
        shape=data, architecture={"layers": [layer], "head": "auto"}, initialization=initialization, precision="float64", seed=seed
    )
    return next(value for name, value in made.parameters().items() if name.endswith("weight"))


@pytest.mark.parametrize("kind", FANS)
@pytest.mark.parametrize(
    ("initialization", "spread"), SPREADS, ids=lambda each: "_".join(map(str, each.values())) if isinstance(each, dict) else ""
)
def test_layers_have_the_variance_of_their_fans(kind: str, initialization: dict[str, Any], spread: Any) -> None:
    layer, fans, caffe = FANS[kind]
    w = first_weight(layer, initialization)
    mean, variance, kurtosis = spread(*(caffe if initialization["kind"].startswith("caffe") else fans))
    assert abs(w.mean() - mean) < 3 * np.sqrt(variance / w.size)
    assert abs(w.var() - variance) < 3 * variance * np.sqrt((kurtosis - 1) / w.size)


@pytest.mark.parametrize("kind", FANS)
def test_orthogonal_and_sparse_weights_of_layers_have_their_variance(kind: str) -> None:
    layer, _, _ = FANS[kind]
    w = first_weight(layer, {"kind": "orthogonal", "gain": 2.0})
    longer = max(w.size // w.shape[-1], w.shape[-1])
    np.testing.assert_allclose(np.mean(w**2), 4 / longer, rtol=1e-12)  # the shorter side's vectors have length 2 each
    # of 200 seeds two lie beyond 3 standard errors at the convolution; 0 is one of them
    w = first_weight(layer, {"kind": "sparse", "connections": 10, "std": 0.5}, seed=1)
    kept, outputs = w[w != 0], w.shape[-2 if kind == "conv_transpose" else -1]
    assert kept.size == 10 * outputs
    assert abs(kept.mean()) < 3 * 0.5 / np.sqrt(kept.size) and abs(kept.var() - 0.25) < 3 * 0.25 * np.sqrt(2 / kept.size)


def test_uniform_has_the_mean_and_variance_of_its_range() -> None:
    w = drawn(Uniform(low=0.0, high=0.01))  # what `0.01 * rand` gives in place of `0.01 * randn`: nothing negative
    assert w.min() >= 0 and w.max() < 0.01
    assert abs(w.mean() - 0.005) < 3 * 0.01 / np.sqrt(12 * 60_000)


def test_constant() -> None:
    assert (drawn(Constant(value=0.25)) == 0.25).all()


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (17, 17), (3, 3, 4, 8)])
def test_orthogonal_is(shape: tuple[int, ...]) -> None:
    w = draw(Orthogonal(gain=2.0), shape, fan_in=1, fan_out=1, seed=0, name="fc1.weight").reshape(-1, shape[-1])
    short = w.T @ w if len(w) >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(short, 4 * np.eye(len(short)), atol=1e-13)


def test_orthogonal_matrices_have_both_signs_on_their_diagonal() -> None:
    diagonal = np.array([np.diag(drawn(Orthogonal(), seed=seed)) for seed in range(3)])
    assert abs((diagonal > 0).mean() - 0.5) < 3 * 0.5 / np.sqrt(diagonal.size)


def test_sparse_gives_each_output_so_many_weights() -> None:
    w = drawn(Sparse(connections=15, std=0.5))
    assert ((w != 0).sum(axis=0) == 15).all()
    kept, n = w[w != 0], 200 * 15
    assert abs(kept.var() - 0.25) < 3 * 0.25 * np.sqrt(2 / n) and abs(kept.mean()) < 3 * 0.5 / np.sqrt(n)
    # each of the 300 inputs is as likely to be used: 200 draws of 15 out of 300
    assert abs((w != 0).sum(axis=1).std() - np.sqrt(200 * 0.05 * 0.95)) < 0.5
    assert (drawn(Sparse(connections=1000)) != 0).all()


def test_sparse_counts_the_weights_into_an_output_channel_of_a_transposed_convolution() -> None:
    layers = [{"kind": "conv_transpose", "channels": 7, "kernel": 3, "stride": 2}]
    shape = DataShape(input_shape=(3, 2, 20), classes=3, targets=None)
    made = program(shape=shape, architecture={"layers": layers, "head": "auto"}, initialization={"kind": "sparse", "connections": 12})
    w = made.parameters()["conv_transpose1.weight"]  # [kh, kw, O, I]
    assert w.shape == (3, 3, 7, 20) and ((w != 0).sum((0, 1, 3)) == 12).all()


@pytest.mark.parametrize("kind", INITIALIZATIONS)
def test_biases_of_hidden_layers_start_where_the_initialization_says(kind: str) -> None:
    own = {"weight": "normal"} if kind == "formula" else {}
    state = program(6, 5, initialization={"kind": kind, "bias_init": 0.01, **own}).state()
    assert (state["fc1.bias"] == 0.01).all() and (state["fc2.bias"] == 0.01).all() and not state["fc3.bias"].any()


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_biases_of_convolutions_do_too(kind: str) -> None:
    layers = [{"kind": kind, "channels": 6}, {"kind": kind, "channels": 5, "initialization": {"kind": "he", "bias_init": 0.5}}]
    images = DataShape(input_shape=(4, 5, 3), classes=3, targets=None)
    made = program(shape=images, architecture={"layers": layers}, initialization={"kind": "he", "bias_init": 0.01})
    assert (made.state()[f"{kind}1.bias"] == 0.01).all() and (made.state()[f"{kind}2.bias"] == 0.5).all()
    assert not made.state()["fc1.bias"].any()


def test_an_output_layer_may_ask_for_a_bias_of_its_own() -> None:
    layer = {"kind": "dense", "units": 3, "initialization": {"kind": "he", "bias_init": -1.0}}
    assert (program(architecture={"layers": [layer], "head": None}).state()["fc1.bias"] == -1.0).all()


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({"initialization": {"kind": "uniform", "low": 1.0, "high": 0.5}})
    assert str(caught.value) == "initialization.high = 0.5: must be at least initialization.low, which is 1.0"


def test_a_draw_depends_on_seed_and_name() -> None:
    assert np.array_equal(drawn(He()), drawn(He()))
    assert not np.array_equal(drawn(He()), drawn(He(), name="fc2.weight"))
    assert not np.array_equal(drawn(He()), drawn(He(), seed=1))


def test_arms_of_an_ablation_start_from_the_same_weights() -> None:
    plain = program(6, 5).parameters()
    arms = [
        program(6, 5, regularization={"dropout": "inverted", "keep_prob": 0.5}),
        program(6, 5, normalization={"kind": "batch"}),
        program(6, 5, optimizer={"kind": "sgd"}),
        program(6, 5, backend={"kind": "numpy"}),
    ]
    for arm in arms:
        for name in ("fc1.weight", "fc2.weight", "fc3.weight"):
            np.testing.assert_array_equal(arm.parameters()[name], plain[name])


def test_another_layer_reshuffles_none_of_the_others() -> None:
    assert np.array_equal(program(6, 5).parameters()["fc1.weight"], program(6, 5, 4).parameters()["fc1.weight"])


def test_biases_start_at_zero_and_batch_norm_at_the_identity() -> None:
    state = program(6, normalization={"kind": "batch", "position": "post"}).state()
    assert not state["fc1.bias"].any() and not state["bn1.beta"].any() and not state["bn1.running_mean"].any()
    assert (state["bn1.gamma"] == 1).all() and (state["bn1.running_variance"] == 1).all()


@pytest.mark.parametrize(("scale", "largest"), [(None, 0.1), (0.5, 0.5)])
def test_the_notes_rand_is_uniform_from_zero_to_its_scale(scale: float | None, largest: float) -> None:
    weights = draw(Rand(scale=scale), (100, 200), fan_in=100, fan_out=200, seed=0, name="fc1.weight")
    assert weights.min() >= 0.0 and weights.max() < largest
    error = largest / np.sqrt(12 * weights.size)
    assert abs(weights.mean() - largest / 2) < 3 * error
