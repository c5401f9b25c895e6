"""Nothing of an op is forgotten: kernels on each backend, a row in the table, and no row or kernel without an op."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Instruction
from backends.cupy import CupyBackend
from backends.cupy.source.body import DEAR as DEAR_IN_CUDA
from backends.cupy.source.body import NOT_CALLED
from backends.cupy.source.mathematics import functions
from backends.cupy.source.program import PIECES
from backends.numpy.kernels.body import DEAR
from backends.reference import ReferenceBackend
from backends.reference.kernels import KERNELS as REFERENCE
from pipeline.graph.ir import Node
from pipeline.ops import OPS
from tests.cases import CASES, Case

COMPOSITES = {name for name, op in OPS.items() if op.kind == "composite"}
# views are bytes seen with another shape; `fused` is a body that each backend interprets or compiles
WITHOUT_KERNEL = {name for name, op in OPS.items() if op.kind == "view"} | {"fused"}


def test_every_op_has_a_reference_kernel_and_none_is_orphaned() -> None:
    assert set(REFERENCE) == set(OPS) - WITHOUT_KERNEL


def test_the_reference_keeps_every_composite() -> None:
    assert ReferenceBackend.target.keeps == COMPOSITES


def test_every_op_has_cuda_source_or_is_decomposed() -> None:
    """Opaque ops are pieces of a kernel, the others functions of the templates, which have some more for their own use."""
    elementwise = {name for name, op in OPS.items() if op.kind in ("elementwise", "reduction")}
    opaque = {name for name, op in OPS.items() if op.kind == "opaque"}
    assert not elementwise - NOT_CALLED - functions()
    assert set(PIECES) == opaque
    assert not CupyBackend.target.keeps


def test_every_op_has_one_row_in_the_table() -> None:
    assert sorted(case.op for case in CASES) == sorted(set(OPS) - {"fused"})


def test_a_row_names_the_inputs_with_a_gradient_where_the_op_has_one() -> None:
    assert {case.op for case in CASES if case.wanted} == {name for name, op in OPS.items() if op.gradient}


def test_every_composite_can_be_decomposed() -> None:
    assert {name for name, op in OPS.items() if op.decompose} == COMPOSITES


def test_an_op_says_what_it_costs_where_it_may_be_made_again() -> None:
    assert {name for name, op in OPS.items() if op.cost} == {name for name, op in OPS.items() if op.kind in ("elementwise", "view")}


def test_the_native_kernels_call_the_same_ops_dear() -> None:
    assert {name for name, op in OPS.items() if op.cost in ("slow", "dear")} == DEAR == DEAR_IN_CUDA


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.op)
def test_nodes_and_instructions_know_what_the_table_says(case: Case) -> None:
    op = OPS[case.op]
    assert Node(op.name, (), ()).is_view == (op.kind == "view")
    for example in case.examples:
        made = Instruction(name="y", op=op.name, operands=(), dtype="float32", level="full", attributes=example.attributes)
        assert (made.reduces, made.draws) == (op.kind == "reduction", op.random)


def test_backends_import_nothing_from_pipeline() -> None:
    root = Path(__file__).parents[2] / "backends"
    lines = [line.strip() for path in sorted(root.rglob("*.py")) for line in path.read_text().splitlines()]
    assert not [line for line in lines if line.startswith(("import pipeline", "from pipeline"))]
