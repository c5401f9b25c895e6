"""AVX2 and plain code, run here: every op against the reference, and the bits of AVX2 code against those of the widest code."""

# M rows, K summed, N columns of a product
from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from backends.contract import Array, Backend
from backends.numpy import NumpyBackend
from backends.numpy.machine import processor
from backends.reference import ReferenceBackend
from pipeline.graph.ir import Graph
from tests.cases import CASES, WINDOWS, Case
from tests.ops.running import apply_case, builder, distance, plan_for, run_graph

pytestmark = pytest.mark.skipif(
    processor.host().name not in ("AVX-512", "AVX2"), reason=f"{processor.host().name} runs neither AVX2 nor x86-64 code"
)

NARROWER: dict[str, Callable[[], processor.Processor]] = {"AVX2": processor.avx2, "plain": processor.plain}
WITH_KERNELS = ("matmul", "conv", "conv_data_gradient", "conv_weight_gradient", "batch_norm", "softmax_cross_entropy", "max_pool", "exp")
PRODUCTS = ((1, 1, 2), (5, 3, 7), (13, 29, 17), (33, 17, 130), (15, 700, 19), (7, 1100, 33))


@pytest.fixture(params=["AVX2", pytest.param("plain", marks=pytest.mark.slow)])
def narrower(request: pytest.FixtureRequest) -> NumpyBackend:
    """The native backend, as if on an older processor."""
    return NumpyBackend(threads=1, processor=NARROWER[request.param]())


def _agrees(
    narrower: Backend, graph: Graph, arrays: Mapping[str, Array], float32: float, float64: float, reference: Mapping[str, Array]
) -> None:
    assert isinstance(narrower, NumpyBackend)
    found = run_graph(narrower, graph, [arrays])
    wide = run_graph(NumpyBackend(threads=1), graph, [arrays])
    for name, value in found.items():
        assert distance(value, reference[name]) <= (float32 if graph.precision == "float32" else float64), name
        # without an instruction that multiplies and adds, each product is rounded before it is added
        if narrower.processor.multiplies_and_adds:
            assert value.tobytes() == wide[name].tobytes(), name


@pytest.mark.parametrize(
    ("case", "precision"),
    [(c, "float32") for c in CASES] + [(c, "float64") for c in CASES if c.op in WITH_KERNELS],
    ids=lambda v: getattr(v, "op", v),
)
def test_op_agrees_with_the_reference(case: Case, precision: str, narrower: NumpyBackend) -> None:
    b = builder(precision)
    applied, arrays = apply_case(b, case)
    for example in applied:
        for name in example.results:
            b.outputs[name] = name if b.types[name].dtype == precision else b.add("cast", name, dtype=precision)
    reference = run_graph(ReferenceBackend(), b.graph(), [arrays])
    _agrees(narrower, b.graph(), arrays, case.float32, case.float64, reference)


def _joined(precision: str) -> tuple[Graph, dict[str, Array]]:
    """Products of odd shapes, each with a bias, a residual and a relu after it; the product itself is wanted of some."""
    b, rng = builder(precision), np.random.default_rng(0)
    arrays: dict[str, Array] = {}

    def given(name: str, *shape: int) -> str:
        arrays[name] = np.asarray(rng.normal(size=shape), np.float32).astype(np.float64)
        return b.input(name, shape, "state")

    def after(product: str, number: str, *, keep: bool) -> None:
        shape = b.shape(product)
        total = b.add("add", b.add("add", product, given(f"bias{number}", shape[-1])), given(f"residual{number}", *shape))
        b.outputs[f"y{number}"] = b.add("maximum", total, b.constant(0.0))
        if keep:
            b.outputs[f"product{number}"] = product

    for index, (m, k, n) in enumerate(PRODUCTS):
        for across in (False, True):
            for over in (False, True):
                number = f"{index}{across:d}{over:d}"
                x, w = given(f"x{number}", *((k, m) if across else (m, k))), given(f"w{number}", *((n, k) if over else (k, n)))
                after(b.add("matmul", x, w, transpose_a=across, transpose_b=over), number, keep=index % 2 == 0)
    for index, row in enumerate(WINDOWS):
        (kh, kw), channels = row["window"], row["shape"][-1]
        settings = {key: row[key] for key in ("stride", "padding", "dilation")}
        x, w = given(f"image{index}", *row["shape"]), given(f"window{index}", kh, kw, channels, 19)
        after(b.add("conv", x, w, **settings), f"c{index}", keep=index % 2 == 0)
    return b.graph(), arrays


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_products_with_what_follows_them_in_their_own_kernel(precision: str, narrower: NumpyBackend) -> None:
    graph, arrays = _joined(precision)
    joined = [call for call in plan_for(narrower, graph).calls if call.product]
    assert len(joined) >= len(PRODUCTS) + len(WINDOWS)
    _agrees(narrower, graph, arrays, 4e-6, 1e-14, run_graph(ReferenceBackend(), graph, [arrays]))
