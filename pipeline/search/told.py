"""What came of the points of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.records import record, setting
from pipeline.search.parameters import Point


@record
class Told:
    """A point that is over.

    scores  of each metric, less is better; infinite where it has none
    rung    the epoch at which it was stopped; None where it came to its end
    rungs   epoch -> its score there, of the rungs that it came to
    """

    point: Point
    scores: tuple[float, ...]
    rung: int | None = None
    rungs: Mapping[int, float] = setting({})

    @property
    def rank(self) -> tuple[bool, int, float]:
        """What points are sorted by, best first: one that was stopped at a rung stands below those that went on."""
        return not math.isfinite(self.scores[0]), -(self.rung if self.rung is not None else 2**62), self.scores[0]


def best(told: Sequence[Told]) -> Told | None:
    """The best point; None where none has a finite score."""
    first = min(told, key=lambda each: each.rank, default=None)
    return None if first is None or not math.isfinite(first.scores[0]) else first


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is better in a score, less being better, and as good in all others."""
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))
