"""What layers with a window share: sizes as one number or two, and padding by word or number.

A shape rule raises a ConfigError whose path is the field alone; `build` puts the layer's place in front.
"""

# H W image, Ho Wo output positions, k window, s stride, d dilation
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.kind import Shape
from pipeline.ops.convolution import Padding, Pair, positions

Size = int | tuple[int, ...]
Around = int | tuple[int, ...] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The attributes of a window op, and the output positions."""

    window: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    out: Pair

    @property
    def pool(self) -> dict[str, Any]:
        """The attributes of a pooling op."""
        return {"window": self.window, "stride": self.stride, "padding": self.padding}

    @property
    def conv(self) -> dict[str, Any]:
        """The attributes of a convolution."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def patches(self) -> dict[str, Any]:
        """The attributes of patches and fold."""
        return {**self.pool, "dilation": self.dilation}


def image(shape: Shape) -> tuple[int, int, int]:
    """H, W, C.  Raises ConfigError for what is no image."""
    if len(shape) != 3:
        gray = f"give data.input_shape=[{shape[0]},{shape[1]},1] where rows are gray images, or " if len(shape) == 2 else ""
        raise ConfigError(at="input", got=list(shape), rule="needs images [height, width, channels]", hint=f"{gray}use a reshape layer")
    return shape[0], shape[1], shape[2]


def pair(field: str, value: Size) -> Pair:
    """One number for both axes, or [rows, columns].  Raises ConfigError."""
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise ConfigError(at=field, got=list(value), rule="must be one number or two", hint=f"write {field}: [rows, columns]")
    return value[0], value[1]


def slide(shape: Shape, kernel: Size, stride: Size, padding: Around, dilation: Size = 1) -> Window:
    """The window over an image [H, W, C].

    padding: same gives ceil(H / s) rows, what must be added going to the bottom when it is odd; valid adds nothing; a number is added on
    every side, [rows, columns] on top and bottom, left and right, [top, bottom, left, right] on each.  Raises ConfigError.
    """
    h, w, _ = image(shape)
    k, s, d = pair("kernel", kernel), pair("stride", stride), pair("dilation", dilation)
    around = _same((h, w), k, s, d) if padding == "same" else given_padding(padding)
    out = positions((h, w), k, s, around, d)
    if min(out) < 1:
        rule = f"with padding={padding} it does not fit in the {h} x {w} image"
        hint = "use a smaller one, or padding=same"
        hint += "; images are [H, W, C] here, of [C, H, W] store x.transpose(0, 2, 3, 1)" if h <= 4 < w else ""
        raise ConfigError(at="kernel", got=kernel, rule=rule, hint=hint)
    return Window(window=k, stride=s, padding=around, dilation=d, out=out)


def given_padding(padding: Around) -> Padding:
    """Top, bottom, left and right of a padding that is not same.  Raises ConfigError."""
    if not isinstance(padding, (int, str)) and len(padding) == 4:
        return padding[0], padding[1], padding[2], padding[3]
    if not isinstance(padding, (int, str)) and len(padding) != 2:
        hint = "write padding: [rows, columns] or [top, bottom, left, right]"
        raise ConfigError(at="padding", got=list(padding), rule="must be one number, two or four", hint=hint)
    rows, columns = (0, 0) if isinstance(padding, str) else pair("padding", padding)
    return rows, rows, columns, columns


def wider(window: Window, shape: Shape) -> Window:
    """`window` with room below and to the right of the image for one position more where a part of the image is left over.

    As PyTorch's ceil_mode: Ho = ceil((H + top + bottom - kh) / sh) + 1, but no position begins in what is added.
    """
    out, around = list(window.out), list(window.padding)
    for axis, size in enumerate(image(shape)[:2]):
        before, after = window.padding[2 * axis : 2 * axis + 2]
        k, s = window.window[axis], window.stride[axis]
        count = -(-(size + before + after - k) // s) + 1
        count -= (count - 1) * s >= size + before
        around[2 * axis + 1] = max(after, (count - 1) * s + k - size - before)
        out[axis] = count
    return replace(window, out=(out[0], out[1]), padding=(around[0], around[1], around[2], around[3]))


def pad(b: Builder, x: str, around: Padding) -> str:
    """x [N, H, W, C] with zeros around it -> [N, top + H + bottom, left + W + right, C]."""
    for axis, sides in ((1, around[:2]), (2, around[2:])):
        parts = [x]
        for place, count in ((0, sides[0]), (2, sides[1])):
            if count:
                shape = b.shape(x)
                zeros = b.add("spread", b.constant(0.0), shape=(*shape[:axis], count, *shape[axis + 1 :]), name="zeros")
                parts.insert(place, zeros)
        x = b.add("concat", *parts, axis=axis, name="padded") if len(parts) > 1 else x
    return x


def _same(size: Sequence[int], window: Pair, stride: Pair, dilation: Pair) -> Padding:
    sides: list[int] = []
    for n, k, s, d in zip(size, window, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        sides += [total // 2, total - total // 2]
    return sides[0], sides[1], sides[2], sides[3]
