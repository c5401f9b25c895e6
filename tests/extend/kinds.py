"""The text of a module with a kind of each family."""

from __future__ import annotations

from tests.extend.conftest import GATES

KINDS = (
    GATES
    + '''

@extend.source("spirals", examples=[{"rows": 40}])
class Spirals(extend.Source):
    """Two spirals about the origin."""

    turns: float = extend.setting(1.0, above=0)
    rows: int = extend.setting(120, least=4)

    def read(self):
        radius = np.linspace(0.1, 1, self.rows // 2)
        angle = 2 * np.pi * self.turns * radius
        one = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return np.concatenate([one, -one]), np.repeat(["in", "out"], len(one))


@extend.step("squash")
class Squash(extend.Step):
    """tanh of each value over the largest of its feature, and its square beside it: [N, F] -> [N, 2 F]."""

    by: float = extend.setting(2.0, above=0)

    def fit(self, chunks):
        return {"largest": np.max([np.abs(x).max(axis=0) for x in chunks()], axis=0)}

    def apply(self, x, arrays):
        squashed = np.tanh(self.by * x / arrays["largest"])
        return np.concatenate([squashed, squashed**2], axis=-1)


@extend.callback("enough", examples=[{}, {"loss": 0.69}])
class Enough(extend.Callback):
    """Ends a training whose loss is low enough."""

    loss: float = extend.setting(0.5, above=0)

    def __post_init__(self):
        self.seen = []

    def on_epoch_end(self, state):
        self.seen.append(state.metrics["loss/train"])
        if self.seen[-1] < self.loss:
            state.stop(f"after {len(self.seen)} epochs the loss is below {self.loss}")

    def state(self):
        return {"seen": self.seen}

    def restore(self, saved):
        self.seen = saved["seen"]
'''
)

SLOTS = '''
"""Layers with slots, and of two inputs."""
from pipeline import extend


@extend.layer("rescaled", prefix="rs", examples=[{"units": 3}, {"units": 2, "normalization": "layer"}])
class Rescaled(extend.Weighted):
    """y = (x W) * bias, x [N, I] -> y [N, O]: what is called a bias here is a factor."""

    units: int = extend.setting(least=1)

    def shape(self, inputs):
        if len(inputs[0]) != 1:
            raise extend.ConfigError(at="input", got=list(inputs[0]), rule="must be rows of numbers", hint="flatten them first")
        return (self.units,)

    def parameters(self, inputs):
        shape = (inputs[0][0], self.units)
        fans = {"fan_in": shape[0], "fan_out": shape[1]}
        weight = extend.Parameter(name="weight", shape=shape, initial=self.start, regularization=self.regularization, **fans)
        return weight, extend.Parameter(name="bias", shape=(self.units,), initial=1.5)

    def lower(self, b, inputs, given, *, training):
        return b.add("mul", b.add("matmul", inputs[0], given["weight"]), given["bias"])


@extend.layer("product")
class Product(extend.Merge):
    """The product of its inputs: x, z [N, ...] -> [N, ...]."""

    def lower(self, b, inputs, given, *, training):
        return b.add("mul", inputs[0], inputs[1])
'''
