"""A kind of layer that the product does not have: a gate, y = x * sigmoid(x W + b), checked and trained like any other.

python examples/layer_of_your_own.py
"""

# N batch, F features
from __future__ import annotations

import pipeline
from pipeline.checks.run import check
from pipeline.config.spec import experiment
from pipeline.graph.builder import Builder
from pipeline.layers import LAYERS
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import OneInput
from pipeline.recipe.initialization import Xavier
from pipeline.records import record, setting


# 1. The record: what a config may say of the layer. `name` and `input` come with OneInput.
@record
class Gate(OneInput):
    """y = x * sigmoid(x W + b), x [N, F] -> y [N, F]; W [F, F] is `NAME.weight`, b [F] is `NAME.bias`."""

    open: float = setting(1.0)  # what b starts with: sigmoid(1) = 0.73 of x goes through


# 2. Its tensors, from the shape of its input without the batch axis. (A `shape` rule is needed where the output has another shape.)
def parameters(gate: Gate, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    (f,) = shapes[0]
    weight = Parameter(name=f"{name}.weight", shape=(f, f), initial=Xavier(), fan_in=f, fan_out=f)
    return weight, Parameter(name=f"{name}.bias", shape=(f,), initial=gate.open)


# 3. Its ops. Gradients, fusion and memory follow from them: nothing else is to be written.
def lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    weight, bias = (b.input(p.name, p.shape, "state") for p in node.parameters)
    return b.add("mul", inputs[0], b.add("sigmoid", b.add("add", b.add("matmul", inputs[0], weight), bias)), name="gate")


# 4. Its row in the family of layers: the word of the config, the record, the rule.
LAYERS.rows["gate"] = (Gate, LayerKind(prefix="gate", parameters=parameters, lower=lower))

layers = "architecture.layers=[{kind: dense, units: 32}, {kind: gate, open: 2}, {kind: dense, units: 16}]"
cfg = pipeline.compose([layers, "data=wine", "training.batch_size=16", "training.epochs=20", "tracking=none"])

# The checks before a training hold for it too: each gradient against centred differences in float64.
for finding in check(experiment(cfg)):
    print(f"{finding.check:<26} {'pass' if finding.passed else 'FAIL'}  {finding.measured}")

result = pipeline.train(cfg, quiet=True)
print(f"test accuracy {result.metrics['accuracy/test']:.1%} of a network of", ", ".join(result.program.parameters()))
