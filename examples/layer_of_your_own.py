"""A kind of layer that the product does not have: a gate, y = x * sigmoid(x W + b), checked and trained like any other.

python examples/layer_of_your_own.py
"""

# N batch, F features
from __future__ import annotations

import pipeline
from pipeline import extend
from pipeline.checks.run import check
from pipeline.config.spec import experiment


@extend.layer("gate")
class Gate(extend.Layer):
    """y = x * sigmoid(x W + b), x [N, F] -> y [N, F]; W [F, F] is `NAME.weight`, b [F] is `NAME.bias`."""

    # 1. What a config may say of it. `name` and `input` come with extend.Layer.
    open: float = extend.setting(1.0)  # what b starts with: sigmoid(1) = 0.73 of x goes through

    # 2. Its tensors, from the shape of its input without the batch axis. (`shape` is needed where the output has another shape.)
    def parameters(self, inputs: tuple[extend.Shape, ...]) -> tuple[extend.Parameter, ...]:
        (f,) = inputs[0]
        weight = extend.Parameter(name="weight", shape=(f, f), initial=extend.Xavier(), fan_in=f, fan_out=f)
        return weight, extend.Parameter(name="bias", shape=(f,), initial=self.open)

    # 3. Its ops. Gradients, fusion and memory follow from them: nothing else is to be written.
    def lower(self, b: extend.Builder, inputs: tuple[str, ...], given: extend.Given, *, training: bool) -> str:
        (x,) = inputs
        return b.add("mul", x, b.add("sigmoid", b.add("add", b.add("matmul", x, given["weight"]), given["bias"])), name="gate")


layers = "architecture.layers=[{kind: dense, units: 32}, {kind: gate, open: 2}, {kind: dense, units: 16}]"
cfg = pipeline.compose([layers, "data=wine", "training.batch_size=16", "training.epochs=20", "tracking=none"])

# The checks before a training hold for it too: each gradient against centred differences in float64.
for finding in check(experiment(cfg)):
    print(f"{finding.check:<26} {'pass' if finding.passed else 'FAIL'}  {finding.measured}")

result = pipeline.train(cfg, quiet=True)
print(f"test accuracy {result.metrics['accuracy/test']:.1%} of a network of", ", ".join(result.program.parameters()))
