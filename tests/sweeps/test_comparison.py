"""Arms over seeds: means, intervals, paired differences, order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.sweeps.comparison import Interval, as_good, compare, holm, interval, markdown, paired_t, table, untested
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


def test_a_seed_counts_once_whatever_was_run_again() -> None:
    once = [trial("a", seed, accuracy) for seed, accuracy in enumerate((0.5, 0.6, 0.8))]
    (doubled,), (single,) = compare(sweep(*once, *once)), compare(sweep(*once))
    assert doubled == single and single.trials == 3
    again = trial("a", 2, 0.7)
    assert compare(sweep(*once, again))[0].values["accuracy/validation"].mean == pytest.approx(0.6)  # as it was run last


def test_an_interval_of_a_share_stays_between_0_and_100_percent() -> None:
    assert Interval(mean=0.98, half=0.2134).said("accuracy/test") == "98.00 %, 76.66 to 100.00 %"
    assert Interval(mean=0.05, half=0.06).said("f1/test") == "5.00 %, 0.00 to 11.00 %"
    assert Interval(mean=0.5, half=0.1).said("accuracy/test") == "50.00 ± 10.00 %"
    assert Interval(mean=-0.05, half=0.1).said("accuracy/test", difference=True) == "-5.00 ± 10.00 %"
    assert Interval(mean=1.5, half=0.1).said("loss/test") == "1.5 ± 0.1"


def test_a_table_has_one_notation_of_intervals() -> None:
    found = sweep(
        *(trial(arm, seed, value) for arm, values in {"a": (0.9, 1.0), "b": (0.5, 0.51)}.items() for seed, value in enumerate(values))
    )
    heading, *rows = table(found, compare(found))
    shown = [row[heading.index("accuracy/validation")] for row in rows]
    assert shown == ["95.00 %, 31.47 to 100.00 %", "50.50 %, 44.15 to 56.85 %"]


def test_the_paired_test_is_scipys() -> None:
    from scipy import stats

    drawn = np.random.default_rng(0).normal(0.3, 1.0, size=(20, 7))
    for row in drawn:
        assert paired_t(list(row)) == pytest.approx(stats.ttest_1samp(row, 0.0).pvalue)
    assert paired_t([1.0]) is None and paired_t([0.0, 0.0]) == 1.0
    assert paired_t([0.5, 0.5]) is None and paired_t([0.25, 0.25 + 1e-16]) is None  # shares of 24 rows: no proof


def test_holms_rule_on_an_example_by_hand() -> None:
    found = holm([0.01, 0.04, None, 0.03, 0.005])
    assert [p if p is None else round(p, 9) for p in found] == [0.03, 0.06, None, 0.06, 0.02]
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_arms_that_luck_may_part_from_the_best_are_named() -> None:
    noise = (0.0, 0.01, -0.01, 0.02)
    arms = compare(
        sweep(
            *(trial("best", seed, 0.9 + e) for seed, e in enumerate(noise)),
            *(trial("near", seed, 0.9 - 2 * e) for seed, e in enumerate(noise)),
            *(trial("far", seed, 0.5 + e / 2) for seed, e in enumerate(noise)),
        )
    )
    assert [arm.params["arm"] for arm in arms] == ["best", "near", "far"]
    assert [arm.params["arm"] for arm in as_good(arms)] == ["near"]
    assert table(sweep(), arms)[0][-1] == "p (Holm)"


def test_the_intervals_cover_the_truth_as_often_as_they_say() -> None:
    drawn = np.random.default_rng(1).normal(0.7, 0.1, size=(2000, 5))
    inside = [abs(found.mean - 0.7) <= found.half for found in (interval(list(row)) for row in drawn)]
    assert 0.935 < np.mean(inside) < 0.965


def test_the_best_run_is_one_of_the_best_arm_not_the_lucky_seed_of_another() -> None:
    found = sweep(trial("a", 0, 0.90), trial("a", 1, 0.92), trial("b", 0, 0.99), trial("b", 1, 0.50))
    assert compare(found)[0].params == {"arm": "a"} and found.best is not None and found.best.label == "arm=a, seed=1"
    alone = sweep(trial("a", 0, 0.90), trial("b", 0, 0.99))
    assert alone.best is not None and alone.best.label == "arm=b, seed=0"


def test_equal_differences_of_all_pairs_are_no_proof() -> None:
    arms = compare(sweep(trial("a", 0, 0.75), trial("a", 1, 0.5), trial("b", 0, 0.5), trial("b", 1, 0.25)))
    assert arms[1].p is None and as_good(arms) == [] and untested(arms) == [arms[1]]
