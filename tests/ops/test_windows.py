"""Convolution, its transpose and pooling over drawn shapes, on every backend, against scipy's correlation and plain loops.

A convolution is linear in its image and in its weight, so its gradients are checked without a formula for them: under the gradient g
of the output, <dW, V> = <conv(x, V), g> and <dx, V> = <conv(V, W), g> for a random V.
"""

# N batch, H W image, I O channels, k window, s stride, d dilation, p padding
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d, correlate2d

from backends.contract import Array, Backend
from pipeline.layers.conv import Conv
from pipeline.layers.conv_transpose import ConvTranspose
from pipeline.layers.pool import AveragePool, MaxPool
from pipeline.recipe.initialization import Zeros
from tests.ops.conftest import QUICK, load
from tests.ops.single import layer_node, run_layer

FEW = settings(max_examples=6, deadline=None, derandomize=True)
MANY = settings(max_examples=150, deadline=None)
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 33])
PRECISIONS = st.sampled_from(["float64", "float32"])


@st.composite
def axis(draw: st.DrawFn, *, dilated: bool) -> dict[str, int]:
    """The sizes of a window along one axis, and an image n that it fits into, with 0 to s - 1 places left over."""
    k, s = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    d = draw(st.integers(1, 3)) if dilated else 1
    reach = d * (k - 1) + 1
    p = draw(st.integers(0, reach if dilated else k - 1))
    fits = (draw(st.integers(1, 5)) - 1) * s + reach - 2 * p + draw(st.integers(0, s - 1))
    return {"k": k, "s": s, "d": d, "p": p, "n": max(fits, 1, reach - 2 * p)}


@st.composite
def example(draw: st.DrawFn, *, dilated: bool = True) -> dict[str, Any]:
    """Both axes, the word or numbers of the padding, batch and channels."""
    rows, columns = draw(axis(dilated=dilated)), draw(axis(dilated=dilated))
    both = {field: (rows[field], columns[field]) for field in rows}
    padding = draw(st.sampled_from(["same", "valid", "numbers"]))
    n = tuple(max(n, d * (k - 1) + 1) for n, d, k in zip(both["n"], both["d"], both["k"], strict=True)) if padding == "valid" else both["n"]
    sizes = {"n": n, "k": both["k"], "s": both["s"], "d": both["d"]}
    words = {"padding": both["p"] if padding == "numbers" else padding}
    others = {"batch": draw(st.integers(1, 3)), "channels": (draw(CHANNELS), draw(CHANNELS)), "seed": draw(st.integers(0, 2**32 - 1))}
    return {**sizes, **words, **others, "precision": draw(PRECISIONS)}


