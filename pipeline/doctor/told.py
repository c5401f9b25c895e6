"""Diagnoses as lines: at most three at the end of a run, all of them where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.tracking.health import Diagnosis

MOST = 3
NOTHING = "doctor: nothing is wrong as far as was measured"


def lines(found: Sequence[Diagnosis], *, more: str) -> list[str]:
    """One line each; of more than MOST the last says how many there are, and that `more` shows them."""
    told = [brief(diagnosis) for diagnosis in found[:MOST]]
    if len(found) > MOST:
        told[-1] += f" (and {len(found) - MOST} more: {more})"
    return told


def brief(diagnosis: Diagnosis) -> str:
    """`doctor: overfitting: loss/validation was 0.1 after epoch 4 and is 0.3; try training=early_stopping`."""
    return f"doctor: {diagnosis.name}: {diagnosis.evidence}; try {diagnosis.override}"


def whole(found: Sequence[Diagnosis]) -> str:
    """All of it, with the reasons; a paragraph each."""
    if not found:
        return NOTHING
    return "\n\n".join(
        f"{place}. {d.name}\n   measured  {d.evidence}\n   because   {d.reason}\n   try       {d.override}"
        for place, d in enumerate(found, start=1)
    )
