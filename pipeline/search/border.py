"""What is said of the best of a search: that something better may lie beyond the ends of a range."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.search.parameters import Parameter
from pipeline.search.spaces import Choice, said, share_of
from pipeline.search.told import Told, best

NEAR = 0.05


def on_the_border(parameters: Sequence[Parameter], told: Sequence[Told]) -> list[str]:
    """A note for each range in which the best value lies within a twentieth of an end."""
    found = best(told)
    notes = []
    for each in parameters if found is not None else ():
        assert found is not None
        if isinstance(each.space, Choice) or each.path not in found.point:
            continue
        value = found.point[each.path]
        share = share_of(each.space, value)
        if not NEAR <= share <= 1 - NEAR:
            end = "lower" if share < NEAR else "upper"
            notes.append(
                f"the best {each.path}, {value}, lies at the {end} end of {said(each.space)}: widen it, something better may lie beyond"
            )
    return notes
