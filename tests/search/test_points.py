"""The points of each method: from seed and number alone, from coarse to fine, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.search.border import on_the_border
from pipeline.search.parameters import Parameter, Point, checked, parameter
from pipeline.search.points import ask, start
from pipeline.search.settings import Search, read_search
from pipeline.search.told import Told, best, dominates
from tests.refusal import refused

RATE = "optimizer.learning_rate"


def space(**given: Any) -> tuple[Parameter, ...]:
    return checked([parameter(path.replace("__", "."), value, at=path) for path, value in given.items()])


TWO = space(optimizer__learning_rate="log(1e-4, 1)", b="linear(0, 1)")


def distance(point: Point) -> float:
    """From 0.01 and 0.3, on the scales of the space."""
    return (math.log10(float(point[RATE])) + 2) ** 2 + (float(point.get("b", 0.3)) - 0.3) ** 2


def walked(search: Search, parameters: tuple[Parameter, ...], score: Callable[[Point], float] = distance) -> tuple[list[Told], list[int]]:
    """The whole search -> its points, and how many came at a time."""
    told: list[Told] = []
    sizes = []
    while points := ask(search, parameters, told):
        sizes.append(len(points))
        told += [Told(point=point, scores=(score(point),)) for point in points]
    return told, sizes


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_points_follow_from_the_seed_and_their_number(method: str) -> None:
    few, many = (walked(read_search({"method": method, "trials": n}), TWO)[0] for n in (8, 40))
    assert [each.point for each in few] == [each.point for each in many[:8]]
    other = walked(read_search({"method": method, "trials": 8, "seed": 1}), TWO)[0]
    assert [each.point for each in few] != [each.point for each in other]
    again = ask(read_search({"method": method, "trials": 40}), TWO, many[:13])  # as after 13 of them a search goes on
    assert again == [each.point for each in many[13:]]


def test_another_parameter_changes_no_value_of_a_random_search() -> None:
    one = ask(read_search({"trials": 9}), space(optimizer__learning_rate="log(1e-4, 1)"), [])
    two = ask(read_search({"trials": 9}), TWO, [])
    assert [point[RATE] for point in one] == [point[RATE] for point in two]


def test_sobol_leaves_no_hole() -> None:
    points = ask(read_search({"method": "sobol", "trials": 64}), TWO, [])
    cells = np.histogram2d([math.log10(float(p[RATE])) for p in points], [float(p["b"]) for p in points], bins=8, range=[[-4, 0], [0, 1]])[
        0
    ]
    assert (cells == 1).all()  # 64 points, one in each of 64 cells
    drawn = ask(read_search({"method": "random", "trials": 64}), TWO, [])
    assert len({(int(2 * math.log10(float(p[RATE]))), int(8 * float(p["b"]))) for p in drawn}) < 64


def test_a_grid_has_every_combination_and_those_that_go_together_once() -> None:
    parameters = space(
        a={"kind": "choice", "values": [1, 2], "zip": "z"},
        b={"kind": "choice", "values": [3, 4], "zip": "z"},
        optimizer=["sgd", "adam"],
        beta={"kind": "linear", "low": 0, "high": 1, "when": {"optimizer": "adam"}},
    )
    points = ask(read_search({"method": "grid", "levels": 3}), parameters, [])
    assert len(points) == 2 * (1 + 3)
    assert points[:4] == [
        {"a": "1", "b": "3", "optimizer": "sgd"},
        *({"a": "1", "b": "3", "optimizer": "adam", "beta": beta} for beta in (0.0, 0.5, 1.0)),
    ]
    assert ask(read_search({"method": "grid", "levels": 3}), parameters, [Told(point=p, scores=(0.0,)) for p in points]) == []


def test_ablation_is_the_baseline_and_each_factor_alone() -> None:
    points = ask(read_search({"method": "ablate"}), space(norm=["batch", "none"], act=["relu", "tanh", "elu"]), [])
    assert [tuple(point.values()) for point in points] == [
        ("batch", "relu"),
        ("none", "relu"),
        ("batch", "tanh"),
        ("batch", "elu"),
    ]
    with refused(
        "hydra.sweeper.space = a: ablate switches between values, and this is a range; give values, that of the baseline first: a=0.1,0.01"
    ):
        ask(read_search({"method": "ablate"}), space(a="log(0.1,1)"), [])


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_each_stage_is_drawn_about_the_best_of_those_before(method: str) -> None:
    search = read_search({"method": method, "trials": 48, "stages": 3})
    told, sizes = walked(search, TWO)
    assert sizes == [16, 16, 16]
    for first, width in ((16, 1.0), (32, 0.25)):  # a quarter of four decades, and of that a quarter
        centre = best(told[:first])
        assert centre is not None
        logs = [math.log10(float(each.point[RATE])) for each in told[first : first + 16]]
        assert max(logs) - min(logs) <= width + 1e-6
        assert min(logs) - 1e-6 <= math.log10(float(centre.point[RATE])) <= max(logs) + width
    assert min(each.scores[0] for each in told[32:]) < min(each.scores[0] for each in told[:16])


def test_a_stage_without_any_finished_trial_before_it_is_refused() -> None:
    search = read_search({"trials": 4, "stages": 2})
    sentence = (
        "hydra.sweeper.stages = 2: a stage is drawn about the best of the 2 trials before, and none of them finished; "
        "widen the space, or lower its upper ends"
    )
    with refused(sentence):
        walked(search, TWO, lambda point: math.inf)


def test_the_best_is_one_that_was_not_stopped_at_a_rung_and_a_border_is_said() -> None:
    told = [
        Told(point={RATE: 0.9, "b": 0.5}, scores=(0.5,)),
        Told(point={RATE: 0.1, "b": 0.5}, scores=(0.1,), rung=3),
        Told(point={RATE: 0.01, "b": 0.5}, scores=(math.inf,)),
    ]
    found = best(told)
    assert found is told[0]
    note = f"the best {RATE}, 0.9, lies at the upper end of log(0.0001, 1.0): widen it, something better may lie beyond"
    assert on_the_border(TWO, told) == [note]
    assert on_the_border(TWO, told[1:]) == []


def test_one_score_beats_another_where_it_is_better_in_one_and_as_good_in_all() -> None:
    assert dominates((1, 2), (1, 3)) and not dominates((1, 2), (1, 2)) and not dominates((1, 3), (2, 2))


def test_how_many_points_come_before_a_model_has_anything_to_learn_from_is_told() -> None:
    told = ", the first 16 quasi-random (sobol), the others from what these show"
    assert start(read_search({"method": "tpe", "trials": 64}), TWO) == told
    told = ", all quasi-random (sobol): the first 16 come before there is anything to learn from"
    assert start(read_search({"method": "tpe", "trials": 4}), TWO) == told
    told = ", the first 6 drawn at random about the middle, the others from what these show"
    assert start(read_search({"method": "cma_es", "trials": 64}), TWO) == told
    assert start(read_search({"trials": 64}), TWO) == ""


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "hydra.sweeper.trials = null: random needs to know how many; give hydra.sweeper.trials=64"),
        ({"method": "grid", "trials": 3}, "hydra.sweeper.trials = 3: grid has as many as its values make; leave it out"),
        ({"method": "tpe", "trials": 3, "stages": 2}, "hydra.sweeper.stages = 2: tpe has no stages; use random or sobol"),
        ({"trials": 3, "stages": 4}, "hydra.sweeper.stages = 4: there are 3 trials; give more trials"),
        ({"trials": 3, "batch": 4}, "hydra.sweeper.batch = 4: random waits for no results; leave it out"),
        ({"method": "tpee", "trials": 3}, "hydra.sweeper.method = tpee: unknown choice; did you mean tpe?"),
        ({"trails": 3}, "hydra.sweeper.trails = 3: unknown key; did you mean trials?"),
        ({"trials": 3, "zoom": 1}, "hydra.sweeper.zoom = 1: must be below 1"),
    ],
)
def test_what_a_search_cannot_be_told_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        read_search(given)
