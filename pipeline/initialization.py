"""Initial weights: (shape, fans, random words) -> host array.

Drawn on the host from the counter-based generator, so every backend starts from the same bits.
fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input feeds.
"""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Zeros:
    """Every weight 0: all units of a layer stay equal (Rumelhart, Hinton & Williams 1986)."""


@record
class Normal:
    """w ~ N(0, std^2)."""

    std: float = setting(0.01, least=0)


@record
class Xavier:
    """Variance 2 / (fan_in + fan_out): normal, or uniform on +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""

    distribution: Literal["normal", "uniform"] = setting("normal")


@record
class He:
    """Variance 2 / fan_in: normal, or uniform on +-sqrt(6 / fan_in) (He, Zhang, Ren & Sun 2015, eq. 10)."""

    distribution: Literal["normal", "uniform"] = setting("normal")


INITIALIZATIONS: dict[str, type] = {"zeros": Zeros, "normal": Normal, "xavier": Xavier, "he": He}
