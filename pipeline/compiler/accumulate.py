"""Gradient accumulation: an update whose gradient is made micro-batch after micro-batch, in the memory that one of them takes.

first    the gradient of the first micro-batch, put into the state
more     that of another one, added to it
update   the optimizer's step, from what was gathered

The loss of a row is divided by the rows of all micro-batches together.  Where a gradient is a product or a sum over rows, the chain of
additions that each of its numbers is goes on where the micro-batch before left it: it is then the chain of the large batch, to the bit.
What else depends on other rows, batch norm above all, is that of a micro-batch.  State and statistics of the network change in `update`
alone, so that a loss that is not finite leaves them as they were.
"""

# N rows of an update, B rows of a micro-batch
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.compiler.autodiff import gradients
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node
from pipeline.layers.dropout import Dropout
from pipeline.layers.graph import LayerGraph, Parameter
from pipeline.layers.normalization import BatchNormalization
from pipeline.ops.convolution import parts_of
from pipeline.passes.split_rows import blocks_of

WHOLE = "accumulated.whole"  # 1: what is copied is multiplied by it


def gathered_name(tensor: str) -> str:
    """Where the gradient of a parameter, or the new value of a running statistic, is gathered."""
    return f"gathered/{tensor}"


def emit_gathering(b: Builder, network: LayerGraph, loss: str, *, rows: int, times: int, first: bool) -> None:
    """Gathers the gradients of `loss`, and the running statistics that the layers have updated.

    rows   of the micro-batch; times: how many of its size the update has
    """
    gradient = gradients(b, loss, [p.name for p in network.parameters if p.learns])
    statistics, b.updates = dict(b.updates), {}
    for name, value in gradient.items():
        b.scope = f"gather/{name}"
        place, made = _added(b, name, value, rows=rows, times=times, first=first)
        b.updates[place] = made
    b.scope = ""
    for name, value in statistics.items():
        b.updates[b.input(gathered_name(name), b.shape(name), "state")] = value


def continued(graph: Graph, network: LayerGraph) -> Graph:
    """A gathering of a later micro-batch: its running statistics go on from those that were gathered."""
    names = {p.name: gathered_name(p.name) for p in network.parameters if not p.trained}
    kept = tuple(i for i in graph.inputs if i.name not in names.values())
    return graph.replace(inputs=kept).with_inputs(names)


