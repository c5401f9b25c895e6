"""The third array that a step gathers, the weights of the rows, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Backend
from pipeline.compiler.structure import Structure
from pipeline.graph.values import Array
from pipeline.program.program import Program
from tests.program.configs import CLASSES, config, data, order


def trained(backend: Backend, precision: str) -> tuple[Array, dict[str, Array]]:
    """Losses and parameters after five steps with weights of classes and rows."""
    settings = config(6, loss={"kind": "auto", "class_weights": [0.5, 2.0, 1.0]}, precision=precision)
    structure = Structure(settings, CLASSES, backend)
    made = Program(structure, settings, structure.allocate(1))
    x, y = data()
    return made.run(x, y, order(5), np.linspace(0, 3, len(y))), made.parameters()


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_weighted_steps_are_those_of_the_reference(other: Backend, reference: Backend, precision: str, tolerance: float) -> None:
    losses, parameters = trained(other, precision)
    expected, wanted = trained(reference, precision)
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    for name, value in parameters.items():
        np.testing.assert_allclose(value, wanted[name], rtol=10 * tolerance, atol=10 * tolerance)
