"""What may be set of task=check and task=lr_range."""

from __future__ import annotations

from pipeline.records import record, setting


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
