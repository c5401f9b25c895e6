"""Each pass by its text before and after."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backends.contract import Target
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node, Type
from pipeline.graph.text import digest, print_graph
from pipeline.ops import SHAPE_RULES
from pipeline.passes import compile_passes
from pipeline.passes.decompose import decompose
from pipeline.passes.fuse import fuse
from pipeline.passes.simplify import fold, prune, share
from pipeline.passes.split_rows import split
from pipeline.passes.verify import verify
from tests.networks import training_graph


def _builder() -> Builder:
    b = Builder("float32", SHAPE_RULES)
    b.input("x", (4, 3), "data")
    b.input("w", (3,), "state")
    return b


def test_fold_makes_literals_of_literals_and_drops_neutral_operands() -> None:
    b = _builder()
    two = b.add("mul", b.constant(1.0), b.constant(2.0), name="two")
    y = b.add("mul", b.add("add", "x", b.constant(0.0), name="same"), b.add("spread", two, shape=(4, 3)), name="y")
    b.outputs["y"] = y
    graph, reasons = fold(b.graph())
    graph, _ = prune(graph)
    assert reasons == ("3 literals folded",)
    assert print_graph(graph) == (
        "data   x: f32[4,3]\n"
        "state  w: f32[3]\n"
        "constant~2: f32[] = constant(; dtype='float32'; value=2.0)\n"
        "y: f32[4,3] = mul(x, constant~2)\n"
        "output y = y"
    )


def test_share_keeps_one_of_equal_nodes() -> None:
    b = _builder()
    one, other = b.add("mul", "x", "w", name="one"), b.add("mul", "x", "w", name="other")
    b.outputs["y"] = b.add("add", one, other, name="y")
    graph, reasons = share(b.graph())
    assert reasons == ("1 repeated computations shared: other",)
    assert print_graph(graph).splitlines()[2:] == ["one: f32[4,3] = mul(x, w)", "y: f32[4,3] = add(one, one)", "output y = y"]


def test_prune_removes_what_nothing_reads() -> None:
    b = _builder()
    b.add("exp", "x", name="unused")
    b.outputs["y"] = b.add("mul", "x", "w", name="y")
    graph, reasons = prune(b.graph())
    assert reasons == ("1 dead node removed: unused",)
    assert [n.outputs[0] for n in graph.nodes] == ["y"]


def test_decompose_leaves_the_composites_that_the_backend_keeps() -> None:
    b = _builder()
    b.outputs["y"] = b.add("softplus", "x", name="y")
    kept, none = decompose(b.graph(), Target(keeps=frozenset({"softplus"})))
    assert none == () and [n.op for n in kept.nodes] == ["softplus"]
    written, reasons = decompose(b.graph(), Target())
    assert reasons == ("1 x softplus written out in simpler ops: the backend fuses them",)
    assert [n.op for n in written.nodes] == ["abs", "neg", "exp", "log1p", "constant", "maximum", "add"]


def _kernels(graph: Graph) -> list[str]:
    kernels = []
    for node in graph.nodes:
        body = node.fused.body if node.fused else None
        kernels.append(f"{body.kind} {body.rows}x{body.columns}" if body else node.op)
    return kernels


def test_fuse_makes_one_kernel_of_each_chain_between_products() -> None:
    graph, _ = compile_passes(training_graph(B=8, D=6, H=64, C=3), Target(fuses=True))
    assert sorted(_kernels(graph)) == sorted(
        [
            *["matmul"] * 5,
            "column 8x64",  # batch norm, relu, dropout
            "row 8x3",  # softmax, cross-entropy
            "flat 1x8",  # mean loss
            "column 8x3",  # gradients of the logits and of the bias, update of the bias
            "column 8x64",  # gradients through dropout, relu and batch norm, updates of gamma and beta
            "flat 1x384",  # update of the first weight
            "flat 1x192",  # update of the second weight
            "flat 1x64",  # running mean
        ]
    )


def test_fuse_stores_neither_the_normalized_values_nor_the_relu_for_the_backward_half() -> None:
    graph, _ = compile_passes(training_graph(B=8, D=6, H=64, C=3), Target(fuses=True))
    forward = next(n for n in graph.nodes if "hidden/dropout" in n.outputs)
    full = {name: str(graph.types[name]) for name in forward.outputs if graph.types[name].shape == (8, 64)}
    assert full == {"hidden/less": "bool[8,64]", "hidden/dropout": "f32[8,64]"}


def test_fuse_splits_off_random_numbers_whose_blocks_the_rows_would_cut() -> None:
    graph, _ = compile_passes(training_graph(B=8, D=6, H=5, C=3), Target(fuses=True))
    (body,) = [n.fused.body for n in graph.nodes if n.fused and any(i.draws for i in n.fused.body.instructions)]
    assert (body.kind, body.columns) == ("flat", 40)


def test_an_update_never_runs_in_a_kernel_that_the_guard_waits_for() -> None:
    graph = training_graph()
    compiled, _ = compile_passes(graph, Target(fuses=True))
    assert compiled.guard
    needed = compiled.ancestors([compiled.guard])
    before = {name for node in compiled.nodes if needed.intersection(node.outputs) for name in node.outputs}
    assert not before & set(compiled.updates.values())


def test_fuse_never_closes_a_circle_through_a_product() -> None:
    b = Builder("float32", SHAPE_RULES)
    x, w = b.input("x", (4, 4), "data"), b.input("w", (4, 4), "state")
    first = b.add("exp", x, name="first")
    b.outputs["y"] = b.add("add", first, b.add("matmul", first, w), name="y")
    graph, _ = fuse(b.graph())
    verify(graph)
    assert _kernels(graph) == ["flat 1x16", "matmul", "flat 1x16"]


@pytest.mark.parametrize("thin", ["row", "column"])
def test_fuse_keeps_apart_what_is_seen_with_another_last_axis(thin: str) -> None:
    """8 rows of 4 seen as 4 rows of 8: 8 numbers are one a row there and one a column here, and a common grid would mix them up."""
    b = Builder("float32", SHAPE_RULES)
    x, v = b.input("x", (8, 4), "data"), b.input("v", (8,), "state")
    first = b.add("mul", x, b.reshape(v, (8, 1)), name="first") if thin == "row" else b.add("exp", x, name="first")
    seen = b.reshape(b.add("sub", first, b.reshape(b.add("sum", first, axes=(1,)), (8, 1))), (4, 8))
    b.outputs["y"] = b.add("mul", seen, v, name="y")
    graph, _ = fuse(b.graph())
    verify(graph)
    assert _kernels(graph) == ["row 8x4", "column 4x8"]


def test_the_digest_follows_the_structure_and_not_the_names() -> None:
    one, other = training_graph(), training_graph()
    assert digest(one) == digest(other) != digest(training_graph(dropout=False))
    assert digest(training_graph(precision="float64")) != digest(one)


def _rebound(graph: Graph) -> Graph:
    return graph.replace(nodes=(*graph.nodes, graph.nodes[-1]))


def _unbound(graph: Graph) -> Graph:
    return graph.replace(nodes=graph.nodes[1:])


def _mistyped(graph: Graph) -> Graph:
    return graph.replace(types={**graph.types, graph.nodes[0].outputs[0]: Type("float32", (99,))})


def _unknown(graph: Graph) -> Graph:
    return graph.replace(nodes=(Node("frobnicate", (), graph.nodes[0].outputs), *graph.nodes[1:]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_rebound, "is bound twice"), (_unbound, "is not bound before its use"), (_mistyped, "promises"), (_unknown, "unknown op frobnicate")],
)
def test_the_verifier_rejects_a_spoilt_graph(spoil: Callable[[Graph], Graph], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        verify(spoil(training_graph()))


def test_split_shares_sums_over_many_rows_and_leaves_few_rows_alone() -> None:
    def kernels(rows: int) -> tuple[list[str], tuple[str, ...]]:
        b = Builder("float32", SHAPE_RULES)
        x, w = b.input("x", (rows, 32), "data"), b.input("w", (32,), "state")
        total = b.add("sum", b.add("mul", x, x), axes=(0,), name="total")
        b.outputs["y"] = b.add("mul", x, b.add("add", total, w), name="y")
        b.updates["w"] = b.add("sub", w, total, name="new_w")
        graph, reasons = split(fuse(b.graph())[0])
        verify(graph)
        return [
            f"{n.fused.body.blocks if n.fused else 1} x {kernel}" for n, kernel in zip(graph.nodes, _kernels(graph), strict=True)
        ], reasons

    assert kernels(64) == (["1 x column 64x32"], ())
    shared = ("3 kernels more, so that sums over many rows or numbers are shared",)
    # sums of blocks, their sum, what is full-size, and last the state that the others read
    assert kernels(4096) == (["8 x column 4096x32", "1 x column 8x32", "1 x column 4096x32", "1 x flat 1x32"], shared)


def test_join_takes_a_product_along_and_stores_it_only_where_others_read_it() -> None:
    def joined(*, read_again: bool, rows: int = 4) -> list[tuple[str, tuple[str, ...]]]:
        b = Builder("float32", SHAPE_RULES)
        x, w, bias = b.input("x", (rows, 3), "data"), b.input("w", (3, 5), "state"), b.input("b", (5,), "state")
        z = b.add("matmul", x, w, name="z")
        b.outputs["y"] = b.add("maximum", b.add("add", z, bias), b.constant(0.0), name="y")
        if read_again:
            b.outputs["t"] = b.add("sum", z, axes=(0,), name="t")
        graph, _ = compile_passes(b.graph(), Target(fuses=True, joins=frozenset({"matmul"})))
        return [(n.fused.product.op if n.fused and n.fused.product else n.op, n.outputs) for n in graph.nodes]

    assert joined(read_again=False) == [("matmul", ("y",))]
    assert joined(read_again=True) == [("matmul", ("z", "y")), ("fused", ("t",))]


def test_join_leaves_an_update_alone_whose_product_the_guard_needs() -> None:
    b = Builder("float32", SHAPE_RULES)
    x, w = b.input("x", (4, 3), "data"), b.input("w", (3, 3), "state")
    gradient = b.add("matmul", x, w, name="gradient", transpose_a=False)
    small = b.input("v", (4, 3), "state")
    b.updates["v"] = b.add("add", small, gradient, name="new")
    b.guard = b.outputs["norm"] = b.add("sum", b.add("mul", gradient, gradient), axes=(0, 1), name="norm")
    graph, _ = compile_passes(b.graph(), Target(fuses=True, joins=frozenset({"matmul"})))
    assert not any(n.fused and n.fused.product and "new" in n.outputs for n in graph.nodes)


def test_the_verifier_refuses_updates_that_wait_for_each_other() -> None:
    """Each replaces where it lies what the other still reads."""
    b = _builder()
    b.input("v", (3,), "state")
    b.updates = {"w": b.add("add", "w", "v", name="new_w"), "v": b.add("sub", "v", "w", name="new_v")}
    with pytest.raises(AssertionError, match=r"new_[vw], new_[vw] wait for each other"):
        verify(b.graph())


def test_an_update_that_closes_a_circle_becomes_a_kernel_of_its_own() -> None:
    """new_w and new_v each read both states through a step of their own: fused with it they would wait for each other."""
    b = _builder()
    b.input("v", (3,), "state")
    both = [b.add("exp", b.add("mul", "w", "v"), name=f"step_{n}") for n in "wv"]
    b.updates = {"w": b.add("sub", "w", both[0], name="new_w"), "v": b.add("div", "v", both[1], name="new_v")}
    graph, _ = fuse(b.graph())
    verify(graph)
    assert set(graph.updates) == {"w", "v"}
