"""Each op of the forward pass in ONNX's operators."""

# N rows, H W image, C channels, K window positions
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.export.forward import Forward, attributes, refused, rows
from pipeline.graph.ir import Node
from pipeline.graph.values import Array

LANGUAGE = "ONNX"
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
KINDS = {"float32": 1, "float64": 1, "int32": 6, "uint32": 12, "bool": 9}  # TensorProto.DataType; networks compute in float32


class Writer:
    """Collects nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415  # the extra `export`

        self._helper, self._numpy = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: set[str] = set()

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        made, count = name, 1
        while made in self._names:
            count += 1
            made = f"{name}_{count}"
        self._names.add(made)
        return made

    def add(self, kind: str, *inputs: str, name: str = "", **given: Any) -> str:
        """A node with one result -> its name."""
        (made,) = self.several(kind, *inputs, names=(name or kind.lower(),), **given)
        return made

    def several(self, kind: str, *inputs: str, names: tuple[str, ...], **given: Any) -> tuple[str, ...]:
        """A node with several results -> their names."""
        made = tuple(self.fresh(name) for name in names)
        self.nodes.append(self._helper.make_node(kind, list(inputs), list(made), name=made[0], **given))
        return made

    def constant(self, value: Any, name: str = "constant") -> str:
        """An array that the file holds -> its name."""
        made = self.fresh(name)
        self.constants.append(self._numpy.from_array(np.asarray(value), made))
        return made

    def float32(self, value: Any, name: str = "constant") -> str:
        """The same, rounded to float32."""
        return self.constant(np.asarray(value, np.float32), name)


def emit(w: Writer, f: Forward, x: str) -> str:
    """Writes the nodes of `f` for the input `x` -> the name of the prediction.  Raises RunError."""
    made = {"x": x}
    made |= {name: w.float32(tensor, name) for name, tensor in f.tensors.items()}
    made |= {name: w.float32(value, name) for name, value in f.scalars.items()}
    for node in f.nodes:
        if node.op not in OPS:
            raise refused(node, LANGUAGE)
        inputs = [made[name] for name in node.inputs if name in made]
        results = OPS[node.op](w, f, node, inputs)
        made |= dict(zip(node.outputs, (results,) if isinstance(results, str) else results, strict=False))
    return made[f.result]


Rule = Callable[[Writer, Forward, Node, list[str]], Any]


def _same(kind: str) -> Rule:
    def rule(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
        return w.add(kind, *inputs, name=node.outputs[0])

    return rule


def _expm1(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    """exp(x) - 1 = tanh(x / 2) (exp(x) + 1), which keeps its digits near 0."""
    half = w.add("Tanh", w.add("Mul", inputs[0], w.float32(0.5)))
    return w.add("Mul", half, w.add("Add", w.add("Exp", inputs[0]), w.float32(1.0)), name=node.outputs[0])


def _log1p(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    return w.add("Log", w.add("Add", inputs[0], w.float32(1.0)), name=node.outputs[0])


def _cast(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    (dtype,) = attributes(node, LANGUAGE, "dtype")
    return w.add("Cast", inputs[0], to=KINDS[dtype], name=node.outputs[0])


def _constant(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    value, dtype = attributes(node, LANGUAGE, "value", "dtype")
    return w.float32(value) if KINDS[dtype] == 1 else w.constant(np.asarray(value, dtype))


def _column_index(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    (columns,) = attributes(node, LANGUAGE, "columns")
    return w.constant(np.arange(columns, dtype=np.int32))


def _reduced(kind: str) -> Rule:
    def rule(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
        (axes,) = attributes(node, LANGUAGE, "axes")
        return w.add(kind, inputs[0], w.constant(np.array(axes, np.int64)), keepdims=0, name=node.outputs[0])

    return rule


def _reshape(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    (shape,) = attributes(node, LANGUAGE, "shape")
    return w.add("Reshape", inputs[0], w.constant(np.array(rows(shape), np.int64)), name=node.outputs[0])


def _spread(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    """A shape with the rows of x, where it has any."""
    (shape,) = attributes(node, LANGUAGE, "shape")
    sizes = rows(shape)
    if -1 not in sizes:
        return w.add("Expand", inputs[0], w.constant(np.array(sizes, np.int64)), name=node.outputs[0])
    count = w.add("Shape", "x.rows", start=0, end=1)
    if shape[sizes.index(-1)] != f.shape("x")[0]:
        count = w.add("Mul", count, w.constant(np.array([shape[sizes.index(-1)] // f.shape("x")[0]], np.int64)))
    place = sizes.index(-1)
    parts = [w.constant(np.array(sizes[:place], np.int64)), count, w.constant(np.array(sizes[place + 1 :], np.int64))]
    return w.add("Expand", inputs[0], w.add("Concat", *parts, axis=0), name=node.outputs[0])


def _matmul(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    turned = attributes(node, LANGUAGE, "transpose_a", "transpose_b")
    a, b = (w.add("Transpose", name, perm=[1, 0]) if turn else name for name, turn in zip(inputs, turned, strict=True))
    return w.add("MatMul", a, b, name=node.outputs[0])


def _concat(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    (axis,) = attributes(node, LANGUAGE, "axis")
    return w.add("Concat", *inputs, axis=axis, name=node.outputs[0])


def _split(w: Writer, f: Forward, node: Node, inputs: list[str]) -> tuple[str, ...]:
    sizes, axis = attributes(node, LANGUAGE, "sizes", "axis")
    return w.several("Split", inputs[0], w.constant(np.array(sizes, np.int64)), names=node.outputs, axis=axis)


def _pads(padding: tuple[int, int, int, int]) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]


def _first(w: Writer, x: str) -> str:
    """[N, H, W, C] -> [N, C, H, W]."""
    return w.add("Transpose", x, perm=TO_CHANNELS_FIRST)


def _last(w: Writer, x: str, name: str) -> str:
    """[N, C, H, W] -> [N, H, W, C]."""
    return w.add("Transpose", x, perm=TO_CHANNELS_LAST, name=name)


def _conv(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    stride, padding, dilation = attributes(node, LANGUAGE, "stride", "padding", "dilation")
    weight = w.add("Transpose", inputs[1], perm=[3, 2, 0, 1])  # [kh, kw, C, O] -> [O, C, kh, kw]
    made = w.add("Conv", _first(w, inputs[0]), weight, strides=list(stride), pads=_pads(padding), dilations=list(dilation))
    return _last(w, made, node.outputs[0])


def _beyond(size: tuple[int, int], small: tuple[int, ...], window: tuple[int, ...], node: Node) -> list[int]:
    """ConvTranspose's output_padding: the rows and columns of the image that no window reaches."""
    stride, (top, bottom, left, right), dilation = (node.attributes[name] for name in ("stride", "padding", "dilation"))
    around = (top + bottom, left + right)
    sizes = zip(size, small, window, stride, dilation, around, strict=True)
    return [n - ((m - 1) * s + d * (k - 1) + 1 - a) for n, m, k, s, d, a in sizes]


