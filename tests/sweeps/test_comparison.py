"""Arms over seeds: means, intervals, paired differences, order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sweeps.comparison import compare, interval, markdown, table
from pipeline.sweeps.table import Sweep, Trial


def trial(arm: str, seed: int, accuracy: float, *, status: str = "FINISHED") -> Trial:
    metrics = {"accuracy/validation": accuracy, "loss/train": 1 - accuracy}
    params = {"arm": arm, "seed": str(seed)}
    return Trial(job="0", name="", folder=Path(), status=status, message="", run_id="", params=params, metrics=metrics, curve={})


def sweep(*trials: Trial) -> Sweep:
    return Sweep(
        name="s", metric="accuracy/validation", params=("arm", "seed"), metrics=("accuracy/validation", "loss/train"), trials=trials
    )


def test_the_interval_is_students() -> None:
    found = interval([1.0, 2.0, 4.0])
    deviation = math.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2)
    assert found.mean == pytest.approx(7 / 3)
    assert found.half == pytest.approx(4.302652729911275 * deviation / math.sqrt(3))  # t(0.975, 2) of the tables
    assert str(found) == "2.333 ± 3.8"


def test_one_seed_has_no_interval() -> None:
    found = interval([0.5])
    assert math.isnan(found.half) and str(found) == "0.5"


def test_arms_are_ranked_by_their_means_and_differences_are_of_pairs() -> None:
    arms = compare(
        sweep(*(trial("a", seed, 0.5 + seed / 10) for seed in range(3)), *(trial("b", seed, 0.6 + seed / 10) for seed in range(3)))
    )
    assert [arm.params["arm"] for arm in arms] == ["b", "a"]
    assert arms[0].difference is None and arms[1].difference is not None
    assert arms[1].difference.mean == pytest.approx(-0.1) and arms[1].difference.half == pytest.approx(0.0, abs=1e-12)
    assert arms[1].values["accuracy/validation"].half > 0.2  # apart the seeds differ, in pairs they do not


def test_an_arm_with_a_failed_trial_stands_below_and_counts_it() -> None:
    arms = compare(
        sweep(trial("a", 0, 0.9), trial("a", 1, 0.9, status="FAILED"), trial("b", 0, 0.2), trial("b", 1, math.nan), trial("c", 0, 0.1))
    )
    assert [(arm.params["arm"], arm.done, arm.trials) for arm in arms] == [("c", 1, 1), ("a", 1, 2), ("b", 1, 2)]
    assert arms[1].difference is not None and arms[1].difference.mean == pytest.approx(0.8)


def test_an_arm_of_which_no_trial_finished_has_no_values() -> None:
    found = sweep(trial("a", 0, 0.9), trial("b", 0, 0.2, status="FAILED"))
    arms = compare(found)
    assert arms[1].values == {} and arms[1].difference is None
    heading, first, last = table(found, arms)
    assert heading == ["arm", "seeds", "accuracy/validation", "loss/train"]  # no pairs, so no differences
    assert first == ["a", "1", "90.00 %", "0.1"] and last == ["b", "0 of 1", "", ""]
    assert markdown(found, arms).splitlines()[2] == "| a | 1 | 90.00 % | 0.1 |"


def test_the_table_shows_the_differences_to_the_best() -> None:
    found = sweep(trial("a", 0, 0.9), trial("b", 0, 0.7))
    heading, first, last = table(found, compare(found))
    assert heading[-1] == "accuracy/validation minus best"
    assert (first[-1], last[-1]) == ("", "-20.00 %")


def test_a_sweep_of_one_seed_has_no_arms() -> None:
    assert compare(Sweep(name="s", metric="loss/train", params=("arm",), metrics=("loss/train",), trials=(trial("a", 0, 0.1),))) == ()


def test_folds_count_as_seeds_do_and_are_paired() -> None:
    def fold(arm: str, number: int, seed: int, accuracy: float) -> Trial:
        made = trial(arm, seed, accuracy)
        return replace(made, params={**made.params, "data.split.fold": str(number)})

    trials = [fold(arm, k, s, 0.5 + k / 10 + s / 100 + (arm == "b") / 5) for arm in "ab" for k in range(3) for s in range(2)]
    both = replace(sweep(*trials), params=("arm", "data.split.fold", "seed"))
    first, second = compare(both)
    assert (first.params, first.trials) == ({"arm": "b"}, 6)
    assert second.difference is not None
    assert second.difference.mean == pytest.approx(-0.2) and second.difference.half == pytest.approx(0.0, abs=1e-12)
    assert table(both, (first, second))[0][:2] == ["arm", "seeds and folds"]
    only = replace(both, params=("arm", "data.split.fold"), trials=tuple(t for t in trials if t.params["seed"] == "0"))
    assert [arm.trials for arm in compare(only)] == [3, 3] and table(only, compare(only))[0][1] == "folds"
