"""Stochastic gradient descent."""

from __future__ import annotations

from pipeline.records import record, setting


@record
class SGD:
    """p <- p - learning_rate * g  (Robbins & Monro 1951)."""

    learning_rate: float = setting(0.1, above=0)
