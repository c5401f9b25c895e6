"""Pooling: the largest or the mean value of each window, channel by channel."""

# N batch, H W image, C channels, Ho Wo output positions
from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Lower, Shape
from pipeline.layers.part import OneInput
from pipeline.layers.windows import Window, image, pad, slide, wider
from pipeline.records import record, setting


@record
class WindowPool(OneInput):
    """A window that moves over an image: x [N, H, W, C] -> [N, Ho, Wo, C].

    stride null: the kernel, so that windows lie side by side.  Padding takes no part in a maximum or a mean.
    ceil: a position more where the last ones leave a part of the image over; what then lies outside takes no part either.
    """

    kernel: int | tuple[int, ...] = setting(2, least=1)
    stride: int | tuple[int, ...] | None = setting(None, least=1)
    padding: Literal["same", "valid"] | int | tuple[int, ...] = setting("valid", least=0)
    ceil: bool = setting(False)


@record
class MaxPool(WindowPool):
    """y = max of each window; the gradient goes to the first maximum (Boureau, Ponce & LeCun 2010)."""


@record
class AveragePool(WindowPool):
    """y = mean of each window.  count_padding: the zeros of the padding are numbers of it too."""

    count_padding: bool = setting(False)


@record
class GlobalAveragePool(OneInput):
    """y = mean over the whole image: x [N, H, W, C] -> [N, C] (Lin, Chen & Yan 2013)."""


def _window(record: WindowPool, shape: Shape) -> Window:
    stride = record.kernel if record.stride is None else record.stride
    window = slide(shape, record.kernel, stride, record.padding)
    if any(max(window.padding[2 * a : 2 * a + 2]) >= window.window[a] for a in (0, 1)):
        raise ConfigError(at="padding", got=record.padding, rule="must be below the kernel", hint="a window would hold padding alone")
    return wider(window, shape) if record.ceil else window


def _shape(record: WindowPool, shapes: tuple[Shape, ...]) -> Shape:
    return (*_window(record, shapes[0]).out, image(shapes[0])[2])


def _lower(op: str) -> Lower:
    def lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
        assert isinstance(node.record, WindowPool)
        (x,), shape = inputs, b.shape(inputs[0])[1:]
        window = _window(node.record, shape)
        if isinstance(node.record, AveragePool) and node.record.count_padding:
            # the zeros become part of the image; what `ceil` adds beyond them does not
            around = _window(replace(node.record, ceil=False), shape).padding
            x, beyond = pad(b, x, around), (have - own for have, own in zip(window.padding, around, strict=True))
            return b.add(op, x, window=window.window, stride=window.stride, padding=tuple(beyond))
        return b.add(op, x, **window.pool)

    return lower


def _lower_global(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    n, h, w, c = b.shape(inputs[0])
    pooled = b.add("average_pool", inputs[0], window=(h, w), stride=(h, w), padding=(0, 0, 0, 0), name="global_average_pool")
    return b.reshape(pooled, (n, c))


# pools of both kinds are counted together: pool1, pool2, ...
MAX_POOL = LayerKind(prefix="pool", shape=_shape, lower=_lower("max_pool"))
AVERAGE_POOL = LayerKind(prefix="pool", shape=_shape, lower=_lower("average_pool"))
GLOBAL_AVERAGE_POOL = LayerKind(prefix="global_pool", shape=lambda record, shapes: (image(shapes[0])[2],), lower=_lower_global)
