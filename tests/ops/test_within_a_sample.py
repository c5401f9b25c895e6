"""Layer, group and instance norm over drawn shapes, on every backend, against the formulas.

epsilon is 0, so that a group has variance 1 exactly, and a sample may be moved and scaled without a change: within a group the gradient
sums to nothing, alone and against x.
"""

# N batch, P places of an image (1 for a dense layer), C channels, G groups
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.contract import Array, Backend
from pipeline.layers.group_norm import GroupNormalization, InstanceNormalization, LayerNormalization
from tests.ops.conftest import QUICK, load
from tests.ops.single import layer_node, run_layer

FEW = settings(max_examples=12, deadline=None, derandomize=True)


@st.composite
def example(draw: st.DrawFn) -> dict[str, Any]:
    """A shape, and groups that leave at least 4 numbers each: fewer are often so near to each other that 1 / std has no bounds."""
    image = draw(st.booleans())
    groups = draw(st.sampled_from([1, 2, 3, 5, 8]))
    each = draw(st.sampled_from([1, 2, 3, 4, 9, 17, 33, 70]))
    places = (draw(st.integers(1, 6)), draw(st.integers(1, 6))) if image else ()
    if each * int(np.prod(places)) < 4:
        each += 4
    record = draw(st.sampled_from(["group", "layer", "instance"] if image and np.prod(places) >= 4 else ["group", "layer"]))
    shape = (*places, groups * each)
    groups = {"group": groups, "layer": 1, "instance": shape[-1]}[record]
    return {
        "record": {"group": GroupNormalization(groups=groups), "layer": LayerNormalization(), "instance": InstanceNormalization()}[record],
        "shape": shape,
        "groups": groups,
        "batch": draw(st.integers(1, 9)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "precision": draw(st.sampled_from(["float64", "float32"])),
    }


def expected(x: Array, gamma: Array, beta: Array, g: Array, groups: int) -> tuple[dict[str, Array], float]:
    """y, and the gradients of sum(y g); and the largest 1 / std."""
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    std = parts.std((1, 3), keepdims=True)
    normal = (parts - parts.mean((1, 3), keepdims=True)) / std
    d = (g * gamma).reshape(parts.shape)
    dx = (d - d.mean((1, 3), keepdims=True) - normal * (d * normal).mean((1, 3), keepdims=True)) / std
    rows = tuple(range(x.ndim - 1))
    flat = normal.reshape(x.shape)
    y = {"y": flat * gamma + beta, "x": dx.reshape(x.shape), "layer.gamma": (g * flat).sum(rows), "layer.beta": g.sum(rows)}
    return y, float(1 / std.min())


@pytest.fixture(params=QUICK, scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend of this machine."""
    return load(request.param)


@FEW
@given(drawn=example())
def test_values_and_gradients(drawn: dict[str, Any], backend: Backend) -> None:
    rng = np.random.default_rng(drawn["seed"])
    node = layer_node(drawn["record"], drawn["shape"])
    shapes = {"x": (drawn["batch"], *drawn["shape"]), "g": (drawn["batch"], *drawn["shape"])}
    shapes |= {p.name: p.shape for p in node.parameters}
    arrays = {name: rng.uniform(-2, 2, shape).astype(np.float32).astype(np.float64) for name, shape in shapes.items()}
    found = run_layer(backend, node, arrays, drawn["precision"])
    wanted, steepness = expected(arrays["x"], arrays["layer.gamma"], arrays["layer.beta"], arrays["g"], drawn["groups"])
    exact = drawn["precision"] == "float64" or backend.name == "reference"
    tolerance = (1e-12 if exact else 2e-5) * max(1.0, steepness) ** 2
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=tolerance * max(1.0, float(np.abs(value).max())), err_msg=name)
    parts, shape = found["x"].reshape(drawn["batch"], -1, drawn["groups"], drawn["shape"][-1] // drawn["groups"]), arrays["x"]
    count = parts.shape[1] * parts.shape[3]
    np.testing.assert_allclose(parts.sum((1, 3)), 0, atol=10 * count * tolerance)
    np.testing.assert_allclose((parts * shape.reshape(parts.shape)).sum((1, 3)), 0, atol=10 * count * tolerance)
