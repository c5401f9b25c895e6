"""The gather makes the numbers of x from what is stored: the bits of the preprocessing done in advance, on every backend."""

# N data rows, K trials, S steps, B batch rows, F... shape of a row
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.contract import Array, Backend, Feed
from pipeline.preprocessing import Preprocessing, fit
from tests.ops.running import builder, plan_for

N, K, S, B = 53, 2, 3, 6  # more rows than are gathered
SHAPES = [(1,), (7,), (16,), (64,), (131,), (9, 5, 3)]
STEPS = [(), ("standardize",), ("center", "scale"), ("minmax", "center", "scale")]
# of the program and of what is stored; numbers with more digits than the program's are centered with all of them, in advance
FORMS = [("float32", "uint8"), ("float32", "float32"), ("float64", "uint8"), ("float64", "float32"), ("float64", "float64")]
ORDER = np.random.default_rng(3).integers(0, N, (K, S, B))


def gathered(backend: Backend, x: Array, precision: str, **affine: Array) -> Array:
    """What a program of `precision` gathers from x [N, F...] -> [K, S, B, F...]."""
    b = builder(precision)
    b.outputs["x"] = b.add("reshape", b.input("x", (B, *x.shape[1:]), "data"), shape=(B, x[0].size))
    plan = plan_for(backend, b.graph(), batch=B)
    tables: dict[str, Any] = {"values": np.zeros((K, S, 0)), "words": np.zeros((K, S, 0), np.uint32)}
    feed = Feed(x=x, y=np.zeros(N), order=ORDER, **tables, **affine)
    return backend.load(plan).run(backend.allocate(plan.state, K), feed).outputs["x"].reshape(K, S, B, *x.shape[1:])


def rows(dtype: str, shape: tuple[int, ...]) -> Array:
    """Numbers with all their digits, a feature that is constant among them."""
    x = np.random.default_rng(len(shape)).normal(90, 40, (N, *shape)).clip(0, 255)
    x.reshape(N, -1)[:, -1] = 3
    return x.astype(dtype)


@pytest.mark.parametrize("steps", STEPS, ids="-".join)
@pytest.mark.parametrize(("precision", "dtype"), FORMS)
def test_the_gather_prepares_rows_as_the_preprocessing_does(backend: Backend, precision: str, dtype: str, steps: tuple[str, ...]) -> None:
    for shape in SHAPES:
        x = rows(dtype, shape)
        fitted = fit(Preprocessing(steps=steps), x, precision=precision)
        pairs = fitted.pairs(shape)
        assert pairs is not None and pairs.dtype == precision and pairs.shape == (len(steps), 2, x[0].size)
        found = gathered(backend, x, precision, affine=pairs)
        np.testing.assert_array_equal(found, fitted.apply(x)[ORDER])
        assert found.tobytes() == gathered(backend, fitted.apply(x), precision).tobytes()


def test_x_may_have_row_numbers_of_its_own(backend: Backend) -> None:
    x, y = rows("uint8", (16,)), np.arange(N - 4).astype(np.int32)
    b = builder("float32")
    b.outputs["x"] = b.add("reshape", b.input("x", (B, 16), "data"), shape=(B * 16,))
    b.outputs["y"] = b.add("cast", b.input("y", (B,), "data", "int32"), dtype="float32")
    plan = plan_for(backend, b.graph(), batch=B)
    order = np.random.default_rng(5).integers(0, len(y), (K, S, B))
    tables: dict[str, Any] = {"values": np.zeros((K, S, 0)), "words": np.zeros((K, S, 0), np.uint32)}
    found = backend.load(plan).run(backend.allocate(plan.state, K), Feed(x=x, y=y, order=order, x_order=ORDER, **tables)).outputs
    np.testing.assert_array_equal(found["x"].reshape(K, S, B, 16), x[ORDER])
    np.testing.assert_array_equal(found["y"], y[order])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_each_trial_may_prepare_rows_in_a_way_of_its_own(backend: Backend, dtype: str) -> None:
    x = rows(dtype, (131,))
    fitted = [fit(Preprocessing(steps=("center", "scale")), x[k :: K + 1]) for k in range(K)]
    found = gathered(backend, x, "float32", affine=np.stack([one.pairs((131,)) for one in fitted]))  # type: ignore[misc]
    for made, one, order in zip(found, fitted, ORDER, strict=True):
        np.testing.assert_array_equal(made, one.apply(x)[order])


