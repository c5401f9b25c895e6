"""What an optimizer is, beside its record, and the driver that is common to all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.graph.builder import Builder
from pipeline.graph.values import Array, Clock, Value
from pipeline.layers.graph import Parameter
from pipeline.records import record, setting

LearningRate = Callable[[Clock], Array]


@record
class Optimizer:
    """The record of an optimizer: its learning rate before any schedule, and what it adds of its own."""

    learning_rate: float = setting(above=0)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """kind    its name in a config
    slots   tensors that it keeps for each parameter, of the parameter's shape, 0 at first
    values  (record, learning rate with its schedule) -> the scalars that its ops read, by name
    update  (builder, gradient, slots) -> what is subtracted from the parameter, and the new slots
    decay   the value that it multiplies weights by to decay them itself; None where it does not
    weight  what `slots` calls the parameter itself in `update`, where the rule reads it
    """

    kind: str
    slots: tuple[str, ...]
    values: Callable[[Any, LearningRate], dict[str, Value]]
    update: Callable[[Builder, str, dict[str, str]], tuple[str, dict[str, str]]]
    decay: str | None = None
    weight: str | None = None


def slot_name(rule: Rule, slot: str, parameter: str) -> str:
    """The name of a slot in the state: `adam.m/fc1.weight`."""
    return f"{rule.kind}.{slot}/{parameter}"


def decay_name(parameter: str) -> str:
    """The value that a parameter with decoupled weight decay is multiplied by."""
    return f"{parameter}.decay"


KEEP = "optimizer.keep"  # 0 in a step that begins with slots at their start, else 1


def emit_update(b: Builder, rule: Rule, parameter: Parameter, gradient: str, *, resets: bool = False) -> None:
    """p <- p - change, and beside it p <- p - learning_rate * weight_decay * p where the parameter is decayed; both use the old p.

    resets: the slots are multiplied by the value KEEP first.
    """
    b.scope = f"update/{parameter.name}"
    p = b.input(parameter.name, parameter.shape, "state")
    slots = {slot: b.input(slot_name(rule, slot, parameter.name), parameter.shape, "state") for slot in rule.slots}
    old_slots = {slot: b.add("mul", name, b.value(KEEP), name="kept") if resets else name for slot, name in slots.items()}
    change, new_slots = rule.update(b, gradient, {rule.weight: p, **old_slots} if rule.weight else old_slots)
    for decay in _decays(rule, parameter):
        change = b.add("add", change, b.add("mul", p, b.value(decay)), name="change")
    new = b.add("sub", p, change, name="new")
    b.updates[parameter.name] = _within_max_norm(b, parameter, new)
    b.updates |= {slots[slot]: value for slot, value in new_slots.items()}
    b.scope = ""


def max_norm_name(parameter: str) -> str:
    """The value that bounds the length of the weights into a unit."""
    return f"{parameter}.max_norm"


def _within_max_norm(b: Builder, parameter: Parameter, new: str) -> str:
    """w * c / max(|w|, c), |w| over all axes but that of the units: the weights into one.  Structure only where max_norm is set."""
    if parameter.regularization is None or parameter.regularization.max_norm is None:
        return new
    bound, squares, last = b.value(max_norm_name(parameter.name)), b.add("mul", new, new), len(parameter.shape) - 1
    if parameter.outputs == -1:
        length = b.add("sqrt", b.add("sum", squares, axes=tuple(range(last))), name="length")
        return b.add("mul", new, b.add("div", bound, b.add("maximum", length, bound)), name="within")
    # [kh, kw, O, I]: over I, then over the places of the window, and the scale of each unit back to all of them
    *places, units, _ = parameter.shape
    length = b.add("sqrt", b.add("sum", b.add("sum", squares, axes=(last,)), axes=tuple(range(last - 1))), name="length")
    scale = b.add("spread", b.add("div", bound, b.add("maximum", length, bound)), shape=(*places, units))
    return b.add("mul", new, b.reshape(scale, (*places, units, 1)), name="within")


def _decays(rule: Rule, parameter: Parameter) -> list[str]:
    """The values that decay `parameter`: of the regularization and of the optimizer itself."""
    if parameter.regularization is None:
        return []
    own = [decay_name(parameter.name)] if parameter.regularization.weight_decay > 0 else []
    return own + ([rule.decay] if rule.decay else [])
