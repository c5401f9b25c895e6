"""Small trained models of every kind that is exported."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import pipeline
from pipeline.config import spec
from pipeline.data.load import load
from pipeline.program.model import Model

ROOT = Path(__file__).parents[2]
DENSE = "architecture.layers=[{kind: dense, units: 12}, {kind: dense, units: 8}]"
CONV = (
    "architecture.layers=[{kind: conv, channels: 8}, {kind: max_pool}, {kind: conv, channels: 8, groups: 4, dilation: 2},"
    " {kind: dense, units: 8, normalization: none}]"
)
SHORT = ("training.epochs=1", "training.batch_size=16", "training.early_stopping=null", "tracking=none")


def options(group: str, *left_out: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml") if file.stem not in left_out)


CASES: dict[str, tuple[str, ...]] = {
    **{f"activation {name}": ("data=iris", DENSE, f"activation={name}") for name in options("activation", "softmax")},
    "activation softmax": ("data=iris", DENSE, "architecture.layers.1.activation=softmax"),
    **{f"normalization {name}": ("data=digits", CONV, f"normalization={name}") for name in options("normalization")},
    **{f"normalization {name} of rows": ("data=iris", DENSE, f"normalization={name}") for name in ("batch", "layer")},
    **{
        f"preprocessing {name}": ("data=iris", DENSE, f"preprocessing={name}")
        for name in options("preprocessing")
    },
    **{f"preprocessing {name} of images": ("data=digits", DENSE, f"preprocessing={name}") for name in ("pca", "zca", "standardize")},
    **{f"architecture {name}": ("data=digits", f"architecture={name}") for name in ("cnn_small", "linear", "maxout_mlp", "mlp_small")},
    "architecture resnet20": ("data=digits", "architecture=resnet20"),
    "architecture conv_autoencoder": ("+experiment=autoencoder", "data=digits"),
    "loss logistic": ("data=breast_cancer", DENSE, "loss=logistic"),
    "loss hinge": ("data=iris", DENSE, "loss=hinge"),
    **{f"loss {name}": ("data=diabetes", DENSE, f"loss={name}") for name in ("mean_squared_error", "mean_absolute", "huber")},
    "float64": ("data=digits", CONV, "precision=float64"),
    "merged layers": (
        "data=digits",
        "architecture.layers=[{kind: conv, channels: 8, name: a}, {kind: conv, channels: 8, name: b, input: a, normalization: batch},"
        " {kind: add, inputs: [a, b], name: c}, {kind: concat, inputs: [a, c]}, {kind: average_pool, kernel: 3, stride: 2, padding: same},"
        " {kind: conv_transpose, channels: 4, stride: 2}, {kind: global_average_pool}]",
    ),
    "depthwise": ("data=digits", "architecture.layers=[{kind: conv, channels: 8}, {kind: conv, channels: 8, groups: 8, stride: 2}]"),
    "formulas": ("data=iris", DENSE, "loss=focal", "activation=selu", "regularization=alpha_dropout"),
    "later layers": (
        "data=digits",
        "architecture.layers=[{kind: normalization, normalization: rms}, {kind: dropout, rate: 0.2},"
        " {kind: conv, channels: 8, padding: [1,0,2,1], activation: mish}, {kind: upsample},"
        " {kind: upsample, factor: [1,2], method: bilinear}, {kind: max_pool, kernel: 3, stride: 2, ceil: true},"
        " {kind: average_pool, kernel: 3, stride: 2, padding: 1, ceil: true, count_padding: true},"
        " {kind: conv_transpose, channels: 6, groups: 2, stride: 2}, {kind: normalization, normalization: batch},"
        " {kind: activation, activation: learned_swish}]",
    ),
    "dropout and decay": ("data=iris", DENSE, "regularization=dropout", "regularization.l2=0.001"),
}  # fmt: skip


@cache
def trained(name: str) -> tuple[Model, Any]:
    """The model of a case after an epoch, and rows for it."""
    cfg = pipeline.compose([*CASES[name], *SHORT])
    model = pipeline.train(cfg, quiet=True).program
    return model, np.asarray(load(spec.experiment(cfg).data, seed=0).test.x)[:40]