def around(padding: Any, n: tuple[int, ...], k: tuple[int, ...], s: tuple[int, ...], d: tuple[int, ...]) -> list[tuple[int, int]]:
    """What is added before and behind each axis of an image n; `same`: as many positions as strides fit, the odd one behind."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding != "same":
        return [(p, p) for p in padding]
    positions = [-(-n[a] // s[a]) for a in (0, 1)]
    missing = [max(0, (positions[a] - 1) * s[a] + d[a] * (k[a] - 1) + 1 - n[a]) for a in (0, 1)]
    return [(total // 2, total - total // 2) for total in missing]


def spread(w: Array, d: tuple[int, ...]) -> Array:
    """The window [kh, kw, ...] with d - 1 zeros between its places."""
    wide = np.zeros((d[0] * (w.shape[0] - 1) + 1, d[1] * (w.shape[1] - 1) + 1, *w.shape[2:]))
    wide[:: d[0], :: d[1]] = w
    return wide


def convolved(x: Array, w: Array, drawn: dict[str, Any]) -> Array:
    """x [N, H, W, I], w [kh, kw, I, O] -> [N, Ho, Wo, O]: every position of the correlation, of which the stride takes its share."""
    wide = np.pad(x, ((0, 0), *around(drawn["padding"], *(drawn[f] for f in "nksd")), (0, 0)))
    window, (sh, sw) = spread(w, drawn["d"]), drawn["s"]
    return over_channels(correlate2d, wide, window, "valid")[:, ::sh, ::sw]


def over_channels(plane: Callable[..., Array], x: Array, window: Array, mode: str) -> Array:
    """x [N, H, W, I], window [kh, kw, I, O] -> [N, ..., O]: `plane` of each pair of channels, summed over I."""
    count, channels = window.shape[2:]
    images = [[sum(plane(image[..., i], window[..., i, o], mode) for i in range(count)) for o in range(channels)] for image in x]
    return np.moveaxis(np.array(images), 1, -1)


def spread_out(x: Array, w: Array, drawn: dict[str, Any], size: tuple[int, ...]) -> Array:
    """x [N, H, W, I], w [kh, kw, O, I] -> [N, *size, O]: s - 1 zeros between the places of x, convolved, the padding cut off."""
    (sh, sw), window = drawn["s"], spread(w, drawn["d"])
    apart = np.zeros((len(x), (x.shape[1] - 1) * sh + 1, (x.shape[2] - 1) * sw + 1, x.shape[3]))
    apart[:, ::sh, ::sw] = x
    whole = over_channels(convolve2d, apart, np.swapaxes(window, 2, 3), "full")
    (top, _), (left, _) = around(drawn["padding"], size, drawn["k"], drawn["s"], drawn["d"])
    behind = [max(0, top + size[0] - whole.shape[1]), max(0, left + size[1] - whole.shape[2])]
    whole = np.pad(whole, ((0, 0), (0, behind[0]), (0, behind[1]), (0, 0)))
    return whole[:, top : top + size[0], left : left + size[1]]


def numbers(rng: np.random.Generator, *shape: int) -> Array:
    """Normal numbers that float32 holds, so that both precisions compute on the same ones."""
    return rng.normal(size=shape).astype(np.float32).astype(np.float64)


def near(found: Array, expected: Array, sizes: Array | float, terms: int, precision: str) -> None:
    """A sum of `terms` products, in any order, is off by less than (terms + 2) roundoffs of the sum of their sizes (Higham 2002, 3.5)."""
    assert found.shape == expected.shape
    allowed = (terms + 2) * np.finfo(precision).eps * np.maximum(sizes, 1e-30)
    assert (np.abs(found - expected) <= allowed).all(), np.max(np.abs(found - expected) / allowed)


def convolved_in_groups(x: Array, w: Array, drawn: dict[str, Any], groups: int) -> Array:
    """Each group of output channels is the convolution of its group of input channels (Krizhevsky et al. 2012, section 3.5)."""
    pairs = zip(np.split(x, groups, -1), np.split(w, groups, -1), strict=True)
    return np.concatenate([convolved(of_x, of_w, drawn) for of_x, of_w in pairs], -1)


def check_convolution(
    drawn: dict[str, Any], backend: Backend, *, transposed: bool, output_padding: tuple[int, int] = (0, 0), groups: int = 1
) -> None:
    """The output against the direct one; the gradients through linearity."""
    rng, precision = np.random.default_rng(drawn["seed"]), drawn["precision"]
    inputs, outputs = (groups * count for count in drawn["channels"])
    windows = {"kernel": drawn["k"], "stride": drawn["s"], "padding": drawn["padding"], "initialization": Zeros()}
    record = (
        ConvTranspose(channels=outputs, **windows, dilation=drawn["d"], output_padding=output_padding)
        if transposed
        else Conv(channels=outputs, **windows, dilation=drawn["d"], groups=groups)
    )
    node = layer_node(record, (*drawn["n"], inputs))
    x, g, bias = numbers(rng, drawn["batch"], *drawn["n"], inputs), numbers(rng, drawn["batch"], *node.shape), numbers(rng, outputs)
    w = numbers(rng, *node.parameters[0].shape)
    direct = (
        (lambda a, c: spread_out(a, c, drawn, node.shape[:2])) if transposed else (lambda a, c: convolved_in_groups(a, c, drawn, groups))
    )
    found = run_layer(backend, node, {"x": x, "g": g, "layer.weight": w, "layer.bias": bias}, precision)
    terms = w.shape[0] * w.shape[1] * inputs // groups + 1
    near(found["y"], direct(x, w) + bias, direct(np.abs(x), np.abs(w)) + np.abs(bias), terms, precision)
    near(found["layer.bias"], g.sum((0, 1, 2)), np.abs(g).sum((0, 1, 2)), g.size // outputs, precision)
    for name, tensor, along in (("x", x, lambda v, c: direct(v, c)), ("layer.weight", w, lambda v, c: direct(c, v))):
        v, other = rng.normal(size=tensor.shape), w if name == "x" else x
        terms = w.shape[0] * w.shape[1] * outputs // groups if name == "x" else g.size // outputs
        slope, sizes = np.vdot(along(v, other), g), np.vdot(along(np.abs(v), np.abs(other)), np.abs(g))
        allowed = (terms + 2) * np.finfo(precision).eps * sizes + v.size * np.finfo(np.float64).eps * sizes
        assert abs(np.vdot(found[name].astype(np.float64), v) - slope) <= allowed, name


def check_adjoint(drawn: dict[str, Any], output_padding: tuple[int, int], backend: Backend) -> None:
    """<C z, x> = <z, C' x> for both layers over one weight [kh, kw, O, I], within 1e-12 of the sum of the sizes of their terms."""
    rng, (inputs, outputs) = np.random.default_rng(drawn["seed"]), drawn["channels"]
    windows = {"kernel": drawn["k"], "stride": drawn["s"], "padding": drawn["padding"], "dilation": drawn["d"], "initialization": Zeros()}
    turned = layer_node(ConvTranspose(channels=outputs, **windows, output_padding=output_padding), (*drawn["n"], inputs))
    forward = layer_node(Conv(channels=inputs, **windows), turned.shape)
    assert forward.shape == (*drawn["n"], inputs) and forward.parameters[0].shape == turned.parameters[0].shape
    x, z = rng.normal(size=(drawn["batch"], *forward.shape)), rng.normal(size=(drawn["batch"], *turned.shape))
    w = rng.normal(size=forward.parameters[0].shape)
    convolution = run_layer(backend, forward, {"x": z, "g": x, "layer.weight": w, "layer.bias": np.zeros(inputs)})["y"]
    transpose = run_layer(backend, turned, {"x": x, "g": z, "layer.weight": w, "layer.bias": np.zeros(outputs)})["y"]
    sizes = np.vdot(spread_out(np.abs(x), np.abs(w), drawn, turned.shape[:2]), np.abs(z))
    assert abs(np.vdot(convolution, x) - np.vdot(z, transpose)) <= 1e-12 * sizes


