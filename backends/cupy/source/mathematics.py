"""The templates with the numbers of one precision in them."""

from __future__ import annotations

import math
import re
from functools import cache
from importlib.resources import files
from string import Template

from backends import constants
from backends.contract import ITEM_BYTES

OWN = ("maximum", "where", "spread", "greater", "less", "equal")  # with operands of any type


@cache
def templates(precision: str) -> str:
    """kernels.cu for numbers of `precision`."""
    size = ITEM_BYTES[precision]
    top, slope, shift, offset = constants.ERF_MAP[size]
    high, low = constants.EXP_RANGE[size]
    numbers = {
        "ONE_OVER_LN2": 1 / math.log(2), "LN2_HIGH": constants.LN2_HIGH[size], "LN2_LOW": constants.LN2_LOW[size], "EXP_HIGH": high,
        "EXP_LOW": low, "LEAST": constants.LEAST[size], "SCALE": constants.SCALE[size], "SCALE_LOG2": math.log2(constants.SCALE[size]),
        "TANH_TOP": constants.TANH_TOP[size], "ERF_TOP": top, "ERF_SLOPE": slope, "ERF_SHIFT": shift, "ERF_OFFSET": offset,
    }  # fmt: skip
    series = {
        "EXP": constants.exp_series(size),
        "LOG": constants.log_series(size),
        "ERF_TAYLOR": constants.erf_series(size),
        "ERF_TAIL": constants.ERF_TAIL[size],
    }
    words = {name: repr(value) for name, value in numbers.items()}
    words |= {name: ", ".join(f"number({value!r})" for value in values) for name, values in series.items()}
    return header(precision) + Template(_read("kernels.cu")).substitute(words, HALF=hex(constants.HALF[size]))


@cache
def gathering(precision: str) -> str:
    """gather.cu for numbers of `precision`."""
    return header(precision) + "constexpr int THREADS = 256;\ntypedef unsigned char byte;\n\n" + _read("gather.cu")


def header(precision: str) -> str:
    """What numbers and whole numbers of their size are called, and which instructions do what rounds once."""
    if precision == "float32":
        kinds = "typedef float number;\ntypedef int whole;\ntypedef unsigned int unsigned_whole;\n#define PRECISION 32\n"
        return kinds + "#ifndef FMA32\n#define FMA32 __fmaf_rn\n#endif\n#define SQRT __fsqrt_rn\n#define RINT rintf\n\n"
    kinds = "typedef double number;\ntypedef long long whole;\ntypedef unsigned long long unsigned_whole;\n#define PRECISION 64\n"
    return kinds + "#ifndef FMA64\n#define FMA64 __fma_rn\n#endif\n#define SQRT __dsqrt_rn\n#define RINT rint\n\n"


@cache
def functions() -> frozenset[str]:
    """The element-wise ops that the templates know: the functions of `namespace op`."""
    text = _read("kernels.cu")
    inside = text[text.index("namespace op {") : text.index("}  // namespace op")]
    return frozenset(re.findall(r"INLINE \w+ (\w+)\(", inside))


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
