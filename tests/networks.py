"""Small hand-made training graphs for tests of the passes, the plan and the native backend."""

# B batch, D inputs, H units, C classes
from __future__ import annotations

from pipeline.compiler.autodiff import gradients
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.ops import SHAPE_RULES
from pipeline.ops.reduce import mean


def training_graph(*, B: int = 8, D: int = 6, H: int = 5, C: int = 3, precision: str = "float32", dropout: bool = True) -> Graph:
    """dense -> batch norm -> relu -> dropout -> dense -> softmax cross-entropy, with momentum updates and running means."""
    b = Builder(precision, SHAPE_RULES)
    x, y = b.input("x", (B, D), "data"), b.input("y", (B,), "data", "int32")
    words = tuple(b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high"))
    shapes = {"fc1.weight": (D, H), "bn1.gamma": (H,), "bn1.beta": (H,), "fc2.weight": (H, C), "fc2.bias": (C,)}
    parameters = [b.input(name, shape, "state") for name, shape in shapes.items()]
    b.scope = "hidden"
    z = b.add("matmul", x, "fc1.weight")
    z, center, _ = b.add_many("batch_norm", z, "bn1.gamma", "bn1.beta", b.value("epsilon"), names=("normal", "mean", "variance"))
    h = b.add("maximum", z, b.constant(0.0), name="relu")
    if dropout:
        mask = b.add("less", b.add("uniform", *words, shape=(B, H), stream=4, path=77, dtype=precision), b.value("keep_prob"))
        h = b.add("where", mask, b.add("div", h, b.value("keep_prob")), b.constant(0.0), name="dropout")
    b.scope = "head"
    logits = b.add("add", b.add("matmul", h, "fc2.weight"), "fc2.bias", name="logits")
    row_loss, _ = b.add_many("softmax_cross_entropy", logits, y, names=("row_loss", "probabilities"))
    loss = mean(b, row_loss, (0,), "loss")
    b.scope, b.outputs, b.guard = "", {"loss": loss}, loss
    gradient = gradients(b, loss, parameters)
    b.scope = "update"
    for name in parameters:
        velocity = b.input(f"velocity/{name}", b.shape(name), "state")
        new = b.add("add", b.add("mul", velocity, b.value("momentum")), gradient[name])
        b.updates[velocity] = new
        b.updates[name] = b.add("sub", name, b.add("mul", new, b.value("learning_rate")))
    running = b.input("bn1.running_mean", (H,), "state")
    kept = b.add("mul", running, b.value("momentum"))
    b.updates[running] = b.add("add", kept, b.add("mul", center, b.value("one_minus_momentum")))
    b.scope = ""
    return b.graph()


VALUES = {"epsilon": 1e-5, "keep_prob": 0.8, "momentum": 0.9, "one_minus_momentum": 0.1, "learning_rate": 0.05}
