"""The gradient check accepts right rules and finds wrong ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.checks.gradients import GOOD, check_gradients, check_tensor
from pipeline.checks.probe import Probe
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node
from pipeline.ops import OPS
from pipeline.ops.table import GradientRule
from tests.checks.networks import AUGMENTED, BN, CNN, LENET, LINEAR, LOGISTIC, MLP, WEIGHTED, experiment, rows

NETWORKS = {
    "mlp": MLP,
    "bn": BN,
    "cnn": CNN,
    "lenet": LENET,
    "weighted": WEIGHTED,
    "augmented": AUGMENTED,
    "linear": LINEAR,
    "logistic": LOGISTIC,
}


@pytest.mark.parametrize("overrides", NETWORKS.values(), ids=NETWORKS)
def test_right_rules_are_good_for_every_tensor(overrides: tuple[str, ...]) -> None:
    config = experiment(*overrides)
    findings = check_gradients(config, rows(*overrides), elements=6)
    assert findings and all(finding.passed for finding in findings), findings
    assert all("good" in finding.measured for finding in findings), findings


def test_every_tensor_is_named_and_elements_are_bounded() -> None:
    findings = check_gradients(experiment(*MLP), rows(*MLP), elements=5)
    assert [finding.check for finding in findings] == [f"gradient of fc{n}.{part}" for n in (1, 2, 3) for part in ("weight", "bias")]
    assert findings[0].measured.endswith("good (5 of 208 elements)")
    assert findings[-1].measured.endswith("good (3 of 3 elements)")
    assert {finding.expected for finding in findings} == {"below 1e-05"}


def wrong_rule(op: str, factor: float) -> GradientRule:
    """The gradient rule of `op` with the gradient of its first input `factor` times too large."""
    right = OPS[op].gradient
    assert right is not None

    def gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
        first, *rest = right(b, node, grads)
        assert first is not None
        return b.add("mul", first, b.constant(factor)), *rest

    return gradient


@pytest.mark.parametrize(
    ("op", "overrides"),
    [("tanh", BN), ("batch_norm", BN), ("maximum", MLP), ("max_pool", CNN), ("conv", CNN)],
    ids=lambda v: str(v)[:10],
)
def test_a_wrong_rule_is_found_in_the_tensors_before_it_and_not_after(
    op: str, overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if op == "conv":  # a convolution's first layer sends nothing on to its input
        overrides = (*overrides, "architecture.layers=[{kind: conv, channels: 3, kernel: 3}, {kind: conv, channels: 4, kernel: 3}]")
    monkeypatch.setitem(OPS, op, replace(OPS[op], gradient=wrong_rule(op, 1.01)))
    findings = {finding.check: finding for finding in check_gradients(experiment(*overrides), rows(*overrides), elements=4)}
    first, last = next(iter(findings.values())), list(findings.values())[-1]
    assert not first.passed and " bad (" in first.measured, first
    assert first.advice.startswith("the gradient rule of an op on the way to ")
    assert last.passed, last


def test_a_small_fault_is_no_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "tanh", replace(OPS["tanh"], gradient=wrong_rule("tanh", 1.0 + 1e-4)))
    first = check_gradients(experiment(*BN), rows(*BN), elements=4)[0]
    assert not first.passed and " look (" in first.measured


def test_an_element_at_a_kink_is_left_out_and_said() -> None:
    config = experiment(*MLP)
    given = rows(*MLP)
    probe = Probe(config, given, np.arange(8))
    # every unit of fc1 is moved onto its kink for row 0
    weight, bias = probe.parameters["fc1.weight"], probe.parameters["fc1.bias"]
    bias[:] = -(given.x[:1][0].astype(np.float64) @ weight)
    probe._memory.write(0, "fc1.bias", bias)
    analytic = probe.gradients()
    found = check_tensor(probe, "fc1.bias", analytic["fc1.bias"], 16, seed=0)
    assert (found.checked, found.skipped) == (0, 16) and np.isnan(found.error)
    assert check_tensor(probe, "fc3.bias", analytic["fc3.bias"], 16, seed=0).error < GOOD


def test_the_check_is_the_same_twice_and_on_the_oracle() -> None:
    first, again = (check_gradients(experiment(*MLP), rows(*MLP), elements=3) for _ in range(2))
    assert first == again
    assert all(finding.passed for finding in check_gradients(experiment(*MLP, "backend=reference"), rows(*MLP), elements=3))
