"""Rungs and brackets: who is compared with whom, and who goes on."""

from __future__ import annotations

import math

from pipeline.search.halving import Bracket, brackets, going_on
from pipeline.search.settings import read_search
from tests.refusal import refused


def test_halving_has_rungs_below_the_end() -> None:
    search = read_search({"trials": 27, "prune": "halving"})
    assert brackets(search, 0, 27, 27) == [Bracket(first=0, end=27, rungs=(1, 3, 9))]
    assert brackets(search, 0, 27, 20)[0].rungs == (1, 3, 9)
    assert brackets(read_search({"trials": 8, "prune": "halving", "eta": 2, "first_rung": 3}), 4, 8, 20) == [
        Bracket(first=4, end=8, rungs=(3, 6, 12))
    ]


def test_hyperband_divides_its_points_as_the_paper_does() -> None:
    """R = 27, eta = 3: brackets of 27, 12, 6 and 4 points (Li et al. 2018, table 1 without its last row)."""
    found = brackets(read_search({"trials": 49, "prune": "hyperband"}), 0, 49, 27)
    assert [bracket.rungs for bracket in found] == [(1, 3, 9), (3, 9), (9,), ()]
    sizes = [bracket.end - bracket.first for bracket in found]
    assert sum(sizes) == 49 and all(abs(size - wanted) <= 4 for size, wanted in zip(sizes, (27, 12, 6, 4), strict=True)), sizes


def test_without_pruning_all_go_to_the_end() -> None:
    assert brackets(read_search({"trials": 5}), 2, 7, None) == [Bracket(first=2, end=7, rungs=())]


def test_the_best_third_goes_on_and_never_one_without_a_value() -> None:
    assert going_on([0.3, 0.1, 0.2, 0.5, 0.4, 0.6], 3) == [1, 2]
    assert going_on([0.1, 0.1, 0.1], 3) == [0]
    assert going_on([math.inf, 0.9], 3) == [1]
    assert going_on([math.inf, math.inf], 2) == []


def test_rungs_need_epochs() -> None:
    search = read_search({"trials": 5, "prune": "halving", "first_rung": 9})
    for unknown in (None, "auto"):
        sentence = (
            "hydra.sweeper.prune = halving: its rungs are epochs, and how many the training has is left open; "
            "give training.epochs=27, or another number"
        )
        with refused(sentence):
            brackets(search, 0, 5, unknown)
    with refused("hydra.sweeper.first_rung = 9: the first rung lies beyond the training, which has 9 epochs; give fewer"):
        brackets(search, 0, 5, 9)
