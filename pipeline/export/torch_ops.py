"""Each op of the forward pass as a line of PyTorch, and the functions that some of them need, as they stand in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.export.forward import Forward, attributes, rows
from pipeline.graph.ir import Node

LANGUAGE = "PyTorch"
TYPES = {"float32": "torch.float32", "float64": "torch.float64", "int32": "torch.int32", "bool": "torch.bool"}

HELPERS: dict[str, str] = {
    "conv": '''
def conv(x, w, stride, padding, dilation):
    """x [N, H, W, C], w [kh, kw, C, O] -> [N, Ho, Wo, O]; padding: top, bottom, left, right."""
    top, bottom, left, right = padding
    x = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    return F.conv2d(x, w.permute(3, 2, 0, 1), stride=stride, dilation=dilation).permute(0, 2, 3, 1)
''',
    "conv_transpose": '''
def conv_transpose(x, w, size, stride, padding, dilation):
    """x [N, Ho, Wo, O], w [kh, kw, C, O] -> [N, H, W, C]: the adjoint of conv."""
    top, bottom, left, right = padding
    whole = F.conv_transpose2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=stride, dilation=dilation).permute(0, 2, 3, 1)
    whole = F.pad(whole, (0, 0, 0, max(0, left + size[1] - whole.shape[2]), 0, max(0, top + size[0] - whole.shape[1])))
    return whole[:, top : top + size[0], left : left + size[1]]
''',
    "max_pool": '''
def max_pool(x, window, stride, padding):
    """x [N, H, W, C] -> [N, Ho, Wo, C]; what lies outside the image takes no part."""
    top, bottom, left, right = padding
    x = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=-torch.inf)
    return F.max_pool2d(x, window, stride).permute(0, 2, 3, 1)
''',
    "average_pool": '''
def average_pool(x, window, stride, padding):
    """x [N, H, W, C] -> [N, Ho, Wo, C]; what lies outside the image takes no part."""
    top, bottom, left, right = padding
    around = (left, right, top, bottom)
    total = F.avg_pool2d(F.pad(x.permute(0, 3, 1, 2), around), window, stride, divisor_override=1)
    count = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :, :, :1]).permute(0, 3, 1, 2), around), window, stride, divisor_override=1)
    return (total / count).permute(0, 2, 3, 1)
''',
    "patches": '''
def patches(x, window, stride, padding, dilation):
    """x [N, H, W, C] -> [N, Ho, Wo, kh * kw * C]; outside the image lie zeros."""
    top, bottom, left, right = padding
    x = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    high = (x.shape[2] - dilation[0] * (window[0] - 1) - 1) // stride[0] + 1
    taken = F.unfold(x, window, dilation, 0, stride)
    return taken.reshape(len(x), x.shape[1], window[0] * window[1], high, -1).permute(0, 3, 4, 2, 1).flatten(3)
''',
    "fold": '''
def fold(y, size, window, stride, padding, dilation):
    """y [N, Ho, Wo, kh * kw * C] -> [N, H, W, C]: the adjoint of patches."""
    top, bottom, left, right = padding
    n, high, wide, depth = y.shape
    taken = y.reshape(n, high, wide, window[0] * window[1], -1).permute(0, 4, 3, 1, 2).reshape(n, depth, high * wide)
    whole = F.fold(taken, (size[0] + top + bottom, size[1] + left + right), window, dilation, 0, stride)
    return whole[:, :, top : top + size[0], left : left + size[1]].permute(0, 2, 3, 1)
''',
    "standardize": '''
def standardize(x, epsilon):
    """x [N, C] -> each row at mean 0 and deviation 1."""
    return (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + epsilon).sqrt()
''',
    "group_norm": '''
def group_norm(x, gamma, beta, epsilon, groups):
    """x [N, H, W, C] -> each group of channels of a row at mean 0 and deviation 1, times gamma [C], plus beta [C]."""
    return F.group_norm(x.permute(0, 3, 1, 2), groups, gamma, beta, float(epsilon)).permute(0, 2, 3, 1)
''',
}

Rule = Callable[[Forward, Node, list[str]], str]


def _infix(sign: str) -> Rule:
    return lambda f, node, given: f" {sign} ".join(given)


def _call(name: str) -> Rule:
    return lambda f, node, given: f"{name}({', '.join(given)})"


def _method(name: str) -> Rule:
    return lambda f, node, given: f"{given[0]}.{name}()"


def _helper(name: str, *wanted: str) -> Rule:
    def rule(f: Forward, node: Node, given: list[str]) -> str:
        named = zip(wanted, attributes(node, LANGUAGE, *wanted), strict=True)
        return f"{name}({', '.join((*given, *(f'{key}={value}' for key, value in named)))})"

    return rule


def _maximum(f: Forward, node: Node, given: list[str]) -> str:
    """`clamp` where one of them is a literal."""
    names = [one for one in given if one.isidentifier() or one.startswith("self.")]
    if len(names) == len(given):
        return f"torch.maximum({', '.join(given)})"
    (literal,) = (one for one in given if one not in names)
    return f"{names[0]}.clamp(min={literal})"


def _cast(f: Forward, node: Node, given: list[str]) -> str:
    (dtype,) = attributes(node, LANGUAGE, "dtype")
    return f"{given[0]}.to({TYPES[dtype]})"


def _over(method: str) -> Rule:
    def rule(f: Forward, node: Node, given: list[str]) -> str:
        (axes,) = attributes(node, LANGUAGE, "axes")
        return f"{given[0]}.{method}({axes})"

    return rule


def _reshape(f: Forward, node: Node, given: list[str]) -> str:
    (shape,) = attributes(node, LANGUAGE, "shape")
    return f"{given[0]}.reshape({', '.join(map(str, rows(shape)))})"


def _spread(f: Forward, node: Node, given: list[str]) -> str:
    (shape,) = attributes(node, LANGUAGE, "shape")
    many = f.shape("x")[0]
    sizes = [str(size) if size % many else "len(x)" if size == many else f"{size // many} * len(x)" for size in shape]
    return f"torch.as_tensor({given[0]}).expand({', '.join(sizes)})"


def _matmul(f: Forward, node: Node, given: list[str]) -> str:
    turned = attributes(node, LANGUAGE, "transpose_a", "transpose_b")
    return " @ ".join(f"{name}.T" if turn else name for name, turn in zip(given, turned, strict=True))


def _concat(f: Forward, node: Node, given: list[str]) -> str:
    (axis,) = attributes(node, LANGUAGE, "axis")
    return f"torch.cat(({', '.join(given)}), {axis})"


def _split(f: Forward, node: Node, given: list[str]) -> str:
    sizes, axis = attributes(node, LANGUAGE, "sizes", "axis")
    return f"{given[0]}.split({sizes}, {axis})"


def _column_index(f: Forward, node: Node, given: list[str]) -> str:
    (columns,) = attributes(node, LANGUAGE, "columns")
    return f"torch.arange({columns})"


OPS: Mapping[str, Rule] = {
    "add": _infix("+"), "sub": _infix("-"), "mul": _infix("*"), "div": _infix("/"), "neg": lambda f, node, given: f"-{given[0]}",
    "maximum": _maximum,
    "exp": _method("exp"), "expm1": _method("expm1"), "log": _method("log"), "log1p": _method("log1p"), "sqrt": _method("sqrt"),
    "tanh": _method("tanh"), "sigmoid": _method("sigmoid"), "erf": _method("erf"), "abs": _method("abs"), "softplus": _call("F.softplus"),
    "where": _call("torch.where"), "greater": _infix(">"), "less": _infix("<"), "equal": _infix("=="), "cast": _cast,
    "column_index": _column_index, "sum": _over("sum"), "max": _over("amax"), "spread": _spread, "reshape": _reshape,
    "matmul": _matmul, "concat": _concat, "split": _split,
    "conv": _helper("conv", "stride", "padding", "dilation"),
    "conv_data_gradient": _helper("conv_transpose", "size", "stride", "padding", "dilation"),
    "patches": _helper("patches", "window", "stride", "padding", "dilation"),
    "fold": _helper("fold", "size", "window", "stride", "padding", "dilation"),
    "max_pool": _helper("max_pool", "window", "stride", "padding"),
    "average_pool": _helper("average_pool", "window", "stride", "padding"),
    "standardize": _helper("standardize"), "group_norm": _helper("group_norm", "groups"),
    "softmax_cross_entropy": lambda f, node, given: f"{given[0]}.softmax(-1)",
}  # fmt: skip
