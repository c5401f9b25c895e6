"""What a look at the cells of a column comes to: a kind with its form, or a doubt with what settles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pipeline.data.cells.forms import Form
from pipeline.data.hints import written
from pipeline.records import record

Kind = Literal["number", "boolean", "date", "time", "category", "empty"]


@record
class Found:
    """What a column is: `form` of its numbers (None for words), the cells that stand for missing ones, and what is to be told.

    why  the rule that the cells keep
    """

    kind: Kind
    form: Form | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""


@record
class Doubt:
    """Why the cells are not taken for anything: up to three of them, and the settings of the column that would settle it.

    alone  whether each cell stands in a single row, of which there are no more than three: sums, units or remarks perhaps
    """

    rule: str
    cells: tuple[str, ...]
    settings: tuple[str, ...]
    alone: bool = False


def odd_among(others: Sequence[str], cells: Mapping[str, int], what: str) -> Doubt:
    """`others` among cells that are `what`: neither these nor categories, until somebody says which."""
    total = sum(cells.values())
    fitting = total - sum(cells[text] for text in others)
    rule = f"it must be {what} like {fitting} of the {total} cells"
    settings = (f"missing: [{', '.join(map(written, others[:3]))}]", "kind: category") if len(others) <= 3 else ("kind: category",)
    return Doubt(
        rule=rule, cells=tuple(others), settings=(*settings, "kind: ignore"), alone=total - fitting == len(others) <= min(3, fitting - 1)
    )
