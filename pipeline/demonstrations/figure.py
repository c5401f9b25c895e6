"""A figure of a demonstration: what it should be, what it is, and how far the two may be apart."""

from __future__ import annotations

import math

from pipeline.records import record


@record
class Figure:
    """`measured` came out of the product; it holds when it lies within [least, most].  `expected` and `allowed` say the same in words."""

    quantity: str
    expected: str
    measured: float
    least: float
    most: float
    allowed: str

    @property
    def holds(self) -> bool:
        """Whether the measurement is what was expected; a NaN never is."""
        return self.least <= self.measured <= self.most


def near(quantity: str, expected: float, measured: float, tolerance: float) -> Figure:
    """|measured - expected| <= tolerance; the expected value comes from a formula or from the literature, never from the same code."""
    return Figure(
        quantity=quantity,
        expected=f"{expected:.6g}",
        measured=float(measured),
        least=expected - tolerance,
        most=expected + tolerance,
        allowed=f"± {tolerance:.2g}",
    )


def at_least(quantity: str, bound: float, measured: float) -> Figure:
    """measured >= bound."""
    return Figure(quantity=quantity, expected=f"{bound:.6g}", measured=float(measured), least=bound, most=math.inf, allowed="or more")


def at_most(quantity: str, bound: float, measured: float) -> Figure:
    """measured <= bound."""
    return Figure(quantity=quantity, expected=f"{bound:.6g}", measured=float(measured), least=-math.inf, most=bound, allowed="or less")
