"""Normalization of a layer's values: one record each."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class NoNormalization:
    """Values pass unchanged."""


@record
class BatchNormalization:
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, statistics over the batch in training (Ioffe & Szegedy 2015).

    position    pre: before the activation; post: after it
    momentum    share of the OLD running statistic kept at each step: running = momentum * running + (1 - momentum) * batch
    statistics  ema: evaluation uses the running mean and the running biased variance;
                population: evaluation uses the mean over steps of the batch means, and of the batch variances times n / (n - 1)
    """

    position: Literal["pre", "post"] = setting("pre")
    momentum: float = setting(0.9, least=0, below=1)
    epsilon: float = setting(1e-5, above=0)
    statistics: Literal["ema", "population"] = setting("ema")


NORMALIZATIONS: dict[str, type] = {"none": NoNormalization, "batch": BatchNormalization}
