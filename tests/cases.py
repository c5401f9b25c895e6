"""The table of ops: one row for each, with inputs, attributes, domain and tolerance; its row brings a new op under every test."""

# N rows, C columns or channels
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Domain = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One use of an op: the shapes of its inputs, its attributes, and whether its gradient is checked."""

    shapes: tuple[tuple[int, ...], ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    gradient: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row: where the inputs lie, which of them have a gradient, and how far a float32 or float64 result may be from the reference.

    The distance is the largest difference over the larger of 1 and the largest value.
    """

    op: str
    domains: tuple[Domain, ...]
    examples: tuple[Example, ...]
    wanted: tuple[int, ...] = ()
    float32: float = 1e-6
    float64: float = 1e-14

    def tolerance(self, precision: str) -> float:
        """The distance allowed at `precision`."""
        return self.float32 if precision == "float32" else self.float64


def real(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Any number; every domain gives numbers that float32 holds, so that both precisions compute on the same inputs."""
    return np.asarray(rng.normal(size=shape), np.float32).astype(np.float64)


def wide(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """From -7 to 7."""
    return np.asarray(rng.uniform(-7.0, 7.0, shape), np.float32).astype(np.float64)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """From 0.5 to 3."""
    return np.asarray(rng.uniform(0.5, 3.0, shape), np.float32).astype(np.float64)


def nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """At least 0.5 from zero, where abs has a kink and div a pole."""
    sign = rng.choice([-1.0, 1.0], shape)
    return np.asarray(positive(rng, shape) * sign)


def near_even(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Within 0.1 of a multiple of 0.5: never nearer than 0.05 to a number of `near_odd`."""
    return np.asarray(0.5 * rng.integers(-4, 5, shape) + rng.uniform(-0.1, 0.1, shape), np.float32).astype(np.float64)


def near_odd(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Within 0.1 of a multiple of 0.5 plus 0.25."""
    return near_even(rng, shape) + 0.25


def small_integer(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """0, 1 or 2, so that equal ones occur."""
    return rng.integers(0, 3, shape).astype(np.int32)


def truth(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """True or false."""
    return rng.integers(0, 2, shape).astype(np.bool_)


def word(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Any 32 bits, as a scalar of the word table."""
    return rng.integers(0, 2**32, shape, dtype=np.uint64).astype(np.uint32)


def _one(*shapes: tuple[int, ...]) -> tuple[Example, ...]:
    return tuple(Example(shapes=(shape,)) for shape in shapes)


def _two(*pairs: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[Example, ...]:
    return tuple(Example(shapes=pair) for pair in pairs)


# 17 and 33 leave a tail whatever the vector width; 1 tells an axis of one from a missing axis
UNARY = _one((), (1,), (17,), (5, 33), (2, 3, 7))
BINARY = _two(((), ()), ((17,), (17,)), ((5, 33), (33,)), ((5, 1), (1, 4)), ((3, 7), ()), ((), (3, 7)), ((2, 3, 5), (5,)), ((6, 1), (6, 9)))
THREE = tuple(
    Example(shapes=shapes)
    for shapes in (((17,), (17,), (17,)), ((5, 33), (), (5, 33)), ((4, 1), (4, 3), (3,)), ((3,), (4, 3), ()), ((), (), ()))
)


def _reduce(*rows: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[Example, ...]:
    return tuple(Example(shapes=(shape,), attributes={"axes": axes}) for shape, axes in rows)


REDUCED = _reduce(
    ((17,), (0,)),
    ((5, 33), (0,)),
    ((5, 33), (1,)),
    ((5, 33), (0, 1)),
    ((2, 3, 7), (0, 1)),
    ((2, 3, 7), (2,)),
    ((7, 7), (0,)),
    ((7, 7), (1,)),
    ((1, 9), (0,)),
    ((1, 5, 4, 3), (1, 2)),
    ((2, 1, 1, 1), (0,)),
    ((1, 4, 5), (1, 2)),
)


def _window(
    *rows: tuple[tuple[int, ...], int | tuple[int, int], int | tuple[int, int], tuple[int, int, int, int], int | tuple[int, int]],
) -> list[dict[str, Any]]:
    return [{"shape": s, "window": _pair(k), "stride": _pair(t), "padding": p, "dilation": _pair(d)} for s, k, t, p, d in rows]


def _pair(number: int | tuple[int, int]) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else number


# image, window, stride, padding, dilation: odd sizes, one and many strips of channels, uneven padding, windows that skip rows
WINDOWS = _window(
    ((2, 5, 7, 3), 3, 1, (1, 1, 1, 1), 1),
    ((3, 6, 5, 1), 3, 2, (0, 1, 0, 1), 1),
    ((1, 8, 9, 17), (2, 3), (3, 2), (0, 0, 0, 0), 1),
    ((2, 7, 8, 2), 3, (1, 2), (2, 2, 1, 3), 2),
    ((1, 4, 4, 130), 2, 2, (0, 0, 0, 0), 1),
    ((2, 5, 4, 33), 1, 2, (0, 0, 0, 0), 1),
    ((1, 3, 3, 5), (3, 3), (1, 1), (0, 0, 0, 0), 1),
    ((1, 9, 7, 70), (5, 4), (1, 1), (2, 2, 2, 1), (1, 2)),
)
POOLS = [{k: v for k, v in row.items() if k != "dilation"} for row in WINDOWS if row["dilation"] == (1, 1) and row["window"] != (1, 1)]


def _out(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    n, h, w, c = row["shape"]
    (top, bottom, left, right), (dh, dw) = row["padding"], row.get("dilation", (1, 1))
    rows = len(range(0, h + top + bottom - dh * (row["window"][0] - 1), row["stride"][0]))
    return n, rows, len(range(0, w + left + right - dw * (row["window"][1] - 1), row["stride"][1])), c


def _over(
    rows: list[dict[str, Any]], shapes: Callable[[Mapping[str, Any]], tuple[tuple[int, ...], ...]], *, size: bool = False
) -> tuple[Example, ...]:
    return tuple(
        Example(
            shapes=shapes(row),
            attributes={**{k: v for k, v in row.items() if k != "shape"}, **({"size": row["shape"][1:3]} if size else {})},
        )
        for row in rows
    )


def _unfolded(row: Mapping[str, Any]) -> tuple[int, ...]:
    n, h, w, c = _out(row)
    return n, h, w, row["window"][0] * row["window"][1] * c


def _convolved(
    shapes: Callable[[tuple[int, ...], tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], ...]], *more: str
) -> tuple[Example, ...]:
    """A convolution of image x by weight w with gradient g for each row of WINDOWS, the channels made being 1, 5, 17, 33, 70 in turn."""
    examples = []
    for number, row in enumerate(WINDOWS):
        n, h, w, _ = _out(row)
        channels = (1, 5, 17, 33, 70)[number % 5]
        known = {"size": row["shape"][1:3], "window": row["window"], "parts": min(n, 1 + number % 3)}
        attributes = {k: row[k] for k in ("stride", "padding", "dilation")} | {k: known[k] for k in more}
        examples.append(
            Example(shapes=shapes(row["shape"], (*row["window"], row["shape"][3], channels), (n, h, w, channels)), attributes=attributes)
        )
    return tuple(examples)


def repeated(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """0, 1 or 2 as numbers, so that a window has its maximum at several places."""
    return small_integer(rng, shape).astype(np.float64)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Every number once, 0.05 apart, so that no two are the largest of a window."""
    return np.asarray(0.05 * rng.permutation(math.prod(shape)).reshape(shape), np.float32).astype(np.float64)


# three tensors and the axis along which they are put side by side: tails of vectors, single numbers, the first and a middle axis
JOINED = (
    (((5,), (1,), (17,)), 0),
    (((5, 3), (5, 1), (5, 33)), 1),
    (((2, 3), (1, 3), (4, 3)), 0),
    (((2, 3, 4, 5), (2, 3, 4, 17), (2, 3, 4, 2)), 3),
    (((2, 3, 7), (2, 1, 7), (2, 2, 7)), 1),
    (((300, 64), (300, 64), (300, 9)), 1),
)
# a tensor, the sizes of its parts, the axis
CUT = (
    ((17,), (5, 12), 0),
    ((5, 34), (1, 33), 1),
    ((5, 9), (3, 3, 3), 1),
    ((6, 4), (2, 1, 3), 0),
    ((2, 3, 4, 20), (17, 3), 3),
    ((3, 7, 5), (2, 4, 1), 1),
    ((700, 66), (2, 64), 1),
    ((4, 8), (8,), 1),
)

# images and groups of their channels: one group, one channel a group, strips with and without a tail, one place
GROUPED = (((3, 4, 5, 6), 1), ((2, 3, 3, 6), 6), ((2, 5, 4, 12), 4), ((2, 3, 2, 130), 13), ((3, 2, 3, 64), 8), ((2, 1, 1, 6), 2))


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """On [0, 1), multiples of 2^-24 with the smallest and the largest among them: in float32 the largest times 9 is rounded up to 9."""
    u = rng.integers(0, 2**24, shape) / 2.0**24
    u.flat[:2] = (1 - 2.0**-24, 0.0)[: min(2, u.size)]
    return np.asarray(u)


def half(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """0.5."""
    return np.full(shape, 0.5)


# shape of the images, margin
SHIFTED: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1, 3, 3, 1), 2), ((7, 5, 6, 1), 1), ((6, 8, 8, 3), 4), ((5, 28, 28, 1), 2), ((3, 4, 9, 17), 3), ((2, 2, 2, 33), 1),
)  # fmt: skip

CASES: tuple[Case, ...] = (
    Case(op="add", domains=(real, real), examples=BINARY, wanted=(0, 1)),
    Case(op="sub", domains=(real, real), examples=BINARY, wanted=(0, 1)),
    Case(op="mul", domains=(real, real), examples=BINARY, wanted=(0, 1)),
    Case(op="div", domains=(real, nonzero), examples=BINARY, wanted=(0, 1)),
    Case(op="neg", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(op="maximum", domains=(near_even, near_odd), examples=BINARY, wanted=(0, 1)),
    Case(op="exp", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(op="expm1", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(op="log", domains=(positive,), examples=UNARY, wanted=(0,)),
    Case(op="log1p", domains=(positive,), examples=UNARY, wanted=(0,)),
    Case(op="sqrt", domains=(positive,), examples=UNARY, wanted=(0,)),
    Case(op="tanh", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(op="sigmoid", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(op="erf", domains=(wide,), examples=UNARY, wanted=(0,)),
    Case(op="abs", domains=(nonzero,), examples=UNARY, wanted=(0,)),
    Case(op="where", domains=(truth, real, real), examples=THREE, wanted=(1, 2)),
    Case(op="greater", domains=(real, real), examples=BINARY),
    Case(op="less", domains=(real, real), examples=BINARY),
    Case(op="equal", domains=(small_integer, small_integer), examples=BINARY),
    Case(op="cast", domains=(truth,), examples=tuple(Example(shapes=e.shapes, attributes={"dtype": "precision"}) for e in UNARY)),
    Case(op="constant", domains=(), examples=tuple(Example(shapes=(), attributes={"value": v, "dtype": "precision"}) for v in (0.1, -3.0))),
    Case(op="column_index", domains=(), examples=tuple(Example(shapes=(), attributes={"columns": c}) for c in (1, 17))),
    Case(
        op="uniform",
        domains=(word, word, word),
        examples=tuple(
            Example(shapes=((), (), ()), attributes={"shape": shape, "stream": 4, "path": path, "dtype": "precision"})
            for shape, path in (((1,), 0), ((17,), 1), ((5, 33), 0xFFFFFFFF), ((2, 3, 7), 0xDEADBEEF), ((64, 64), 7))
        ),
        float32=0.0,
        float64=0.0,
    ),
    Case(op="sum", domains=(real,), examples=REDUCED, wanted=(0,)),
    Case(op="max", domains=(real,), examples=REDUCED),
    Case(
        op="spread",
        domains=(real,),
        examples=tuple(
            Example(shapes=(small,), attributes={"shape": shape})
            for small, shape in (((), (5, 3)), ((33,), (5, 33)), ((5, 1), (5, 33)), ((1, 1, 7), (2, 3, 7)), ((17,), (17,)))
        ),
        wanted=(0,),
    ),
    Case(
        op="reshape",
        domains=(real,),
        examples=tuple(
            Example(shapes=(shape,), attributes={"shape": seen})
            for shape, seen in (((6,), (2, 3)), ((5, 33), (165,)), ((4, 1), (4,)), ((1,), ()))
        ),
        wanted=(0,),
    ),
    Case(
        op="matmul",
        domains=(real, real),
        examples=(
            *(Example(shapes=((m, k), (k, n))) for m, k, n in ((1, 1, 1), (5, 17, 3), (33, 7, 65), (16, 64, 32), (1, 9, 10))),
            Example(shapes=((17, 5), (17, 3)), attributes={"transpose_a": True}, gradient=False),
            Example(shapes=((5, 17), (3, 17)), attributes={"transpose_b": True}),
            Example(shapes=((33, 16), (33, 64)), attributes={"transpose_a": True}, gradient=False),
            Example(shapes=((16, 64), (32, 64)), attributes={"transpose_b": True}, gradient=False),
        ),
        wanted=(0, 1),
        float64=1e-13,
    ),
    Case(
        op="batch_norm",
        domains=(real, real, real, positive),
        examples=tuple(Example(shapes=(shape, shape[-1:], shape[-1:], ())) for shape in ((5, 3), (33, 17), (2, 3, 2, 7), (16, 1))),
        wanted=(0, 1, 2),
        float32=5e-6,
        float64=1e-13,
    ),
    Case(
        op="standardize",
        domains=(real, positive),
        examples=_two(((5, 3), ()), ((33, 17), ()), ((1, 130), ()), ((12, 64), ())),
        wanted=(0,),
        float32=5e-6,
        float64=1e-13,
    ),
    Case(
        op="group_norm",
        domains=(real, real, real, positive),
        examples=tuple(Example(shapes=(s, s[-1:], s[-1:], ()), attributes={"groups": g}) for s, g in GROUPED),
        wanted=(0, 1, 2),
        float32=5e-6,
        float64=1e-13,
    ),
    Case(
        op="group_norm_gradient",
        domains=(real, real, real, positive, real),
        examples=tuple(Example(shapes=(s, s[-1:], (s[0], g), (s[0], g), s)) for s, g in GROUPED),
        float32=5e-6,
        float64=1e-13,
    ),
    Case(
        op="softmax_cross_entropy",
        domains=(real, small_integer),
        examples=tuple(Example(shapes=((n, c), (n,))) for n, c in ((1, 3), (5, 10), (33, 17), (7, 7))),
        wanted=(0,),
    ),
    Case(op="softplus", domains=(real,), examples=UNARY, wanted=(0,)),
    Case(
        op="concat",
        domains=(real, real, real),
        examples=tuple(Example(shapes=shapes, attributes={"axis": axis}) for shapes, axis in JOINED),
        wanted=(0, 1, 2),
        float32=0.0,
        float64=0.0,
    ),
    Case(
        op="split",
        domains=(real,),
        examples=tuple(Example(shapes=(shape,), attributes={"sizes": sizes, "axis": axis}) for shape, sizes, axis in CUT),
        wanted=(0,),
        float32=0.0,
        float64=0.0,
    ),
    Case(op="patches", domains=(real,), examples=_over(WINDOWS, lambda row: (row["shape"],)), wanted=(0,), float32=0.0, float64=0.0),
    Case(op="fold", domains=(real,), examples=_over(WINDOWS, lambda row: (_unfolded(row),), size=True), wanted=(0,)),
    Case(op="conv", domains=(real, real), examples=_convolved(lambda x, w, g: (x, w)), wanted=(0, 1), float32=2e-6),
    Case(op="conv_data_gradient", domains=(real, real), examples=_convolved(lambda x, w, g: (g, w), "size"), wanted=(0, 1), float32=2e-6),
    Case(op="conv_weight_gradient", domains=(real, real), examples=_convolved(lambda x, w, g: (x, g), "window", "parts"), float32=2e-6),
    Case(op="max_pool", domains=(distinct,), examples=_over(POOLS, lambda row: (row["shape"],)), wanted=(0,), float32=0.0, float64=0.0),
    Case(op="max_pool_gradient", domains=(repeated, real), examples=_over(POOLS, lambda row: (row["shape"], _out(row)))),
    Case(op="average_pool", domains=(real,), examples=_over(POOLS, lambda row: (row["shape"],)), wanted=(0,)),
    Case(op="average_pool_gradient", domains=(real,), examples=_over(POOLS, lambda row: (_out(row),), size=True)),
    Case(
        op="shift",
        domains=(real, drawn),
        examples=tuple(
            Example(shapes=(shape, (shape[0], 2)), attributes={"margin": margin, "fill": fill})
            for shape, margin in SHIFTED
            for fill in ("zero", "edge")
        ),
        float32=0.0,
        float64=0.0,
    ),
    Case(
        op="mirror",
        domains=(real, drawn, half),
        examples=tuple(Example(shapes=(shape, shape[:1], ())) for shape in ((1, 1, 1, 1), (9, 5, 6, 1), (8, 3, 7, 3), (4, 2, 28, 17))),
        float32=0.0,
        float64=0.0,
    ),
)
