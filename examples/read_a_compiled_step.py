"""What a training step is made of: the op graph, what the passes make of it, the native program, and a check by hand.

python examples/read_a_compiled_step.py
"""

from __future__ import annotations

import re

import numpy as np

import pipeline


def parts(text: str, form: str) -> list[str]:
    """The titled parts of an explanation that are about one form of the network: train, or evaluate."""
    return [part for part in re.split(r"\n\n(?=== )", text) if part.startswith(f"== {form}: ")]


cfg = pipeline.compose(["architecture.layers=[{kind: dense, units: 16}]", "data=iris", "optimizer=sgd", "optimizer.learning_rate=0.1"])
program = pipeline.compile(cfg)  # no data is loaded: the shape of iris, 4 numbers a row and 3 classes, is known

# The network as it was declared: its layers, its loss, its gradients and the updates of its weights are ops of one graph.
graph, *passes = parts(program.explain(["graphs"]), "train")
print(graph, end="\n\n")

# Each pass says what it did. `fuse` makes element-wise chains single kernels; `join` has those that follow a product done with it.
for title, reasons in re.findall(r"after pass (.*) ==\n- (.*)", "\n".join(passes)):
    print(f"{title}: {reasons}")

# The program in phases: kernels of one phase may run side by side, and no weight is written before the loss is known to be finite.
print("", *parts(program.explain(["program"]), "train"), sep="\n")

# It computes what the books say: one step of sgd moves each weight by the learning rate times its gradient.
x, y = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 3
before, gradient = program.parameters(), program.gradients(x, y)
loss = program.step(x, y)
after = program.parameters()
apart = max(float(np.abs(before[name] - 0.1 * gradient[name] - after[name]).max()) for name in after)
print(f"\nloss {loss:.4f}; the weights are within {apart:.1g} of w - 0.1 * gradient")
