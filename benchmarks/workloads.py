"""The workloads, each as the sizes that every contender builds it from."""

# B batch rows, D inputs, H hidden units, C classes, K trials
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Workload:
    """An MLP D-H-H-C with Adam 1e-3; `normalized` adds batch norm and dropout 0.2 after each hidden layer.

    steps: training steps timed at once; trials: nets trained side by side, each with its own learning rate and seed.
    """

    name: str
    batch: int
    inputs: int
    hidden: int
    classes: int = 10
    normalized: bool = True
    steps: int
    trials: int = 1
    contenders: tuple[str, ...]

    def data(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """60 batches of random rows and labels, the same for every contender."""
        rng = np.random.default_rng(0)
        rows = 60 * self.batch
        return rng.standard_normal((rows, self.inputs), dtype=np.float32), rng.integers(0, self.classes, rows).astype(np.int32)


WORKLOADS = {
    w.name: w
    for w in (
        Workload(name="mlp", batch=128, inputs=784, hidden=512, steps=120, contenders=("caviar", "torch", "torch_compile", "jax")),
        Workload(
            name="mlp_plain", batch=128, inputs=784, hidden=512, normalized=False, steps=120,
            contenders=("caviar", "torch", "torch_compile", "jax", "sklearn"),
        ),
        Workload(name="mlp_small", batch=32, inputs=64, hidden=32, steps=600, contenders=("caviar", "torch", "jax")),
        Workload(name="mlp_small_64_trials", batch=32, inputs=64, hidden=32, steps=60, trials=64, contenders=("caviar", "torch", "jax")),
    )
}  # fmt: skip
