"""Which trials go on at a rung: successive halving (Jamieson & Talwalkar 2016) and Hyperband (Li et al. 2018), both synchronous.

All of a bracket come to a rung before any goes on: the decision depends on no order, and is the same whoever trained which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pipeline.errors import ConfigError
from pipeline.records import record
from pipeline.search.settings import AT, Search


@record
class Bracket:
    """Points `first` to `end`, which are compared with each other at `rungs`, epochs in rising order."""

    first: int
    end: int
    rungs: tuple[int, ...]


def brackets(search: Search, first: int, end: int, epochs: int | str | None) -> list[Bracket]:
    """How the points of one stage or batch are compared on their way to `epochs`.  Raises ConfigError where these are no number."""
    if search.prune == "none":
        return [Bracket(first=first, end=end, rungs=())]
    if not isinstance(epochs, int):
        rule = "its rungs are epochs, and how many the training has is left open"
        raise ConfigError(at=f"{AT}.prune", got=search.prune, rule=rule, hint="give training.epochs=27, or another number")
    if search.first_rung >= epochs:
        rule = f"the first rung lies beyond the training, which has {epochs} epochs"
        raise ConfigError(at=f"{AT}.first_rung", got=search.first_rung, rule=rule, hint="give fewer")
    rungs = [search.first_rung]
    while rungs[-1] * search.eta < epochs:
        rungs.append(rungs[-1] * search.eta)
    if search.prune == "halving":
        return [Bracket(first=first, end=end, rungs=tuple(rungs))]
    # Hyperband's brackets: one with all rungs, one without the first, ... one without any; a bracket with one rung less has fewer points
    weights = [search.eta**left / (left + 1) for left in range(len(rungs), -1, -1)]
    marks = [first + round((end - first) * sum(weights[:k]) / sum(weights)) for k in range(len(weights) + 1)]
    return [Bracket(first=a, end=b, rungs=tuple(rungs[k:])) for k, (a, b) in enumerate(pairwise(marks)) if b > a]


def going_on(scores: Sequence[float], eta: int) -> list[int]:
    """Which of the scores [n] at a rung, less being better, are among the best n // eta, at least one: their places, best first.

    One without a finite score never goes on; of equal ones the earlier does.
    """
    order = sorted((place for place, score in enumerate(scores) if math.isfinite(score)), key=lambda place: (scores[place], place))
    return order[: max(1, len(scores) // eta)]
