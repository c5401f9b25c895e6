"""The reference kernels against written-out numbers: nothing else checks the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from backends.reference.kernels import KERNELS


def test_sigmoid_is_exact_at_both_ends() -> None:
    with np.errstate(over="raise", invalid="raise"):
        y = KERNELS["sigmoid"](np.array([-1000.0, -30.0, 0.0, 30.0, 1000.0]))
    assert y.tolist() == [0.0, pytest.approx(9.357622968839299e-14, rel=1e-14), 0.5, pytest.approx(1 - 9.357622968839299e-14), 1.0]


def test_sigmoid_passes_nan_on() -> None:
    assert np.isnan(KERNELS["sigmoid"](np.array([np.nan]))).all()


def test_softplus_is_linear_for_large_inputs_and_vanishes_for_small_ones() -> None:
    y = KERNELS["softplus"](np.array([-1000.0, 0.0, 1000.0]))
    assert y.tolist() == [0.0, pytest.approx(np.log(2.0), rel=1e-15), 1000.0]


def test_softmax_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes() -> None:
    loss, probabilities = KERNELS["softmax_cross_entropy"](np.full((2, 4), 1e4), np.array([0, 3], np.int32))
    assert loss == pytest.approx([np.log(4.0)] * 2, rel=1e-15)
    assert probabilities == pytest.approx(np.full((2, 4), 0.25), rel=1e-15)


def test_softmax_cross_entropy_of_a_lost_class_is_the_distance_of_its_logit() -> None:
    loss, _ = KERNELS["softmax_cross_entropy"](np.array([[1000.0, 0.0]]), np.array([1], np.int32))
    assert loss.tolist() == [1000.0]


def test_batch_norm_keeps_its_digits_when_the_mean_is_far_from_zero() -> None:
    x = 1e8 + np.array([[-1.0], [1.0], [-1.0], [1.0]])
    y, mean, variance = KERNELS["batch_norm"](x, np.array([2.0]), np.array([3.0]), np.asarray(0.0))
    assert (y[:, 0].tolist(), mean.tolist(), variance.tolist()) == ([1.0, 5.0, 1.0, 5.0], [1e8], [1.0])


def test_matmul_takes_either_operand_transposed() -> None:
    a, c = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    expected = [[20.0, 23.0, 26.0, 29.0], [56.0, 68.0, 80.0, 92.0]]
    assert KERNELS["matmul"](a, c).tolist() == expected
    assert KERNELS["matmul"](a.T, c, transpose_a=True).tolist() == expected
    assert KERNELS["matmul"](a, c.T, transpose_b=True).tolist() == expected


def test_maximum_and_max_pass_nan_on() -> None:
    assert np.isnan(KERNELS["maximum"](np.array([np.nan]), np.array([1.0]))).all()
    assert np.isnan(KERNELS["max"](np.array([1.0, np.nan]), axes=(0,)))
