"""The hot loops of a training step are packed instructions of the machine's width: read from the machine code, for every processor.

Nothing here runs the code, so the processors that this machine is not are read too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backends.contract import Call, Plan
from backends.numpy import NumpyBackend
from backends.numpy.kernels import kernel_of
from backends.numpy.kernels.gather import forms, gather_kernel
from backends.numpy.machine import processor
from backends.numpy.machine.processor import Processor
from pipeline.compiler.structure import Structure
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from tests.backends.numpy.assembly import FMA, SINGLE, WIDE, Loop, assembly, loops

PRODUCTS = {"matmul", "conv", "conv_data_gradient", "conv_weight_gradient"}
WORK = 1e5  # operations of a call from which its loops count as hot
COMMON: dict[str, Any] = {"optimizer": {"kind": "adam"}, "training": {"batch_size": 64}}
# 200 classes: softmax sweeps over several strips, so that its sums over a row stand outside the innermost loops
NETWORKS: dict[str, tuple[dict[str, Any], DataShape]] = {
    "mlp": (
        {
            "architecture": {"layers": [{"kind": "dense", "units": 192}, {"kind": "dense", "units": 160}], "head": "auto"},
            "normalization": {"kind": "batch"},
            "regularization": {"dropout": "inverted", "keep_prob": 0.8},
        },
        DataShape(input_shape=(300,), classes=200, targets=None),
    ),
    "cnn": (
        {
            "architecture": {
                "layers": [
                    {"kind": "conv", "channels": 32, "kernel": 3, "normalization": {"kind": "batch"}},
                    {"kind": "max_pool", "kernel": 2},
                    {"kind": "conv", "channels": 48, "kernel": 3},
                    {"kind": "average_pool", "kernel": 2},
                    {"kind": "conv", "channels": 64, "kernel": 3, "stride": 2},
                ],
                "head": "auto",
            }
        },
        DataShape(input_shape=(20, 20, 3), classes=200, targets=None),
    ),
}
PROCESSORS: dict[str, Callable[[], Processor]] = {
    "AVX-512": processor.avx512,
    "AVX2": processor.avx2,
    "plain": processor.plain,
    "NEON": processor.neon,
}


def _plan(network: str, precision: str) -> Plan:
    config, shape = NETWORKS[network]
    structure = Structure(experiment({**COMMON, **config, "precision": precision}), shape, NumpyBackend(threads=1))
    return structure.compiled("train", structure.batch_size).plan


def _op(call: Call) -> str:
    return call.product.op if call.product else call.op


def _hot(plan: Plan, processor: Processor) -> dict[str, tuple[Call, list[Loop]]]:
    """Name of a call with much work -> the call and the innermost loops of its kernel."""
    calls = [(call, kernel_of(call, plan.precision, processor)) for call in plan.calls if call.op != "gather"]
    return {call.name: (call, loops(assembly(kernel, processor))) for call, kernel in calls if kernel.flops >= WORK}


@pytest.mark.parametrize(("network", "precision"), [("mlp", "float32"), ("cnn", "float32"), ("mlp", "float64")])
@pytest.mark.parametrize("name", list(PROCESSORS))
def test_hot_loops_are_packed_at_the_width_of_the_machine(name: str, network: str, precision: str) -> None:
    processor = PROCESSORS[name]()
    assert processor.name == name
    for title, (call, found) in _hot(_plan(network, precision), processor).items():
        for loop in found:
            assert not loop.count(SINGLE), f"{title}: a single number in an innermost loop: {loop.matching(SINGLE)}"
        if _op(call) in PRODUCTS:
            assert any(loop.count(FMA[name]) >= 0.2 * len(loop.lines) for loop in found), title
        elif "pool" in _op(call):  # much of a window is finding its place
            assert any(loop.count(WIDE[name]) for loop in found), title
        else:
            assert any(loop.count(WIDE[name]) >= max(2, 0.5 * len(loop.lines)) for loop in found), title


def test_the_networks_have_every_kernel_that_must_be_fast() -> None:
    mlp, cnn = (_hot(_plan(network, "float32"), processor.avx512()) for network in NETWORKS)
    assert {_op(call) for call, _ in (*mlp.values(), *cnn.values())} >= {
        *PRODUCTS, "max_pool", "max_pool_gradient", "average_pool", "average_pool_gradient", "fused",
    }  # fmt: skip
    bodies = {frozenset(i.op for i in call.body.instructions) for call, _ in mlp.values() if call.body is not None}
    assert any({"sum", "uniform", "sqrt"} <= ops for ops in bodies), "batch norm, activation and dropout forward"
    assert any({"sum", "where", "greater"} <= ops for ops in bodies), "the same backward"
    assert any({"exp", "log"} <= ops for ops in bodies), "softmax cross-entropy"
    updates = [call for call, _ in mlp.values() if call.product and len(call.outputs) == 3]
    assert updates and all("sqrt" in {i.op for i in call.body.instructions} for call in updates if call.body is not None), "Adam"


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", list(PROCESSORS))
def test_rows_are_gathered_from_what_is_stored_at_the_width_of_the_machine(name: str, precision: str) -> None:
    processor = PROCESSORS[name]()
    found = loops(assembly(gather_kernel(300, precision, processor), processor))
    assert len(found) == 2 * len(forms(precision)), "of each form one from what is stored, and one for further pairs"
    for loop in found:
        assert loop.count(WIDE[name]) >= 0.8 * len(loop.lines), loop.lines


def test_the_innermost_loops_are_found_in_a_text() -> None:
    text = """
f:
	xorl	%eax, %eax
.LBB0_1:                                # =>This Loop Header: Depth=1
	movl	%eax, %ecx
.LBB0_2:                                #   Parent Loop BB0_1 Depth=1
	vfmadd231ps	(%rdi){1to16}, %zmm1, %zmm2     # zmm2 = ...
	cmpq	$9, %rcx
	jne	.LBB0_2
	incq	%rax
	jne	.LBB0_1
	retq
"""
    (loop,) = loops(text)
    assert len(loop.lines) == 3 and loop.count(FMA["AVX-512"]) == 1 and loop.count(SINGLE) == 0
