"""Layers that the optimizer leaves as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.program.configs import CLASSES, data, order, program
from tests.refusal import refused

ALL: dict[str, Any] = {"regularization": {"l2": 0.1, "weight_decay": 0.1, "max_norm": 0.5, "clip_norm": 1.0}, "normalization": "batch"}


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_a_frozen_layer_keeps_its_tensors_and_the_others_learn(backend: str) -> None:
    layers = [{"kind": "dense", "units": 5, "frozen": True, "activation": "prelu"}, {"kind": "dense", "units": 6}]
    made = program(shape=CLASSES, architecture={"layers": layers}, backend={"kind": backend}, **ALL)
    before, (x, y) = made.state(), data()
    assert set(made.gradients(x, y)) == {"fc2.weight", "bn2.gamma", "bn2.beta", "fc3.weight", "fc3.bias"}
    made.run(x, y, order(5))
    after = made.state()
    still = {name for name in before if (before[name] == after[name]).all()}
    assert still == {"fc1.weight", "bn1.gamma", "bn1.beta", "prelu1.alpha"}
    assert set(made.parameters()) >= still
    assert "frozen: fc1.weight, bn1.gamma, bn1.beta, prelu1.alpha" in made.explain(["decay"])


def test_with_a_frozen_layer_the_others_have_the_gradients_that_they_have_without() -> None:
    layers = [{"kind": "dense", "units": 5, "frozen": frozen} for frozen in (True, False)]
    some, none = (program(shape=CLASSES, architecture={"layers": [layer, layers[1]]}) for layer in layers)
    x, y = data()
    for name, gradient in some.gradients(x, y).items():
        np.testing.assert_array_equal(gradient, none.gradients(x, y)[name])


def test_a_network_that_is_frozen_whole_is_refused() -> None:
    hint = "leave frozen out of one"
    with refused(f"architecture.layers = 1 layers: every layer is frozen, and nothing would be trained; {hint}"):
        program(shape=CLASSES, architecture={"layers": [{"kind": "dense", "units": 3, "frozen": True}], "head": None})
