"""Layers of the catalogue for ten steps beside PyTorch, in both precisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.beside import IMAGES, VECTORS, beside, compiled, first, last

pytestmark = pytest.mark.parity
CONV = {"kind": "conv", "channels": 5}
Forward = Callable[[Any, Any, Any], Any]  # of (peer, PyTorch's functions, x [N, 8, 7, 3])


def _conv(n: Any, x: Any) -> Any:
    return n.conv(x, "conv1", padding=1)


# the layers before the head, and PyTorch's
CASES: dict[str, tuple[list[dict[str, Any]], Forward]] = {
    "normalization after a pool": (
        [{**CONV, "activation": "tanh"}, {"kind": "max_pool"}, {"kind": "normalization", "normalization": {"kind": "batch"}}],
        lambda n, f, x: n.batch_norm(n.max_pool(_conv(n, x).tanh(), 2), "bn2"),
    ),
    "normalization on the input": (
        [{"kind": "normalization", "normalization": {"kind": "batch"}}, CONV],
        lambda n, f, x: n.conv(n.batch_norm(x, "bn1"), "conv1", padding=1),
    ),
    "rms norm": (
        [{**CONV, "normalization": {"kind": "rms"}}],
        lambda n, f, x: f.rms_norm(_conv(n, x), (8, 7, 5), eps=1e-5) * n.p["rms1.gamma"],
    ),
    "nearest": (
        [CONV, {"kind": "upsample", "factor": [2, 3]}],
        lambda n, f, x: last(f.interpolate(first(_conv(n, x)), scale_factor=(2, 3), mode="nearest")),
    ),
    "bilinear": (
        [CONV, {"kind": "upsample", "factor": [2, 3], "method": "bilinear"}],
        lambda n, f, x: last(f.interpolate(first(_conv(n, x)), scale_factor=(2, 3), mode="bilinear", align_corners=False)),
    ),
    "conv_transpose of 2 groups": (
        [{**CONV, "channels": 4}, {"kind": "conv_transpose", "channels": 6, "groups": 2, "stride": 2, "padding": 1, "output_padding": 1}],
        lambda n, f, x: n.conv_transpose(_conv(n, x), "conv_transpose1", stride=2, padding=1, output_padding=1, groups=2),
    ),
    "max_pool with ceil": (
        [CONV, {"kind": "max_pool", "kernel": 3, "stride": 2, "padding": 1, "ceil": True}],
        lambda n, f, x: last(f.max_pool2d(first(_conv(n, x)), 3, 2, 1, ceil_mode=True)),
    ),
    "average_pool with ceil": (
        [CONV, {"kind": "average_pool", "kernel": [3, 2], "stride": 2, "padding": 1, "ceil": True}],
        lambda n, f, x: last(f.avg_pool2d(first(_conv(n, x)), (3, 2), 2, 1, ceil_mode=True, count_include_pad=False)),
    ),
    "average_pool with counted padding": (
        [CONV, {"kind": "average_pool", "kernel": 3, "stride": 2, "padding": 1, "count_padding": True}],
        lambda n, f, x: last(f.avg_pool2d(first(_conv(n, x)), 3, 2, 1)),
    ),
    "average_pool with ceil and counted padding": (
        [CONV, {"kind": "average_pool", "kernel": 3, "stride": 2, "padding": 1, "ceil": True, "count_padding": True}],
        lambda n, f, x: last(f.avg_pool2d(first(_conv(n, x)), 3, 2, 1, ceil_mode=True)),
    ),
    "conv padded on each side": ([{**CONV, "padding": [2, 0, 1, 3]}], lambda n, f, x: n.conv(x, "conv1", around=(2, 0, 1, 3))),
    "conv_transpose cut on each side": (
        [{"kind": "conv_transpose", "channels": 5, "stride": 2, "padding": [1, 0, 0, 2]}],
        lambda n, f, x: n.conv_transpose(x, "conv_transpose1", stride=2)[:, 1:, :-2],
    ),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_layers(case: str, precision: str, torch: Any) -> None:
    layers, forward = CASES[case]
    beside(torch, IMAGES, compiled(IMAGES, layers, precision=precision), lambda n, x: n.dense(forward(n, torch.nn.functional, x), "fc1"))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rms_norm_of_units(precision: str, torch: Any) -> None:
    made = compiled(VECTORS, [{"kind": "dense", "units": 12, "normalization": {"kind": "rms"}}], precision=precision)
    rms_norm = torch.nn.functional.rms_norm
    beside(torch, VECTORS, made, lambda n, x: n.dense(rms_norm(n.dense(x, "fc1"), (12,), n.p["rms1.gamma"], 1e-5), "fc2"))
