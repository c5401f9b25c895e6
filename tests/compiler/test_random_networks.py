"""Random small networks, of every layer, norm, activation, loss, optimizer and regularization: the native backend trains as the reference.

Sizes are small and odd on purpose: batches of one, images one place wide, single channels, where kernels take their other ways.
"""

from __future__ import annotations

import random
from graphlib import CycleError
from typing import Any

import numpy as np
import pytest

import backends
from pipeline.compiler.structure import Structure
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.optimizers import OPTIMIZERS
from tests.program.configs import config, program

LOSSES = {"classes": ("softmax_cross_entropy", "hinge"), "two classes": ("logistic",), "numbers": ("mean_squared_error", "huber")}
PENALTIES = {"l1": 0.01, "l2": 0.02, "weight_decay": 0.03, "max_norm": 1.0, "clip_norm": 0.5, "clip_value": 0.1}

FORMULAS: list[dict[str, Any]] = [
    {"kind": "formula", "forward": "x * tanh(softplus(x))"},
    {"kind": "formula", "forward": "x * sigmoid(beta * x) + a", "values": {"a": 0.1}, "learned": {"beta": {"per": "channel"}}},
    {"kind": "formula", "forward": "x - mean(x, axis=-1) * beta", "learned": {"beta": {"per": "layer", "start": 0.5}}},
]
STEPS: list[dict[str, Any]] = [
    {"slots": ["m"], "update": {"step": "learning_rate * sign(0.9 * m + 0.1 * g)", "m": "0.99 * m + 0.01 * g"}},
    {"update": {"step": "learning_rate * g * norm(w) / max(norm(g), 0.01)"}},
]


def normalization(r: random.Random) -> dict[str, Any]:
    kind = r.choice([*NORMALIZATIONS])
    fields: dict[str, Any] = {} if kind == "none" else {"position": r.choice(["pre", "post"])}
    if kind == "group":
        fields["groups"] = r.choice([1, 2, 3])
    if kind == "batch":
        fields["statistics"] = r.choice(["ema", "population"])
    return {"kind": kind, **fields}


def activation(r: random.Random) -> dict[str, Any]:
    kind = r.choice([*ACTIVATIONS])
    if kind == "formula":
        return r.choice(FORMULAS)
    return {"kind": kind, "shared": r.random() < 0.5} if kind == "prelu" else {"kind": kind}


def optimizer(r: random.Random) -> dict[str, Any]:
    kind = r.choice([*OPTIMIZERS])
    return {**(r.choice(STEPS) if kind == "formula" else {}), "kind": kind, "learning_rate": 0.01}


def averaging(r: random.Random) -> dict[str, Any]:
    kind = r.choice(["none", "none", "ema", "swa"])
    return {"kind": kind} if kind == "none" else {"kind": kind, "from_step": 2, **({"every_steps": 1} if kind == "swa" else {})}


def layer(r: random.Random, earlier: list[str]) -> dict[str, Any]:
    kind = r.choice([*LAYERS, "conv", "conv", "conv_transpose"])
    fields: dict[str, Any] = {"kind": kind}
    if kind in ("conv", "conv_transpose"):
        fields |= {"channels": r.choice([1, 2, 3, 4, 6, 17]), "kernel": [r.randint(1, 3), r.randint(1, 3)], "dilation": r.choice([1, 1, 2])}
        fields |= {"stride": [r.randint(1, 2), r.randint(1, 2)], "padding": r.choice(["same", "valid", 1, [1, 0, 0, 1]])}
    if kind in ("conv", "conv_transpose"):
        fields["groups"] = r.choice([1, 1, 2, 3])
    if kind in ("max_pool", "average_pool"):
        fields |= {"kernel": [r.randint(1, 3), r.randint(1, 2)], "stride": r.choice([1, 2, None]), "padding": r.choice(["same", "valid"])}
        fields["ceil"] = r.random() < 0.3
    if kind == "average_pool":
        fields["count_padding"] = r.random() < 0.5
    if kind == "upsample":
        fields |= {"factor": [r.randint(1, 3), r.randint(1, 2)], "method": r.choice(["nearest", "bilinear"])}
    if kind == "dropout":
        fields |= {"rate": 0.3, "form": r.choice(["inverted", "traditional", "alpha"])}
    if kind == "normalization":
        fields["normalization"] = normalization(r)
    if kind == "dense":
        fields["units"] = r.choice([1, 2, 5, 33])
    if kind in ("add", "concat"):
        fields["inputs"] = [r.choice(earlier) for _ in range(2)]
    if kind == "activation":
        fields["activation"] = activation(r)
    if kind in ("conv", "conv_transpose", "dense") and r.random() < 0.5:
        fields |= {"activation": activation(r), "normalization": normalization(r)}
    if kind in ("conv", "conv_transpose", "dense"):
        fields["frozen"] = r.random() < 0.15
    return fields


