"""Initial weights."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.initialization import He, Normal, Xavier, Zeros, draw
from tests.program.configs import program

SHAPE = (300, 200)
CASES = [
    (Normal(std=0.05), 0.05**2, "normal"),
    (Xavier(), 2 / 500, "normal"),
    (Xavier(distribution="uniform"), 2 / 500, "uniform"),
    (He(), 2 / 300, "normal"),
    (He(distribution="uniform"), 2 / 300, "uniform"),
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