def check_pool(drawn: dict[str, Any], backend: Backend, *, largest: bool) -> None:
    """Every number in its own loop; the gradient of a maximum goes to the first of its window, that of a mean to all alike."""
    rng, precision, padding = np.random.default_rng(drawn["seed"]), drawn["precision"], drawn["padding"]
    record = (MaxPool if largest else AveragePool)(kernel=drawn["k"], stride=drawn["s"], padding=padding)
    channels, (h, w) = drawn["channels"][0], drawn["n"]
    node = layer_node(record, (h, w, channels))
    x, g = rng.integers(-9, 9, (drawn["batch"], h, w, channels)) / 4, numbers(rng, drawn["batch"], *node.shape)
    (top, _), (left, _) = around(padding, *(drawn[f] for f in "nksd"))
    y, dx = np.zeros_like(g), np.zeros_like(x)
    for n, p, q, c in itertools.product(*(range(size) for size in y.shape)):
        places = itertools.product(range(drawn["k"][0]), range(drawn["k"][1]))
        inside = [(p * drawn["s"][0] + i - top, q * drawn["s"][1] + j - left) for i, j in places]
        inside = [(i, j) for i, j in inside if 0 <= i < h and 0 <= j < w]
        seen = [x[n, i, j, c] for i, j in inside]
        y[n, p, q, c] = max(seen) if largest else sum(seen) / len(seen)
        for i, j in [inside[seen.index(max(seen))]] if largest else inside:
            dx[n, i, j, c] += g[n, p, q, c] if largest else g[n, p, q, c] / len(inside)
    found = run_layer(backend, node, {"x": x, "g": g}, precision)
    places = drawn["k"][0] * drawn["k"][1]
    near(found["y"], y, 0.0 if largest else 9 / 4, places, precision)
    near(found["x"], dx, float(np.abs(g).max()) * places, places, precision)