def network(r: random.Random) -> tuple[DataShape, dict[str, Any]]:
    """The shape of the data, and the groups of a config; many do not fit together."""
    layers: list[dict[str, Any]] = []
    for number in range(r.randint(1, 4)):
        layers.append({**layer(r, ["input", *(entry["name"] for entry in layers)]), "name": f"layer{number}"})
    input_shape = (r.randint(1, 5), r.randint(1, 5), r.choice([1, 2, 3, 6])) if r.random() < 0.85 else (r.randint(1, 7),)
    task = r.choice([*LOSSES])
    classes = {"classes": r.choice([2, 3, 5]), "two classes": 2, "numbers": None}[task]
    regularization = {name: value for name, value in PENALTIES.items() if r.random() < 0.2}
    if r.random() < 0.5:
        regularization |= {"dropout": r.choice(["inverted", "traditional", "alpha"]), "keep_prob": 0.7}
    groups = {
        "architecture": {"layers": layers, "head": "auto"},
        "loss": r.choice(LOSSES[task]),
        "regularization": regularization,
        "optimizer": optimizer(r),
        "activation": activation(r),
        "normalization": normalization(r),
        "averaging": averaging(r),
        "training": {"batch_size": r.choice([1, 1, 2, 3, 4, 5]), "accumulate": r.choice([1, 1, 1, 2, 3])},
    }
    return DataShape(input_shape=input_shape, classes=classes, targets=None if classes else r.choice([1, 2, 3])), groups


def check_some(first: int, count: int) -> None:
    """The first `count` networks from seed `first` on that fit together: losses of three steps, and predictions after them."""
    seed, done = first, 0
    while done < count:
        shape, groups = network(random.Random(seed))
        seed += 1
        try:
            made = [program(shape=shape, backend={"kind": kind}, **groups) for kind in ("reference", "numpy")]
        except ConfigError:
            continue
        done += 1
        rng = np.random.default_rng(seed)
        x, rows = rng.normal(size=(6, *shape.input_shape)), rng.integers(0, 6, (3, made[0].batch_size))
        y = rng.integers(0, shape.classes, 6) if shape.classes else rng.normal(size=(6, shape.targets or 0))
        losses = [one.run(x, y, rows) for one in made]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-7, atol=1e-9, err_msg=f"seed {seed - 1}: {groups}")
        found = [one.predict(x) for one in made]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7, err_msg=f"seed {seed - 1}: {groups}")


@pytest.mark.parametrize("first", range(0, 3000, 1000))
def test_a_few_random_networks(first: int) -> None:
    check_some(first, 2)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 20_000, 1000))
def test_many_random_networks(first: int) -> None:
    check_some(first, 30)


def compile_some(first: int, count: int) -> None:
    """The first `count` networks from seed `first` on that fit together, each made a plan for training and one for evaluation.

    No native code is made: what is looked at are the passes, whose verifier looks at every graph, and the order of the plan.
    """
    backend, seed, done = backends.load("numpy"), first, 0
    while done < count:
        shape, groups = network(random.Random(seed))
        try:
            made = Structure(config(**groups, backend={"kind": "numpy", "recompute": seed % 3 == 0}), shape, backend)
            made.lowered("train", made.batch_size)
        except ConfigError:
            continue
        finally:
            seed += 1
        done += 1
        evaluated = [("evaluate", 1 + seed % 5)] if seed % 3 == 0 else []  # which replaces no state, so there is less to go wrong
        for form, rows in (*made.training, *evaluated):
            try:
                made.compiled(form, rows)
            except (AssertionError, CycleError) as error:
                raise AssertionError(f"seed {seed - 1}, {form} of {rows} rows: {groups}") from error


def test_updates_that_read_each_others_parameter_are_kept_apart() -> None:
    """With one row a step a bias and a gamma are as long as a row: each one's update computed a value again from the other."""
    shape = DataShape(input_shape=(4,), classes=3, targets=None)
    groups = {"normalization": {"kind": "layer", "position": "post"}, "training": {"batch_size": 1}}
    made = [program(32, 32, shape=shape, backend={"kind": kind}, **groups) for kind in ("reference", "numpy")]
    rng = np.random.default_rng(0)
    x, y, rows = rng.normal(size=(6, 4)), rng.integers(0, 3, 6), rng.integers(0, 6, (9, 1))
    losses = [one.run(x, y, rows) for one in made]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)


@pytest.mark.parametrize("first", range(100_000, 300_000, 50_000))
def test_two_thousand_random_networks_compile(first: int) -> None:
    compile_some(first, 500)


@pytest.mark.soak
def test_a_hundred_thousand_random_networks_compile() -> None:
    compile_some(1_000_000, 100_000)
