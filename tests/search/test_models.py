"""TPE of Optuna and CMA-ES: better than chance, and the same points when a search is replayed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.search.models import word
from pipeline.search.parameters import Point
from pipeline.search.points import ask
from pipeline.search.settings import read_search
from pipeline.search.told import Told
from tests.refusal import refused
from tests.search.test_points import RATE, TWO, distance, space, walked

CONDITIONAL = space(
    optimizer__learning_rate="log(1e-4, 1)",
    units="log_integer(8, 512)",
    optimizer=["sgd", "adam"],
    beta={"kind": "one_minus", "low": 0.9, "high": 0.999, "when": {"optimizer": "adam"}},
)


def with_choice(point: Point) -> float:
    return distance(point) + (point["optimizer"] == "sgd") + (math.log2(float(point["units"])) - 6) ** 2 / 4


@pytest.mark.integration
@pytest.mark.parametrize("method", ["tpe", "cma_es"])
def test_a_model_finds_better_points_than_chance(method: str) -> None:
    ours, theirs = [], []
    for seed in range(5):
        told, _ = walked(read_search({"method": method, "trials": 64, "seed": seed}), TWO)
        drawn, _ = walked(read_search({"trials": 64, "seed": seed}), TWO)
        ours += [each.scores[0] for each in told[32:]]
        theirs += [each.scores[0] for each in drawn[32:]]
    assert np.median(ours) < np.median(theirs) / 3


@pytest.mark.integration
@pytest.mark.parametrize(
    ("method", "parameters", "score"), [("tpe", CONDITIONAL, with_choice), ("tpe", TWO, distance), ("cma_es", TWO, distance)]
)
def test_a_search_that_goes_on_has_the_same_points(method: str, parameters: Any, score: Any) -> None:
    search = read_search({"method": method, "trials": 30, "batch": 6})
    told, sizes = walked(search, parameters, score)
    assert sizes == [6] * 5
    for first in (6, 18):
        assert ask(search, parameters, told[:first]) == [each.point for each in told[first : first + 6]]


@pytest.mark.integration
def test_tpe_learns_choices_and_takes_what_was_stopped_or_failed() -> None:
    search = read_search({"method": "tpe", "trials": 96, "batch": 8})
    told, _ = walked(search, CONDITIONAL, with_choice)
    assert sum(each.point["optimizer"] == "adam" for each in told[48:]) > 36
    mixed = [Told(point=e.point, scores=e.scores, rung=None if k % 3 else 2, rungs={2: e.scores[0]}) for k, e in enumerate(told[:24])]
    mixed[1] = Told(point=told[1].point, scores=(math.inf,))
    assert len(ask(search, CONDITIONAL, mixed)) == 8


@pytest.mark.integration
def test_tpe_takes_several_metrics_and_cma_es_does_not() -> None:
    told = [Told(point=point, scores=(distance(point), 1.0)) for point in ask(read_search({"trials": 16}), TWO, [])]
    assert len(ask(read_search({"method": "tpe", "trials": 32}), TWO, told)) == 16
    with refused("hydra.sweeper.method = cma_es: it knows one metric; give hydra.sweeper.method=tpe"):
        ask(read_search({"method": "cma_es", "trials": 32}), TWO, told)


def test_cma_es_knows_no_choices_and_no_conditions() -> None:
    with refused(
        "hydra.sweeper.method = cma_es: cma_es steps through ranges, and this is a choice: optimizer; give hydra.sweeper.method=tpe"
    ):
        ask(read_search({"method": "cma_es", "trials": 8}), CONDITIONAL, [])


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    told = [Told(point=point, scores=(distance(point),)) for point in ask(read_search({"trials": 2}), TWO, [])]
    sentence = (
        "hydra.sweeper.method = tpe: needs the package optuna; pip install 'caviar-pipeline[search]', or use hydra.sweeper.method=sobol"
    )
    with refused(sentence):
        ask(read_search({"method": "tpe", "trials": 8, "batch": 2}), TWO, told)


def test_the_word_of_a_point_follows_from_seed_and_number() -> None:
    assert len({word(seed, number) for seed in range(10) for number in range(100)}) == 1000
    assert word(0, 0) == word(0, 0) and RATE
