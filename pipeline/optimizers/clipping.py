"""Gradient clipping, between the gradients and the update; ops only where it is set."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.recipe.regularization import Regularization


def clipped(b: Builder, gradient: dict[str, str], regularization: Regularization) -> dict[str, str]:
    """Parameter -> gradient, with each number in [-clip_value, clip_value] and then all together no longer than clip_norm."""
    b.scope = "clip"
    if regularization.clip_value is not None:
        gradient = {name: _between(b, g) for name, g in gradient.items()}
    if regularization.clip_norm is not None:
        gradient = _shortened(b, gradient)
    b.scope = ""
    return gradient


def clip_values(regularization: Regularization) -> dict[str, Value]:
    """The scalars that clipping reads."""
    bounds = {"regularization.clip_value": regularization.clip_value, "regularization.clip_norm": regularization.clip_norm}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _between(b: Builder, g: str) -> str:
    """max(-c, min(g, c)); a NaN stays one."""
    bound = b.value("regularization.clip_value")
    above = b.add("maximum", g, b.add("neg", bound))
    return b.add("neg", b.add("maximum", b.add("neg", above), b.add("neg", bound)), name="clipped")


def _shortened(b: Builder, gradient: dict[str, str]) -> dict[str, str]:
    """g * c / max(norm, c), norm over all gradients  (Pascanu, Mikolov & Bengio 2013, algorithm 1)."""
    bound = b.value("regularization.clip_norm")
    total: str | None = None
    for g in gradient.values():
        squares = b.add("sum", b.add("mul", g, g), axes=tuple(range(len(b.shape(g)))), name="squares")
        total = squares if total is None else b.add("add", total, squares, name="squares")
    assert total is not None
    scale = b.add("div", bound, b.add("maximum", b.add("sqrt", total), bound), name="scale")
    return {name: b.add("mul", g, scale, name="clipped") for name, g in gradient.items()}