def emit_gathered(b: Builder, network: LayerGraph, penalty: str | None, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """The gradient of each trained tensor: what was gathered, in `shapes`, and that of the penalty; and the statistics of the network."""
    decayed = [p for p in network.parameters if p.learns and _penalized(p)]
    own = gradients(b, penalty, [p.name for p in decayed]) if penalty and decayed else {}
    result: dict[str, str] = {}
    for p in network.parameters:
        if p.learns:
            data = b.reshape(b.input(gathered_name(p.name), shapes[gathered_name(p.name)], "state"), p.shape)
            result[p.name] = b.add("add", own[p.name], data, name="gradient_sum") if p.name in own else data
        elif not p.trained:
            b.scope = f"update/{p.name}"
            b.updates[b.input(p.name, p.shape, "state")] = b.add(
                "mul", b.input(gathered_name(p.name), p.shape, "state"), b.value(WHOLE), name="new"
            )
    b.scope = ""
    return result


def shapes_of(gathering: Graph) -> dict[str, tuple[int, ...]]:
    """The shapes in which a graph gathers."""
    return {i.name: i.type.shape for i in gathering.inputs if i.name.startswith(gathered_name(""))}


def apart(gathering: Graph) -> tuple[str, ...]:
    """Parameters whose gradient is not the chain of the large batch: sums over all its numbers, or in other blocks."""
    return tuple(name.split("/")[1] for name in gathering.updates.values() if name.startswith("gather/") and "_apart" in name)


def _penalized(p: Parameter) -> bool:
    r = p.regularization
    return r is not None and (r.l2 > 0 or r.l1 > 0 or r.penalty is not None)


def _added(b: Builder, name: str, value: str, *, rows: int, times: int, first: bool) -> tuple[str, str]:
    """The place of a gradient in the state, and what it becomes there."""
    made = {output: node for node in b.nodes for output in node.outputs}
    node = made.get(_seen(made, value))
    if node is not None and node.op == "matmul" and node.attributes.get("transpose_a"):
        place = b.input(gathered_name(name), b.shape(node.outputs[0]), "state")
        return place, b.add("matmul", *node.inputs, *(() if first else (place,)), name="matmul", **node.attributes)
    if node is not None and node.op == "sum" and (shape := _summed_rows(b, node)) is not None:
        x, exact = (
            _parts(b, made, node, times) if made[_seen(made, node.inputs[0])].op == "conv_weight_gradient" else (node.inputs[0], True)
        )
        place = b.input(gathered_name(name), shape, "state")
        total, columns = _rows(b, x) * times, shape[0]
        blocks = blocks_of(total, columns)
        if blocks > 1 and blocks == times:  # a micro-batch is a block, which is a chain of its own
            own = b.add("sum", x, axes=tuple(range(len(b.shape(x)) - 1)), name="block")
            return place, _copy(b, own) if first else b.add("add", place, own, name="added")
        named = "sum" if exact and (blocks == 1 or blocks % times == 0) else "sum_apart"
        start = () if first else (place,)
        return place, b.add("sum", x, *start, axes=tuple(range(len(b.shape(x)) - 1)), times=times, name=named)
    place = b.input(gathered_name(name), b.shape(value), "state")
    # of a single row the sum over rows is the row itself
    return place, _copy(b, value) if first else b.add("add", place, value, name="added" if rows == 1 and b.shape(value) else "added_apart")


def _copy(b: Builder, value: str) -> str:
    return b.add("mul", value, b.value(WHOLE), name="first")


def _seen(made: Mapping[str, Node], value: str) -> str:
    """The value that `value` is a view of."""
    while value in made and made[value].is_view:
        value = made[value].inputs[0]
    return value


def _rows(b: Builder, x: str) -> int:
    return math.prod(b.shape(x)[:-1])


def _summed_rows(b: Builder, node: Node) -> tuple[int, ...] | None:
    """The shape [C] of a sum over all axes but the last, an axis of one place summed or not; None of another."""
    shape, axes = b.shape(node.inputs[0]), set(node.attributes["axes"])
    last = len(shape) - 1
    whole = axes | {axis for axis in range(last) if shape[axis] == 1}
    return shape[-1:] if last > 0 and whole == set(range(last)) else None


def _parts(b: Builder, made: Mapping[str, Node], node: Node, times: int) -> tuple[str, bool]:
    """The partial gradients of a convolution's weight, in the parts that the large batch has of these images where it can; whether so."""
    partial = made[_seen(made, node.inputs[0])]
    images, count = b.shape(partial.inputs[0])[0], b.shape(node.inputs[0])[-1]
    parts = parts_of(images * times, count)
    if parts % times:
        return node.inputs[0], False
    again = b.add("conv_weight_gradient", *partial.inputs, **{**partial.attributes, "parts": parts // times})
    return b.reshape(again, (parts // times, count)), True


def described(network: LayerGraph, gathering: Graph, *, rows: int, times: int, drawn: bool) -> str:
    """What `times` micro-batches of `rows` rows are, and whether their bits are those of the large batch, for the reader.

    drawn: whether random numbers change the rows
    """
    norms = [node.name for node in network.nodes if isinstance(node.record, BatchNormalization)]
    drawn = drawn or any(isinstance(node.record, Dropout) for node in network.nodes)
    reasons = [f"batch norm ({_few(norms)}) has the statistics of a micro-batch"] if norms else []
    reasons += ["dropout and augmentation draw for each micro-batch, as for a step of its own"] if drawn else []
    reasons += [f"the sums in the gradients of {_few(others)} are cut otherwise"] if (others := apart(gathering)) else []
    bits = f"not the bits of batches of {rows * times}, as {'; '.join(reasons)}" if reasons else f"the bits of batches of {rows * times}"
    return f"a step is {times} micro-batches of {rows} rows, in the memory of one: {bits}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
