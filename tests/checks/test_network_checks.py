"""Start loss, regularization, tiny batch and dry run: what is right passes, what is wrong fails with its sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.checks.dry_run import check_dry_run
from pipeline.checks.penalty import check_penalty
from pipeline.checks.run import check
from pipeline.checks.start_loss import check_start_loss, constant_loss, expected
from pipeline.checks.tiny_batch import check_tiny_batch
from pipeline.compiler import lower
from pipeline.recipe import losses
from tests.checks.networks import AUGMENTED, BN, LINEAR, LOGISTIC, MLP, STREAMED, WEIGHTED, experiment, rows


@pytest.mark.parametrize(
    "overrides", [BN, AUGMENTED, STREAMED, WEIGHTED, LINEAR, LOGISTIC], ids=["bn", "cnn", "streamed", "weighted", "linear", "logistic"]
)
def test_a_sound_network_passes_every_check(overrides: tuple[str, ...]) -> None:
    findings = check(experiment(*overrides, "check.elements=2"), rows(*overrides))
    assert [finding for finding in findings if not finding.passed] == []
    assert [finding.check for finding in findings][:3] == ["dry run", "start loss", "regularization"]
    assert findings[-1].check == "tiny batch"


def test_the_expected_start_loss_is_in_closed_form() -> None:
    wine, diabetes = rows(*MLP), rows(*LINEAR)
    for loss, given, value, words in (
        (losses.SoftmaxCrossEntropy(), wine, math.log(3), "ln 3"),
        (losses.Hinge(), wine, 2.0, "equal scores"),
        (losses.Logistic(), rows(*LOGISTIC), math.log(2), "ln 2"),
        (losses.MeanSquaredError(), diabetes, 1.0, "variance of the target"),
    ):
        found, name = expected(loss, given)
        assert found == pytest.approx(value, rel=1e-12) and name == words
    centered = diabetes.y - diabetes.y.mean()
    assert expected(losses.MeanAbsolute(), diabetes)[0] == pytest.approx(np.abs(centered).mean(), rel=1e-12)
    assert constant_loss(losses.Huber(delta=0.5), np.zeros((1, 1)), np.full((1, 1), 2.0)) == 0.5 * (2.0 - 0.25)


def test_a_zero_initialization_starts_at_ln_c_exactly() -> None:
    found = check_start_loss(experiment(*MLP, "initialization=zeros"), rows(*MLP))
    assert found.passed
    assert (found.measured, found.expected) == ("1.099", "1.099 = ln 3, from 0.5 to 3 times")


def test_weights_that_start_too_large_are_found() -> None:
    found = check_start_loss(experiment(*MLP, "initialization=normal", "initialization.std=10"), rows(*MLP))
    assert not found.passed and float(found.measured) > 3 * math.log(3)
    assert found.advice == (
        "weights that start too large or inputs that are not scaled: try initialization=xavier, preprocessing=standardize"
    )


def test_inputs_that_are_not_scaled_are_found() -> None:
    raw = (*MLP, "preprocessing=none")
    assert not check_start_loss(experiment(*raw), rows(*raw)).passed


def test_the_penalty_rises_by_its_formula_also_where_a_layer_has_its_own() -> None:
    own = "architecture.layers=[{kind: dense, units: 8, regularization: {l1: 1e-3}}]"
    for overrides in (BN, LINEAR, (*MLP, own)):
        found = check_penalty(experiment(*overrides), rows(*overrides))
        assert found.passed, found
        assert found.expected.endswith(" = 0.005 * sum of squared weights")


def test_a_penalty_that_forgets_a_weight_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = lower._penalty
    monkeypatch.setattr(lower, "_penalty", lambda b, network: right(b, network.__class__(**_without_last(network))))
    found = check_penalty(experiment(*MLP), rows(*MLP))
    assert not found.passed
    assert found.advice == "the penalty of some weight is missing or counted twice"


def _without_last(network: object) -> dict[str, object]:
    fields = {name: getattr(network, name) for name in ("input_shape", "nodes", "loss")}
    return {**fields, "nodes": fields["nodes"][:-1]}


def test_weights_of_zero_have_no_penalty() -> None:
    found = check_penalty(experiment(*MLP, "initialization=zeros"), rows(*MLP))
    assert (found.passed, found.expected, found.advice) == (False, "above 0", "all weights are 0: use another initialization")


def test_a_tiny_batch_is_learned_by_heart_although_dropout_and_penalty_are_configured() -> None:
    config = experiment(*BN, "regularization.keep_prob=0.2", "regularization.l2=10")
    found = check_tiny_batch(config, rows(*BN), rows=20, steps=1000)
    assert found.passed, found
    assert found.measured.startswith("20 of 20 rows right after ") and found.expected == "all of 20 rows right"


def test_a_network_that_starts_at_zero_cannot_learn_it() -> None:
    found = check_tiny_batch(experiment(*MLP, "initialization=zeros"), rows(*MLP), rows=20, steps=30)
    assert not found.passed and found.measured.endswith(" of 20 rows right after 30 steps")
    assert found.advice == (
        "try another optimizer.learning_rate (now 0.001; task=lr_range suggests one), another initialization, "
        "a wider network, or more steps: check.steps=60"
    )


def test_a_learning_rate_of_next_to_nothing_cannot_learn_it() -> None:
    overrides = (*LINEAR, "optimizer.learning_rate=1e-9")
    found = check_tiny_batch(experiment(*overrides), rows(*LINEAR), rows=20, steps=50)
    assert not found.passed
    assert found.expected == "squared error below 0.1 of the variance of 5 rows"


def test_a_learning_rate_that_is_far_too_high_is_told() -> None:
    found = check_tiny_batch(experiment(*LINEAR, "optimizer.learning_rate=1e9"), rows(*LINEAR), rows=20, steps=100)
    assert not found.passed and found.measured.startswith("training diverged at step ")
    assert found.advice == "lower optimizer.learning_rate = 1e+09"


def test_the_dry_run_gives_loss_and_shape() -> None:
    found = check_dry_run(experiment(*MLP), rows(*MLP))
    assert found.passed and found.expected == "finite loss, state and prediction [16, 3]"
    assert found.measured.endswith(", prediction [16, 3], finite")


def test_a_step_into_infinity_fails_the_dry_run() -> None:
    config = experiment(*MLP, "optimizer=sgd", "optimizer.learning_rate=1e38")
    found = check_dry_run(config, rows(*MLP))
    assert not found.passed and "not finite: " in found.measured
    assert found.advice == "lower optimizer.learning_rate = 1e+38"


def test_a_loss_that_is_not_finite_fails_the_dry_run() -> None:
    config = experiment(*MLP, "initialization=normal", "initialization.std=1e30")
    found = check_dry_run(config, rows(*MLP))
    assert (found.passed, found.measured) == (False, "a loss that is not finite")
    assert found.advice.startswith("training diverged at step 1: the loss is not finite; the first non-finite value is in layer fc2 (op ")
