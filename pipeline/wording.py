"""Metrics as text, the same wherever a reader meets them."""

from __future__ import annotations

MACRO = ("precision", "recall", "f1")  # of a part: the mean over its classes


def number(name: str, value: float) -> str:
    """The value of a metric for a reader: shares in percent, times in seconds, the rest with four digits."""
    quantity = name.split("/")[0]
    if quantity in MACRO or quantity.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return f"{value:.2f} s" if quantity == "time" else f"{value:.4g}"
