"""Where a network is not smooth: which side of every kink it is on, told by one number.

relu, max pooling, |x| and every comparison have kinks, at which a difference quotient says nothing about a gradient.  The pattern is
the sum of one random 24-bit number for each unit that is on the upper side: in float64 the sum is exact, so two runs
on the same sides give equal patterns in any order of summing, and other sides give other patterns but for a chance of about 2^-24.
"""

from __future__ import annotations

from pipeline import random
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node
from pipeline.ops import SHAPE_RULES
from pipeline.passes.simplify import prune


def loss_and_pattern(graph: Graph) -> Graph:
    """The forward half of `graph` (float64, with an output `loss`), with the outputs `loss` and, where there are kinks, `pattern`."""
    assert graph.precision == "float64", "the pattern is exact in float64 alone"
    forward, _ = prune(graph.replace(outputs={"loss": graph.outputs["loss"]}, updates={}, guard=None))
    b = Builder.continuing(forward, SHAPE_RULES)
    words = tuple(b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high"))
    total: str | None = None
    for node in forward.nodes:
        side = _side(b, node)
        if side is None or not b.shape(side):  # one number for the whole step, such as a value of a formula, is no unit
            continue
        shape, path = b.shape(side), random.path_word(f"pattern/{node.outputs[0]}")
        number = b.add("uniform", *words, shape=shape, stream=random.GENERATOR, path=path, dtype="float64")
        term = b.add("sum", b.add("mul", side, number), axes=tuple(range(len(shape))), name="pattern")
        total = term if total is None else b.add("add", total, term, name="pattern")
    b.outputs = {"loss": forward.outputs["loss"]} | ({"pattern": total} if total is not None else {})
    return b.graph()


def _side(b: Builder, node: Node) -> str | None:
    """1 where a unit of `node` is on the upper side of its kink, else 0, as float64; None for a smooth op."""
    x = node.inputs[0] if node.inputs else ""
    match node.op:
        case "maximum":
            above = b.add("greater", *node.inputs)
        case "abs":
            above = b.add("greater", x, b.constant(0.0))
        case "greater" | "less":
            above = node.outputs[0]
        case "max":
            kept = tuple(1 if axis in node.attributes["axes"] else n for axis, n in enumerate(b.shape(x)))
            above = b.add("equal", x, b.reshape(node.outputs[0], kept))
        case "max_pool":  # how many windows each number is the maximum of
            ones = b.add("spread", b.constant(1.0), shape=b.shape(node.outputs[0]))
            return b.add("max_pool_gradient", x, ones, **node.attributes)
        case _:
            return None
    return b.add("cast", above, dtype="float64")
