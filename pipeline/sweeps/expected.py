"""How long a stack is expected to train, by the model of what a step costs (backends/cost.py), on a machine that does nothing else."""

# K trials
from __future__ import annotations

from collections.abc import Sequence

from backends import step_seconds
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import Prepared
from pipeline.training import budget


def expected(structure: Structure, members: Sequence[tuple[Experiment, Prepared]]) -> str:
    """`about 3 s at most` for K trials that train together, each with its config and its rows; where that is not known, why."""
    if structure.backend.name != "numpy":
        return "its time is not estimated"
    ends = [budget.end(asked.training, asked.budget, len(data.train) // asked.training.rows).steps for asked, data in members]
    most = max((steps for steps in ends if steps is not None), default=None)
    if most is None or None in ends:
        return "as long as its budget says"
    rows = structure.batch_size
    parts = [(form, size, 1) for form, size in structure.training] if structure.accumulate == 1 else structure.micro_batches(rows)
    of_a_step = sum(count * step_seconds(structure.compiled(form, size).plan, len(members)) for form, size, count in parts)
    total = most * of_a_step
    for (asked, data), steps in zip(members, ends, strict=True):
        epochs = -(-(steps or 0) // max(1, len(data.train) // asked.training.rows))
        batches = -(-len(data.validation) // structure.evaluation_batch) + 1  # and the rows of the training part that are measured
        total += epochs * batches * step_seconds(structure.compiled("evaluate", structure.evaluation_batch).plan, 1)
    early = any(asked.training.early_stopping is not None for asked, _ in members)
    return f"about {_said(total)} of steps and evaluations{', at most' if early else ''}"


def _said(seconds: float) -> str:
    return f"{seconds:.1g} s" if seconds < 10 else f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
