"""The workloads, each as the sizes that every contender builds it from, and what is asked of its ratios."""

# B batch rows, H hidden units, C classes, K trials
from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

LEARNING_RATE = {"adam": 1e-3, "sgd": 1e-2}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The best of `peers` is to take at least `ratio` times as long as ours."""

    ratio: float
    peers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A network, what is done with it, and how often.

    network    mlp: `depth` hidden layers of `hidden` units, `normalized`: batch norm and dropout 0.2 after each
               cnn: 3x3 convolutions 32, 32, pool, 64, 64, pool with batch norm, dense 128 with dropout 0.5
               resnet20: He et al. 2016, section 4.2, option B;  logistic: one output and the logistic loss
    task       train: Adam 1e-3 (logistic: plain SGD 1e-2) on rows in stored order;  predict: class probabilities of `batch` rows
    inputs     shape of a row, channels last
    dropout    False leaves all dropout out
    learnable  each class has a centre of its own, else labels say nothing about rows
    trials     nets trained side by side, each with its own learning rate and seed
    batches    of the data, taken again from the start after the last
    steps      calls timed at once;  rounds: how many such times are taken
    unit       what a time is of: `unit_steps` steps of one trial
    threads    cores that every contender may use; None: all
    """

    name: str
    network: Literal["mlp", "cnn", "resnet20", "logistic"] = "mlp"
    task: Literal["train", "predict"] = "train"
    precision: Literal["float32", "float64"] = "float32"
    batch: int = 128
    inputs: tuple[int, ...] = (784,)
    hidden: int = 512
    depth: int = 2
    classes: int = 10
    normalized: bool = True
    dropout: bool = True
    learnable: bool = False
    trials: int = 1
    batches: int = 60
    steps: int = 120
    rounds: int = 15
    unit: str = "step"
    unit_steps: int = 1
    threads: int | None = None
    contenders: tuple[str, ...]
    goals: tuple[Goal, ...] = ()

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""
        return "sgd" if self.network == "logistic" else "adam"

    def data(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Random rows [batches * B, *inputs] and labels, the same for every contender."""
        rng = np.random.default_rng(0)
        rows = self.batches * self.batch
        x, y = rng.standard_normal((rows, *self.inputs), dtype=np.float32), rng.integers(0, self.classes, rows)
        if self.learnable:
            x *= np.float32(0.4)
            x += self._centres(rng)[y]
        return x, y.astype(np.int32)

    def _centres(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """A centre for each class [C, *inputs]; of images a pattern of 4 x 4 fields."""
        if len(self.inputs) == 1:
            return np.float32(0.2) * rng.standard_normal((self.classes, *self.inputs), dtype=np.float32)
        height, width, channels = self.inputs
        fields = rng.standard_normal((self.classes, 4, 4, channels), dtype=np.float32)
        return fields.repeat(height // 4, 1).repeat(width // 4, 2)

    def rows(self, number: int) -> slice:
        """The rows of batch `number`."""
        first = number % self.batches * self.batch
        return slice(first, first + self.batch)

    def quick(self) -> Workload:
        """The same in a few steps, to see that it runs; its times mean nothing."""
        return replace(self, steps=min(self.steps, 2), rounds=2, batches=min(self.batches, 3))

    def text(self) -> str:
        """As JSON, for a worker's command line."""
        return json.dumps(asdict(replace(self, goals=())))

    @classmethod
    def of(cls, text: str) -> Workload:
        """The inverse of `text`."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in json.loads(text).items()}
        return cls(**fields)


TORCH = ("torch", "torch_compile")
CNN: dict[str, Any] = {"network": "cnn", "inputs": (28, 28, 1), "batches": 20}
SMALL: dict[str, Any] = {"batch": 32, "inputs": (64,), "hidden": 32}
EPOCH = 1_000_000 // 256
PREDICTING = ("torch", "torch_channels_last")
ALL = (
    Workload(
        name="mlp", contenders=("caviar", *TORCH, "jax"), goals=(Goal(ratio=1.5, peers=("jax",)), Goal(ratio=3, peers=TORCH)),
    ),
    Workload(
        name="mlp_plain", normalized=False, contenders=("caviar", *TORCH, "jax", "sklearn"),
        goals=(Goal(ratio=1.3, peers=("jax",)), Goal(ratio=2.5, peers=TORCH), Goal(ratio=6, peers=("sklearn",))),
    ),
    Workload(
        name="mlp_small", **SMALL, steps=600, contenders=("caviar", "torch", "jax"),
        goals=(Goal(ratio=15, peers=("torch",)), Goal(ratio=7, peers=("jax",))),
    ),
    Workload(
        name="mlp_small_64_trials", **SMALL, steps=60, trials=64, unit="step of one trial", contenders=("caviar", "torch", "jax"),
        goals=(Goal(ratio=3, peers=("jax",)), Goal(ratio=40, peers=("torch",))),
    ),
    Workload(
        name="cnn", **CNN, steps=6, rounds=11, contenders=("caviar", "torch_channels_last", *TORCH, "jax"),
        goals=(Goal(ratio=1.3, peers=("torch_channels_last", *TORCH)), Goal(ratio=4, peers=("jax",))),
    ),
    Workload(
        name="logistic", network="logistic", batch=256, inputs=(100,), classes=2, batches=EPOCH, steps=EPOCH, rounds=9, unit="epoch",
        unit_steps=EPOCH, contenders=("caviar", "torch", "sklearn", "sklearn_minibatches"),
        goals=(Goal(ratio=3, peers=("sklearn", "sklearn_minibatches")), Goal(ratio=5, peers=("torch",))),
    ),
    Workload(
        name="resnet20", network="resnet20", inputs=(32, 32, 3), batches=6, steps=3, rounds=9,
        contenders=("caviar", "torch_channels_last"), goals=(Goal(ratio=1.1, peers=("torch_channels_last",)),),
    ),
    Workload(
        name="mlp_predict_1", task="predict", batch=1, steps=400, unit="call", contenders=("caviar", "torch"),
        goals=(Goal(ratio=2, peers=("torch",)),),
    ),
    Workload(
        name="mlp_predict_1024", task="predict", batch=1024, batches=8, steps=20, unit="call", contenders=("caviar", "torch"),
        goals=(Goal(ratio=1.2, peers=("torch",)),),
    ),
    Workload(
        name="cnn_predict_1", task="predict", **{**CNN, "batch": 1, "batches": 60}, steps=100, unit="call",
        contenders=("caviar", *PREDICTING), goals=(Goal(ratio=2, peers=PREDICTING),),
    ),
    Workload(
        name="cnn_predict_1024", task="predict", **{**CNN, "batch": 1024, "batches": 2}, steps=2, rounds=9, unit="call",
        contenders=("caviar", *PREDICTING), goals=(Goal(ratio=1.2, peers=PREDICTING),),
    ),
)  # fmt: skip
WORKLOADS = {w.name: w for w in ALL}