def _conv_data(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    size, stride, padding, dilation = attributes(node, LANGUAGE, "size", "stride", "padding", "dilation")
    weight = w.add("Transpose", inputs[1], perm=[3, 2, 0, 1])
    beyond = _beyond(size, f.shape(node.inputs[0])[1:3], f.shape(node.inputs[1])[:2], node)
    made = w.add(
        "ConvTranspose", _first(w, inputs[0]), weight,
        strides=list(stride), pads=_pads(padding), dilations=list(dilation), output_padding=beyond,
    )  # fmt: skip
    return _last(w, made, node.outputs[0])


def _pool(kind: str, **more: Any) -> Rule:
    def rule(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
        window, stride, padding = attributes(node, LANGUAGE, "window", "stride", "padding")
        made = w.add(kind, _first(w, inputs[0]), kernel_shape=list(window), strides=list(stride), pads=_pads(padding), **more)
        return _last(w, made, node.outputs[0])

    return rule


def _places(channels: int, window: tuple[int, int]) -> Array:
    """The kernels [C * K, 1, kh, kw] that each take one place of a window, for each channel."""
    count = window[0] * window[1]
    return np.tile(np.eye(count, dtype=np.float32).reshape(count, 1, *window), (channels, 1, 1, 1))


def _patches(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    """A convolution of each channel with a kernel for each place of the window, then [N, C, K, Ho, Wo] -> [N, Ho, Wo, K * C]."""
    window, stride, padding, dilation = attributes(node, LANGUAGE, "window", "stride", "padding", "dilation")
    channels, (_, ho, wo, depth) = f.shape(node.inputs[0])[3], f.shape(node.outputs[0])
    taken = w.add(
        "Conv", _first(w, inputs[0]), w.constant(_places(channels, window)),
        group=channels, strides=list(stride), pads=_pads(padding), dilations=list(dilation),
    )  # fmt: skip
    apart = w.add("Reshape", taken, w.constant(np.array([-1, channels, depth // channels, ho, wo], np.int64)))
    turned = w.add("Transpose", apart, perm=[0, 3, 4, 2, 1])
    return w.add("Reshape", turned, w.constant(np.array([-1, ho, wo, depth], np.int64)), name=node.outputs[0])


def _fold(w: Writer, f: Forward, node: Node, inputs: list[str]) -> str:
    """The adjoint of `_patches`."""
    size, window, stride, padding, dilation = attributes(node, LANGUAGE, "size", "window", "stride", "padding", "dilation")
    (_, ho, wo, depth), channels = f.shape(node.inputs[0]), f.shape(node.outputs[0])[3]
    apart = w.add("Reshape", inputs[0], w.constant(np.array([-1, ho, wo, depth // channels, channels], np.int64)))
    turned = w.add("Transpose", apart, perm=[0, 4, 3, 1, 2])
    taken = w.add("Reshape", turned, w.constant(np.array([-1, depth, ho, wo], np.int64)))
    made = w.add(
        "ConvTranspose", taken, w.constant(_places(channels, window)), group=channels, strides=list(stride), pads=_pads(padding),
        dilations=list(dilation), output_padding=_beyond(size, (ho, wo), window, node),
    )  # fmt: skip
    return _last(w, made, node.outputs[0])


def _normal(w: Writer, x: str, axes: list[int], epsilon: str) -> tuple[str, str, str]:
    """(x - mean) / sqrt(var + epsilon) over `axes`, the mean, 1 / sqrt(var + epsilon)."""
    over = w.constant(np.array(axes, np.int64))
    mean = w.add("ReduceMean", x, over, keepdims=1)
    off = w.add("Sub", x, mean)
    variance = w.add("ReduceMean", w.add("Mul", off, off), over, keepdims=1)
    inverse = w.add("Reciprocal", w.add("Sqrt", w.add("Add", variance, epsilon)))
    return w.add("Mul", off, inverse), mean, inverse


def _standardize(w: Writer, f: Forward, node: Node, inputs: list[str]) -> tuple[str, str]:
    made, _, inverse = _normal(w, inputs[0], [1], inputs[1])
    return made, w.add("Reshape", inverse, w.constant(np.array([-1], np.int64)))


def _group_norm(w: Writer, f: Forward, node: Node, inputs: list[str]) -> tuple[str]:
    (groups,) = attributes(node, LANGUAGE, "groups")
    _, height, width, channels = f.shape(node.inputs[0])
    apart = w.add("Reshape", inputs[0], w.constant(np.array([-1, height, width, groups, channels // groups], np.int64)))
    made, _, _ = _normal(w, apart, [1, 2, 4], inputs[3])
    back = w.add("Reshape", made, w.constant(np.array([-1, height, width, channels], np.int64)))
    return (w.add("Add", w.add("Mul", back, inputs[1]), inputs[2], name=node.outputs[0]),)


def _softmax(w: Writer, f: Forward, node: Node, inputs: list[str]) -> tuple[str, str]:
    """The probabilities; nobody reads the loss."""
    return "", w.add("Softmax", inputs[0], axis=-1, name=node.outputs[1])


OPS: dict[str, Rule] = {
    "add": _same("Add"), "sub": _same("Sub"), "mul": _same("Mul"), "div": _same("Div"), "neg": _same("Neg"), "maximum": _same("Max"),
    "exp": _same("Exp"), "expm1": _expm1, "log": _same("Log"), "log1p": _log1p, "sqrt": _same("Sqrt"), "tanh": _same("Tanh"),
    "sigmoid": _same("Sigmoid"), "erf": _same("Erf"), "abs": _same("Abs"), "where": _same("Where"), "greater": _same("Greater"),
    "less": _same("Less"), "equal": _same("Equal"), "cast": _cast, "softplus": _same("Softplus"),
    "constant": _constant, "column_index": _column_index,
    "sum": _reduced("ReduceSum"), "max": _reduced("ReduceMax"), "spread": _spread, "reshape": _reshape,
    "matmul": _matmul, "concat": _concat, "split": _split,
    "conv": _conv, "conv_data_gradient": _conv_data, "patches": _patches, "fold": _fold,
    "max_pool": _pool("MaxPool"), "average_pool": _pool("AveragePool", count_include_pad=0),
    "standardize": _standardize, "group_norm": _group_norm, "softmax_cross_entropy": _softmax,
}  # fmt: skip
