"""Search spaces: where their values fall, that they hold still, how stages narrow them, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.config.search import Search, Tried, at_the_end, with_trial
from pipeline.config.spaces import Integer, Linear, Log, LogRandn, OneMinusLog, draw, grid, zoom
from pipeline.records import read
from tests.refusal import refused

SPACES: list[tuple[Any, Any]] = [
    (Linear(low=-1, high=3), lambda v: (v + 1) / 4),
    (Log(low=1e-4, high=1), lambda v: (np.log10(v) + 4) / 4),
    (OneMinusLog(low=0.9, high=0.999), lambda v: (-np.log10(1 - v) - 1) / 2),
]


@pytest.mark.parametrize(("space", "share"), SPACES, ids=lambda each: type(each).__name__)
def test_values_are_uniform_on_the_scale_of_the_space(space: Any, share: Any) -> None:
    shares = share(draw(space, 5000, seed=1, path="a.b"))
    assert shares.min() >= -1e-12 and shares.max() <= 1 + 1e-12
    for q in (0.1, 0.5, 0.9):
        assert abs(np.mean(shares < q) - q) < 3 * np.sqrt(q * (1 - q) / 5000)


def test_whole_numbers_are_equally_likely_with_both_ends() -> None:
    values, counts = np.unique(draw(Integer(low=50, high=53), 4000, seed=0, path="units"), return_counts=True)
    assert values.tolist() == [50, 51, 52, 53]
    assert np.all(np.abs(counts / 4000 - 0.25) < 3 * np.sqrt(0.25 * 0.75 / 4000))


@pytest.mark.parametrize(
    "space", [Linear(low=0, high=1), LogRandn(low=1e-4, high=1), Integer(low=0, high=9)], ids=lambda s: type(s).__name__
)
def test_more_trials_leave_the_first_as_they_were_and_paths_and_seeds_differ(space: Any) -> None:
    few, many = draw(space, 5, seed=0, path="a"), draw(space, 500, seed=0, path="a")
    assert few.tolist() == many[:5].tolist()
    assert few.tolist() != draw(space, 5, seed=1, path="a").tolist()
    assert few.tolist() != draw(space, 5, seed=0, path="b").tolist()


def test_a_grid_is_even_on_the_scale() -> None:
    np.testing.assert_allclose(grid(Log(low=1e-4, high=1), 5), [1e-4, 1e-3, 1e-2, 1e-1, 1.0], rtol=1e-12)
    np.testing.assert_allclose(grid(OneMinusLog(low=0.9, high=0.999), 3), [0.9, 0.99, 0.999], rtol=1e-12)


def test_zooming_keeps_a_share_of_the_range_about_the_best_and_within_the_old_one() -> None:
    space = Log(low=1e-4, high=1)
    middle, edge = zoom(space, 1e-2, share=0.25), zoom(space, 0.9, share=0.25)
    assert (middle.low, middle.high) == pytest.approx((10**-2.5, 10**-1.5))
    assert (edge.low, edge.high) == pytest.approx((0.1, 1.0))


CONFIG: dict[str, Any] = {
    "optimizer": {"kind": "momentum", "learning_rate": 0.1},
    "search": {"seed": 3, "space": {"optimizer.learning_rate": {"kind": "log", "low": 1e-4, "high": 1}}},
}


def test_a_trial_puts_its_values_into_the_config_and_no_trial_leaves_it() -> None:
    found = with_trial({**CONFIG, "trial": 4})
    value = draw(Log(low=1e-4, high=1), 5, seed=3, path="optimizer.learning_rate")[4]
    assert found == {"optimizer": {"kind": "momentum", "learning_rate": float(f"{value:.6g}")}}
    assert with_trial(CONFIG) == {"optimizer": CONFIG["optimizer"]}


def tried(*points: tuple[int, float, float], arm: str | None = None) -> list[Tried]:
    """(trial, learning rate, score) of each run."""
    return [Tried(trial=trial, config={"arm": arm, "optimizer": {"learning_rate": rate}}, score=score) for trial, rate, score in points]


def staged(trial: int, so_far: list[Tried], *stages: int, **others: Any) -> float:
    search = {**CONFIG["search"], "stages": list(stages), **others}
    return float(with_trial({**CONFIG, "search": search, "trial": trial}, (), so_far)["optimizer"]["learning_rate"])


def test_a_second_stage_draws_from_a_quarter_of_the_range_about_the_best_of_the_first() -> None:
    so_far = tried((0, 0.5, 3.0), (1, 0.01, 1.0), (2, 0.3, 2.0))
    assert staged(2, so_far, 3, 3) == with_trial({**CONFIG, "trial": 2})["optimizer"]["learning_rate"]
    values = [staged(k, so_far, 3, 3) for k in range(3, 203)]  # the last stage has no end
    assert 10**-2.5 <= min(values) < 10**-2.45 and 10**-1.55 < max(values) <= 10**-1.5
    halves = [staged(k, so_far, 3, 3, zoom=0.5) for k in range(3, 203)]
    assert 10**-3 <= min(halves) < 10**-2.9 and 10**-1.1 < max(halves) <= 10**-1


def test_a_third_stage_narrows_the_second_about_the_best_of_both() -> None:
    so_far = tried((0, 0.01, 2.0), (1, 0.02, 1.0), (2, 0.015, 3.0))
    values = [staged(k, so_far, 1, 2, 1) for k in range(3, 203)]
    center = math.log10(0.02)
    assert center - 0.125 <= math.log10(min(values)) < center - 0.1 and center + 0.1 < math.log10(max(values)) <= center + 0.125


def test_a_stage_looks_at_the_mean_over_seeds_and_at_its_own_arm_and_is_decided_once() -> None:
    so_far = tried((0, 0.01, 1.0), (0, 0.01, 1.2), (1, 0.5, 0.0), (1, 0.5, math.inf))  # trial 1 diverged with its second seed
    value = staged(5, so_far, 2, 9)
    assert 10**-2.5 <= value <= 10**-1.5
    assert staged(5, so_far + tried((2, 0.03, 0.5), (0, 0.01, 9.0), (1, 0.5, 0.1)), 2, 9) == value
    assert staged(5, so_far + tried((1, 0.9, 0.0), arm="other"), 2, 9) == value


def test_a_later_stage_without_the_one_before_is_refused() -> None:
    sentence = (
        "trial = 5: is drawn about the best of the trials before trial 2, and none of them finished in this sweep; "
        "run them together, from trial 0 on"
    )
    for so_far in ([], tried((0, 0.1, math.inf))):
        with refused(sentence):
            staged(5, so_far, 2, 9)


def test_a_best_value_at_an_end_of_its_range_is_said() -> None:
    search = read(Search, {"space": CONFIG["search"]["space"]}, at="search")
    note = "the best optimizer.learning_rate, 0.9, lies at an end of 0.0001 to 1: widen search.space.optimizer.learning_rate"
    assert at_the_end(search, tried((0, 0.1, 1.0), (1, 0.9, 0.5))) == [note]
    assert at_the_end(search, tried((0, 0.1, 0.5), (1, 0.9, 1.0))) == []
    assert at_the_end(search, tried((0, 0.9, math.inf))) == []


@pytest.mark.parametrize(
    ("changes", "overrides", "sentence"),
    [
        ({"search": None, "trial": 0}, (), "trial = 0: the experiment declares no search; leave it out"),
        ({"trial": -1}, (), "trial = -1: must be a whole number from 0; give trial=0"),
        (
            {"trial": 0},
            ("optimizer.learning_rate=0.5",),
            "optimizer.learning_rate = 0.5: the search draws it; give hydra.mode=RUN for one run without the search",
        ),
        (
            {"trial": 0, "search": {"space": {"seed": {"kind": "lin", "low": 0, "high": 1}}}},
            (),
            "search.space.seed.kind = lin: unknown kind; did you mean linear?",
        ),
        (
            {"trial": 0, "search": {"space": {"a": {"kind": "linear", "low": 2, "high": 1}}}},
            (),
            "search.space.a.high = 1.0: must be above search.space.a.low, which is 2.0",
        ),
        ({"trial": 0, "search": {"space": {}, "stage": [3]}}, (), "search.stage = [3]: unknown key; did you mean stages?"),
        ({"trial": 0, "search": {"space": {}, "stages": [3, 0]}}, (), "search.stages[1] = 0: must be at least 1"),
        ({"trial": 0, "search": {"space": {}, "zoom": 1}}, (), "search.zoom = 1: must be below 1"),
        ({"trial": 0, "search": {"space": [1]}}, (), "search.space = [1]: must be a mapping of config paths to ranges"),
    ],
)
def test_a_mistake_is_one_sentence(changes: dict[str, Any], overrides: tuple[str, ...], sentence: str) -> None:
    with refused(sentence):
        with_trial({**CONFIG, **changes}, overrides)
