"""Overrides that reach what they are to change: a layer with a slot of its own does not hear its group."""

from __future__ import annotations

from dataclasses import fields

from pipeline.config.experiment import Experiment
from pipeline.optimizers.adamw import AdamW

FAR = 100  # no rate that works lies so far from the usual one


def of_slot(config: Experiment, slot: str, option: str) -> str:
    """`activation=relu`; where every layer with the slot fills it itself, that of the first: `architecture.layers.0.activation=relu`."""
    own = [(place, getattr(layer, slot)) for place, layer in enumerate(config.architecture.layers) if hasattr(layer, slot)]
    filled = [place for place, value in own if value is not None]
    return f"architecture.layers.{filled[0]}.{slot}={option}" if filled and len(filled) == len(own) else f"{slot}={option}"


def rate(config: Experiment, factor: float) -> str:
    """The learning rate times a factor, in two digits; the optimizer's own where that is more than FAR times away from it."""
    rate = config.optimizer.learning_rate * factor
    usual = next((f.default for f in fields(config.optimizer) if f.name == "learning_rate" and isinstance(f.default, float)), rate)
    return f"optimizer.learning_rate={float(f'{rate if usual / FAR <= rate <= usual * FAR else usual:.2g}'):g}"


def twice(limit: str) -> str:
    """Of `budget.steps = 500`, `budget.steps=1000`."""
    path, _, value = limit.partition(" = ")
    return f"{path}={2 * int(value)}" if value.isdecimal() else f"{path}={2 * float(value):g}"


def weaker_decay(config: Experiment, factor: float = 0.01) -> str | None:
    """A hundredth of what pulls the weights to 0; None where nothing does."""
    part = config.regularization
    if part.l2 > 0:
        return f"regularization.l2={part.l2 * factor:g}"
    if part.l1 > 0:
        return f"regularization.l1={part.l1 * factor:g}"
    if part.weight_decay > 0:
        return f"regularization.weight_decay={part.weight_decay * factor:g}"
    if isinstance(config.optimizer, AdamW) and config.optimizer.weight_decay > 0:
        return f"optimizer.weight_decay={config.optimizer.weight_decay * factor:g}"
    return None


def keeps_more(config: Experiment, keep: float = 0.8) -> str:
    """Dropout that keeps so many units."""
    return f"regularization.rate={1 - keep:g}" if config.regularization.rate is not None else f"regularization.keep_prob={keep:g}"