def larger_than_padding(drawn: dict[str, Any]) -> bool:
    """Whether no window of a pool lies in the padding alone, which the layer refuses."""
    sides = around(drawn["padding"], *(drawn[f] for f in "nksd"))
    return all(max(side) < k for side, k in zip(sides, drawn["k"], strict=True))


# 1: an ordinary convolution; more: in groups, which multiply the channels of both sides
GROUPS = st.sampled_from([1, 1, 2, 3])
CONVOLUTIONS, POOLS = example(), example(dilated=False).filter(larger_than_padding)


@st.composite
def transposed(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[int, int]]:
    """Sizes of an input image, and an output padding below the stride; the output is never empty."""
    drawn = draw(example())
    extra = tuple(draw(st.integers(0, s - 1)) for s in drawn["s"]) if drawn["padding"] != "same" else (0, 0)
    p = drawn["padding"] if isinstance(drawn["padding"], tuple) else (0, 0)
    n, s, k, d = (drawn[field] for field in "nskd")
    left = [(n[a] - 1) * s[a] - 2 * p[a] + d[a] * (k[a] - 1) + 1 + extra[a] for a in (0, 1)]
    drawn["n"] = tuple(n[a] + max(0, -(-(1 - left[a]) // s[a])) for a in (0, 1))
    return drawn, (extra[0], extra[1])


@pytest.fixture(params=QUICK, scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend of this machine."""
    return load(request.param)


@FEW
@given(drawn=CONVOLUTIONS, groups=GROUPS)
def test_convolutions_of_few_shapes(drawn: dict[str, Any], groups: int, backend: Backend) -> None:
    check_convolution(drawn, backend, transposed=False, groups=groups)


@FEW
@given(drawn=transposed())
def test_transposed_convolutions_of_few_shapes(drawn: tuple[dict[str, Any], tuple[int, int]], backend: Backend) -> None:
    check_convolution(drawn[0], backend, transposed=True, output_padding=drawn[1])


@FEW
@given(drawn=POOLS, largest=st.booleans())
def test_pools_of_few_shapes(drawn: dict[str, Any], largest: bool, backend: Backend) -> None:
    check_pool(drawn, backend, largest=largest)


@settings(FEW, max_examples=4)
@given(drawn=transposed())
def test_transposed_convolutions_of_few_shapes_are_adjoints_of_convolutions(
    drawn: tuple[dict[str, Any], tuple[int, int]], backend: Backend
) -> None:
    check_adjoint(*drawn, backend)


@pytest.mark.slow
@MANY
@given(drawn=transposed())
def test_transposed_convolutions_of_many_shapes_are_adjoints_of_convolutions(
    drawn: tuple[dict[str, Any], tuple[int, int]], backend: Backend
) -> None:
    check_adjoint(*drawn, backend)


@pytest.mark.slow
@MANY
@given(drawn=CONVOLUTIONS, groups=GROUPS)
def test_convolutions_of_many_shapes(drawn: dict[str, Any], groups: int, backend: Backend) -> None:
    check_convolution(drawn, backend, transposed=False, groups=groups)


@pytest.mark.slow
@MANY
@given(drawn=transposed())
def test_transposed_convolutions_of_many_shapes(drawn: tuple[dict[str, Any], tuple[int, int]], backend: Backend) -> None:
    check_convolution(drawn[0], backend, transposed=True, output_padding=drawn[1])


@pytest.mark.slow
@MANY
@given(drawn=POOLS, largest=st.booleans())
def test_pools_of_many_shapes(drawn: dict[str, Any], largest: bool, backend: Backend) -> None:
    check_pool(drawn, backend, largest=largest)
