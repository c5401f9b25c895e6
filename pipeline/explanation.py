"""Which parts of a compiled network task=explain prints."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting

Part = Literal["layers", "decay", "variance", "compilation", "memory", "graphs", "plan", "program", "all"]
SHORT: tuple[Part, ...] = ("layers", "decay", "variance", "compilation", "memory")
FULL: tuple[Part, ...] = (*SHORT, "graphs", "plan", "program")


@record
class Explain:
    """parts, in this order whatever the order given; all is every one of them:

    layers       names, shapes, parameters, and what the passes over the layers did
    decay        which parameters a decay may touch
    variance     mean and variance of each layer's values that the initialization leads one to expect
    compilation  what each pass did to each form of the network, in one line
    memory       bytes of the state and of a step
    graphs       the op graph, and what it is after each pass
    plan         every call with its place in memory
    program      the generated program
    """

    parts: tuple[Part, ...] = setting(SHORT)


def chosen(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts in their order, each once."""
    return FULL if "all" in parts else tuple(part for part in FULL if part in parts)
