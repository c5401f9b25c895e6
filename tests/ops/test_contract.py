"""Nothing of an op is forgotten: kernels on each backend, a row in the table, and no row or kernel without an op."""

from __future__ import annotations

from pathlib import Path

from backends.cupy import CupyBackend
from backends.cupy.kernels import KERNELS as CUPY
from backends.reference import ReferenceBackend
from backends.reference.kernels import KERNELS as REFERENCE
from pipeline.ops import OPS
from tests.cases import CASES

COMPOSITES = {name for name, op in OPS.items() if op.kind == "composite"}
# views are bytes seen with another shape; `fused` is a body that each backend interprets or compiles
WITHOUT_KERNEL = {name for name, op in OPS.items() if op.kind == "view"} | {"fused"}


def test_every_op_has_a_reference_kernel_and_none_is_orphaned() -> None:
    assert set(REFERENCE) == set(OPS) - WITHOUT_KERNEL


def test_the_reference_keeps_every_composite() -> None:
    assert ReferenceBackend.keeps == COMPOSITES


def test_every_op_has_a_cupy_kernel_or_is_decomposed_and_none_is_orphaned() -> None:
    assert set(CUPY) == set(OPS) - WITHOUT_KERNEL - (COMPOSITES - CupyBackend.keeps)


def test_every_op_has_one_row_in_the_table() -> None:
    assert sorted(case.op for case in CASES) == sorted(set(OPS) - {"fused"})


def test_a_row_names_the_inputs_with_a_gradient_where_the_op_has_one() -> None:
    assert {case.op for case in CASES if case.wanted} == {name for name, op in OPS.items() if op.gradient}


def test_every_composite_can_be_decomposed() -> None:
    assert {name for name, op in OPS.items() if op.decompose} == COMPOSITES


def test_backends_import_nothing_from_pipeline() -> None:
    root = Path(__file__).parents[2] / "backends"
    lines = [line.strip() for path in sorted(root.rglob("*.py")) for line in path.read_text().splitlines()]
    assert not [line for line in lines if line.startswith(("import pipeline", "from pipeline"))]
