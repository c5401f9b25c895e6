"""Transposed convolution: 2 x 2 becomes 4 x 4, and it is the adjoint of the convolution, not its inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import layers, program
from pipeline.graph.values import Array
from pipeline.program.program import Program


def deconv(config: Experiment) -> list[Figure]:
    """The notes pad a 2 x 2 image by 2 and convolve with 3 x 3: (2 + 2 * 2 - 3) / 1 + 1 = 4.  That picture holds for stride 1 only."""
    figures = []
    for stride, side in ((1, 4), (2, 5)):
        spread = _network(config, "conv_transpose", stride, 2, side)
        gather = _network(config, "conv", stride, side, 2)
        weight = random.normal(config.seed, random.GENERATOR, "deconv.weight", 0, 9).reshape(3, 3, 1, 1)
        for made, name in ((spread, "conv_transpose1"), (gather, "conv1")):
            made.load_parameters({f"{name}.weight": weight, f"{name}.bias": np.zeros(1)})
        x, y = _image(config, "x", side), _image(config, "y", 2)
        up, down = spread.predict(y), gather.predict(x)
        inner = float(np.sum(up.reshape(-1) * x.reshape(-1))), float(np.sum(down.reshape(-1) * y.reshape(-1)))
        figures += [
            near(f"stride {stride}: side of the output of 2 x 2", (2 - 1) * stride + 3, spread.layers[0][2][0], 0),
            at_most(f"stride {stride}: |<C x, y> - <x, C' y>|", 1e-12, abs(inner[0] - inner[1])),
            at_least(
                f"stride {stride}: |C C' y - y|, were it an inverse 0",
                0.1,
                float(np.abs(gather.predict(up.reshape(x.shape)) - y.reshape(1, -1)).max()),
            ),
        ]
        if stride == 1:
            padded = np.pad(y[0, :, :, 0], 2)
            flipped = weight[::-1, ::-1, 0, 0]
            picture = np.array([[np.sum(padded[i : i + 3, j : j + 3] * flipped) for j in range(4)] for i in range(4)])
            apart = float(np.abs(picture.reshape(-1) - up.reshape(-1)).max())
            figures.append(at_most("stride 1: difference to the picture of the notes, kernel flipped", 1e-12, apart))
    return figures


def _network(config: Experiment, kind: str, stride: int, side: int, out: int) -> Program:
    """One layer of one channel, side x side -> out x out, its output flat."""
    entry: dict[str, Any] = {"kind": kind, "channels": 1, "kernel": 3, "stride": stride, "padding": "valid", "activation": "identity"}
    shape = DataShape(input_shape=(side, side, 1), targets=out * out)
    return program(config, shape, architecture=layers(entry, {"kind": "flatten"}))


def _image(config: Experiment, name: str, side: int) -> Array:
    return random.normal(config.seed, random.GENERATOR, f"deconv.{name}", 0, side * side).reshape(1, side, side, 1)
