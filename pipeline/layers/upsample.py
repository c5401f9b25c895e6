"""Upsampling: an image with each row and column several times, or with what lies between them."""

# N batch, H W image, C channels, s factor
from __future__ import annotations

from typing import Literal

from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import OneInput
from pipeline.layers.windows import image, pair
from pipeline.ops.concat import split
from pipeline.records import record, setting


@record
class Upsample(OneInput):
    """x [N, H, W, C] -> [N, s H, s W, C], `factor` s one number or [rows, columns].

    nearest   y[i] = x[i // s]
    bilinear  y[i] lies on the line between the two pixels around (i + 1/2) / s - 1/2, and beyond the edge is what stands at the edge
              (PyTorch's align_corners=False)
    """

    factor: int | tuple[int, ...] = setting(2, least=1)
    method: Literal["nearest", "bilinear"] = setting("nearest")


def _shape(record: Upsample, shapes: tuple[Shape, ...]) -> Shape:
    (h, w, c), (rows, columns) = image(shapes[0]), pair("factor", record.factor)
    return h * rows, w * columns, c


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    record, (x,) = node.record, inputs
    assert isinstance(record, Upsample)
    for axis, factor in zip((1, 2), pair("factor", record.factor), strict=True):
        if factor > 1:
            parts = [x] * factor if record.method == "nearest" else _between(b, x, axis, factor)
            x = _side_by_side(b, parts, axis)
    return x


def _between(b: Builder, x: str, axis: int, factor: int) -> list[str]:
    """The s pictures whose pixels are those of y at i s, i s + 1, ... along `axis`, each [N, H, W, C]."""
    size = b.shape(x)[axis]
    before = after = x
    if size > 1:
        first, most = split(b, x, (1, size - 1), axis, "edge")
        rest, last = split(b, x, (size - 1, 1), axis, "edge")
        before = b.add("concat", first, rest, axis=axis, name="before")
        after = b.add("concat", most, last, axis=axis, name="after")
    parts = []
    for phase in range(factor):
        share = (phase + 0.5) / factor - 0.5
        other = before if share < 0 else after
        own = b.add("mul", x, b.constant(1.0 - abs(share)))
        parts.append(b.add("add", own, b.add("mul", other, b.constant(abs(share))), name="between") if share else x)
    return parts


def _side_by_side(b: Builder, parts: list[str], axis: int) -> str:
    """Pictures [N, H, W, C] in turn along `axis`."""
    n, h, w, c = b.shape(parts[0])
    flat = (n * h, 1, w * c) if axis == 1 else (n * h * w, 1, c)
    made = b.add("concat", *(b.reshape(part, flat) for part in parts), axis=1, name="upsampled")
    return b.reshape(made, (n, h * len(parts), w, c) if axis == 1 else (n, h, w * len(parts), c))


UPSAMPLE = LayerKind(prefix="upsample", shape=_shape, lower=_lower)
