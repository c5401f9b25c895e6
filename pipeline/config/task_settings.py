"""What a task alone is told: task=explain, task=check, task=lr_range, task=report."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting

Part = Literal["recipe", "layers", "formulas", "decay", "variance", "compilation", "memory", "graphs", "plan", "program", "all"]
SHORT: tuple[Part, ...] = ("recipe", "layers", "formulas", "decay", "variance", "compilation", "memory")
FULL: tuple[Part, ...] = (*SHORT, "graphs", "plan", "program")


@record
class Explain:
    """parts, in this order whatever the order given; all is every one of them:

    recipe       what follows the rows of the data (see config/automatic.py)
    layers       names, shapes, parameters, and what the passes over the layers did
    formulas     each formula of the config, its derivative and the kernels that it runs in
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


@record
class Report:
    """runs  folders or MLflow run ids that are set side by side"""

    runs: tuple[str, ...] = setting(())


@record
class Check:
    """rows      of the tiny batch that the network shall learn by heart
    steps     it may take for that, at most
    elements  of each tensor whose gradient is checked, drawn from the counter-based generator; all of them where there are no more
    """

    rows: int = setting(20, least=2)
    steps: int = setting(1000, least=1)
    elements: int = setting(20, least=1)


@record
class LearningRateRange:
    """start, end  learning rates of the first and the last step
    steps       in which it rises, by the same factor at each
    smoothing   share of the old average that each step keeps: 0.9 looks back about 10 steps
    """

    start: float = setting(1e-6, above=0)
    end: float = setting(10.0, above=0)
    steps: int = setting(200, least=20)
    smoothing: float = setting(0.9, least=0, below=1)