@pytest.mark.parametrize("axes", ["channel", "global"])
def test_statistics_that_numbers_of_a_row_share_are_given_to_each(backend: Backend, axes: str) -> None:
    x = rows("uint8", (9, 5, 3))
    fitted = fit(Preprocessing(steps=("minmax", "standardize"), axes=axes), x)  # type: ignore[arg-type]
    found = gathered(backend, x, "float32", affine=fitted.pairs((9, 5, 3)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, fitted.apply(x)[ORDER])


def test_numbers_too_small_for_their_exponent_are_kept(backend: Backend) -> None:
    """The step treats denormal numbers as 0, but what is made in advance would have them."""
    x = ((rows("float32", (40,)) + 1) * np.float32(1e-40)).astype(np.float32)
    pairs = np.stack([np.zeros(40), np.full(40, 2.0**20)])[None].astype(np.float32)
    found = gathered(backend, x, "float32", affine=pairs)
    assert (found > 0).all()
    np.testing.assert_array_equal(found, (x * np.float32(2.0**20))[ORDER])


@pytest.mark.parametrize("dtype", ["int16", "bool", "float64", ">f4"])
def test_rows_of_any_type_are_gathered(backend: Backend, dtype: str) -> None:
    x = rows("float64", (5,)).round().astype(dtype)
    np.testing.assert_array_equal(gathered(backend, x, "float32"), x.astype(np.float32)[ORDER])


def test_rows_that_are_combined_have_no_pairs() -> None:
    assert fit(Preprocessing(steps=("standardize", "pca")), rows("uint8", (4,))).pairs((4,)) is None


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kept", [False, True], ids=["", "kept"])
def test_rows_that_follow_each_other_give_the_bits_of_scattered_ones(backend: Backend, precision: str, kept: bool) -> None:
    """A backend may read them where they lie, at any address, but not change them there.  kept: x is an output as well."""
    b = builder(precision)
    x = b.input("x", (B, 21), "data")
    product = b.add("matmul", x, x, transpose_b=True)
    b.outputs["product"], b.outputs["doubled"] = product, b.add("add", x, x)
    if kept:
        b.outputs["x"] = x
    plan = plan_for(backend, b.graph(), batch=B)
    tables: dict[str, Any] = {"values": np.zeros((K, S, 0)), "words": np.zeros((K, S, 0), np.uint32)}
    size = np.dtype(precision).itemsize
    data = np.empty(N * 21 * size + 1, np.uint8)[1:].view(precision).reshape(N, 21)  # no number lies at a multiple of its size
    data[:] = rows(precision, (21,))
    before, shuffled = data.copy(), np.random.default_rng(7).permutation(N)
    order = np.arange(K * S)[:, None] * 7 + np.arange(B)
    order[-1, -1] = order[-1, 0]  # as where a batch is filled up
    order = order.reshape(K, S, B)

    def run(rows: Array, order: Array) -> dict[str, Array]:
        feed = Feed(x=rows, y=np.zeros(N), order=order, **tables)
        return backend.load(plan).run(backend.allocate(plan.state, K), feed).outputs

    found, scattered = run(data, order), run(data[shuffled], np.argsort(shuffled)[order])
    assert data.tobytes() == before.tobytes()
    assert {name: value.tobytes() for name, value in found.items()} == {name: value.tobytes() for name, value in scattered.items()}
    np.testing.assert_array_equal(found["doubled"], 2 * before[order])
