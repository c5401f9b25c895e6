"""What may be set of task=check."""

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
