"""Gradient descent with momentum, in both conventions."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Momentum:
    """classic: v <- momentum * v + g;  ema: v <- momentum * v + (1 - momentum) * g;  then p <- p - learning_rate * v.

    classic is Polyak 1964 as in Sutskever et al. 2013; ema is the exponentially weighted average of the course notes.
    """

    learning_rate: float = setting(0.01, above=0)
    momentum: float = setting(0.9, least=0, below=1)
    convention: Literal["classic", "ema"] = setting("classic")
