"""Layers of the catalogue at numbers worked out by hand, and their gradients: pools, padding, upsampling, dropout and norms anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.data import DataShape
from pipeline.layers.dropout import ALPHA
from pipeline.program.program import Program
from pipeline.program.variance import predicted
from tests.program.configs import data, program, slope_and_difference
from tests.refusal import refused

IMAGES = DataShape(input_shape=(5, 4, 2), classes=3, targets=None)
BACKENDS = ("reference", "numpy")


def made(*layers: dict[str, Any], shape: DataShape = IMAGES, backend: str = "reference", **changes: Any) -> Program:
    return program(shape=shape, architecture={"layers": list(layers)}, activation="identity", backend={"kind": backend}, **changes)


def values(layer: dict[str, Any], x: Any, backend: str) -> Any:
    """What a layer makes of images x [N, H, W, C]."""
    one = made({**layer, "name": "looked_at"}, shape=DataShape(input_shape=np.shape(x)[1:], classes=3, targets=None), backend=backend)
    return one.layer_values(np.asarray(x, float))["looked_at"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_upsampling(backend: str) -> None:
    x = np.array([[1.0, 2.0], [3.0, 5.0]])[None, :, :, None]
    np.testing.assert_array_equal(values({"kind": "upsample"}, x, backend)[0, :, :, 0], np.repeat(np.repeat(x[0, :, :, 0], 2, 0), 2, 1))
    rows = values({"kind": "upsample", "factor": [1, 2], "method": "bilinear"}, x, backend)[0, :, :, 0]
    np.testing.assert_allclose(rows, [[1.0, 1.25, 1.75, 2.0], [3.0, 3.5, 4.5, 5.0]], rtol=1e-15)
    thirds = values({"kind": "upsample", "factor": [1, 3], "method": "bilinear"}, x, backend)[0, 0, :, 0]
    np.testing.assert_allclose(thirds, [1.0, 1.0, 4 / 3, 5 / 3, 2.0, 2.0], rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_pools_that_round_up_and_count_their_padding(backend: str) -> None:
    x = np.arange(1.0, 6.0)[None, :, None, None]
    pool = {"kernel": [2, 1], "stride": [2, 1]}
    assert values({"kind": "max_pool", **pool}, x, backend).ravel().tolist() == [2.0, 4.0]
    assert values({"kind": "max_pool", "ceil": True, **pool}, x, backend).ravel().tolist() == [2.0, 4.0, 5.0]
    assert values({"kind": "average_pool", "ceil": True, **pool}, x, backend).ravel().tolist() == [1.5, 3.5, 5.0]
    padded = {**pool, "padding": [1, 0]}
    assert values({"kind": "average_pool", **padded}, x, backend).ravel().tolist() == [1.0, 2.5, 4.5]
    assert values({"kind": "average_pool", "count_padding": True, **padded}, x, backend).ravel().tolist() == [0.5, 2.5, 4.5]
    # no position begins in what is added: 3 rows by 2 with a row of padding below end with the padding
    assert values({"kind": "max_pool", "ceil": True, **pool, "padding": [0, 1, 0, 0]}, x, backend).ravel().tolist() == [2.0, 4.0, 5.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_padding_on_each_side(backend: str) -> None:
    one = made({"kind": "conv", "channels": 1, "kernel": 2, "padding": [1, 0, 0, 2], "name": "c"}, backend=backend)
    weight = np.zeros((2, 2, 2, 1))
    weight[1, 0, 0, 0] = 1.0  # the pixel below, which is x itself where a row was added on top
    one.load_parameters({**one.parameters(), "c.weight": weight})
    x, _ = data(3, IMAGES)
    np.testing.assert_allclose(one.layer_values(x)["c"][:, :, :4, 0], x[..., 0], rtol=1e-15)
    assert one.layer_values(x)["c"].shape == (3, 5, 5, 1)


def test_padding_is_one_number_two_or_four() -> None:
    hint = "write padding: [rows, columns] or [top, bottom, left, right]"
    with refused(f"architecture.layers[0].padding = [1, 2, 3]: must be one number, two or four; {hint}"):
        made({"kind": "conv", "channels": 1, "padding": [1, 2, 3]})


@pytest.mark.parametrize("backend", BACKENDS)
def test_rms_norm(backend: str) -> None:
    one = made({"kind": "normalization", "normalization": {"kind": "rms"}, "name": "n"}, backend=backend)
    x, _ = data(3, IMAGES)
    root = np.sqrt((x**2).mean((1, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(one.layer_values(x)["n_rms"], x / root, rtol=1e-12)


@pytest.mark.parametrize(("form", "variance"), [("alpha", 1.0), ("inverted", 1 / 0.7), ("traditional", 0.7)])
def test_alpha_dropout_keeps_mean_and_variance_and_the_others_do_not(form: str, variance: float) -> None:
    """Of 32,768 numbers of mean 0 and variance 1, through the ops of training."""
    one = made({"kind": "dropout", "rate": 0.3, "form": form, "name": "d"}, shape=DataShape(input_shape=(64,), classes=3, targets=None))
    found = {row.layer: row for row in predicted(one.structure.network, 0)}["d_dropout"]
    assert found.mean == pytest.approx(0.0, abs=0.02) and found.variance == pytest.approx(variance, rel=0.03)


def test_what_alpha_dropout_leaves_out_is_where_selu_ends() -> None:
    assert pytest.approx(-1.0507009873554805 * 1.6732632423543772) == ALPHA


CONV = {"kind": "conv", "channels": 4, "name": "c"}
GRADIENTS: dict[str, list[dict[str, Any]]] = {
    "normalization on the input": [{"kind": "normalization", "normalization": {"kind": "batch"}}, CONV],
    "normalization after a pool": [CONV, {"kind": "max_pool"}, {"kind": "normalization", "normalization": {"kind": "layer"}}],
    "rms": [{**CONV, "normalization": {"kind": "rms"}}],
    "rms of units": [{"kind": "dense", "units": 5, "normalization": {"kind": "rms"}}],
    "dropout": [{"kind": "dropout", "rate": 0.3}, CONV],
    "traditional dropout": [CONV, {"kind": "dropout", "rate": 0.3, "form": "traditional"}],
    "alpha dropout": [CONV, {"kind": "dropout", "rate": 0.3, "form": "alpha"}],
    "nearest": [CONV, {"kind": "upsample", "factor": [2, 3]}, {"kind": "max_pool"}],
    "bilinear": [CONV, {"kind": "upsample", "factor": [3, 2], "method": "bilinear"}],
    "transposed in groups": [CONV, {"kind": "conv_transpose", "channels": 6, "groups": 2, "stride": 2}],
    "ceil": [CONV, {"kind": "max_pool", "kernel": 3, "stride": 2, "ceil": True}],
    "ceil of means": [CONV, {"kind": "average_pool", "kernel": 3, "stride": 2, "ceil": True, "padding": 1, "count_padding": True}],
    "padding on each side": [{**CONV, "padding": [2, 0, 1, 1]}],
    "transposed with padding on each side": [{"kind": "conv_transpose", "channels": 3, "stride": 2, "padding": [1, 0, 0, 1]}],
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients(case: str, backend: str) -> None:
    slope, difference = slope_and_difference(made(*GRADIENTS[case], backend=backend), *data(8, IMAGES))
    assert slope == pytest.approx(difference, rel=1e-6)
