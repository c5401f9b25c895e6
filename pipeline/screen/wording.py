"""Metrics as text, the same wherever a reader meets them."""

from __future__ import annotations

from collections.abc import Mapping

WIDEST = 8  # letters of a number: 100.00 %
MACRO = ("precision", "recall", "f1")  # of a part: the mean over its classes
GROWING = {*MACRO, "exact_match", "r2", "r2_weighted", "roc_auc"}  # and accuracies: quantities of which more is better


def grows(metric: str) -> bool:
    """Whether more of this metric is better."""
    quantity = metric.split("/")[0]
    return quantity in GROWING or quantity.endswith("accuracy")


def number(name: str, value: float) -> str:
    """The value of a metric for a reader: shares in percent, times in seconds, the rest with four digits."""
    quantity = name.split("/")[0]
    if quantity in (*MACRO, "exact_match") or quantity.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return f"{value:.2f} s" if quantity == "time" else significant(value)


def counted(count: int, noun: str) -> str:
    """`1 row`, `13,230 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def significant(value: float, digits: int = 4) -> str:
    """`value` with so many digits; a large one in whole numbers with its thousands parted (13,230), not as 1.323e+04."""
    whole = 10**digits - 0.5 <= abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:.{digits}g}"


def newest(values: Mapping[str, float]) -> dict[str, float]:
    """The few that say how a training stands."""
    names = ("loss/train", "loss/validation", "accuracy/validation", "rmse/validation")
    return {name: value for name, value in values.items() if name in names}


def fitting(values: Mapping[str, float], width: int) -> dict[str, float]:
    """Those of the values of an epoch that fit a line of `width`, the same in each: a score of the validation part first, then its loss."""

    def rank(name: str) -> tuple[bool, bool, bool]:
        return "/" not in name or name.startswith("time/"), not name.endswith("/validation"), name.startswith("loss/")

    kept: set[str] = set()
    for name in sorted(values, key=rank):
        size = 2 + WIDEST + (0 if name.startswith("time/") else len(name) + 1)
        if not kept or size <= width:
            kept.add(name)
            width -= size
    return {name: value for name, value in values.items() if name in kept}


def in_words(values: Mapping[str, float]) -> str:
    """`loss/train 0.2513  accuracy/validation 97.20 %  0.31 s`."""
    return "  ".join(number(name, value) if name.startswith("time/") else f"{name} {number(name, value)}" for name, value in values.items())
