"""The statistics of a sweep against SciPy and statsmodels on made data, and how often its intervals hold what they should."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import nctdtr

from pipeline.sweeps.comparison import LEVEL, as_good, compare, holm, interval, paired_t, seeds_needed
from pipeline.sweeps.student import power, quantile
from pipeline.sweeps.table import Sweep, Trial


def made(arm: int, seed: int, value: float) -> Trial:
    params = {"arm": str(arm), "seed": str(seed)}
    return Trial(
        job="0", name="", folder=Path(), status="FINISHED", message="", run_id="", params=params, metrics={"r2/validation": value}, curve={}
    )


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_intervals_and_paired_tests_are_scipys(count: int) -> None:
    rng = np.random.default_rng(count)
    for scale in (1e-6, 1.0, 1e6):
        one, other = (scale * rng.normal(1.0, 0.3, count) for _ in range(2))
        low, high = stats.t.interval(LEVEL, count - 1, one.mean(), stats.sem(one))
        found = interval(one.tolist())
        assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high), rel=1e-9)
        assert paired_t((one - other).tolist()) == pytest.approx(stats.ttest_rel(one, other).pvalue, rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 20, 99, 999])
def test_the_power_of_a_t_test_is_scipys(freedom: int) -> None:
    limit = quantile(LEVEL, freedom)
    for off in (0.0, 0.1, 0.5, 1.0, 2.8, 4.0):  # SciPy has no value for some larger ones
        exact = 1 - nctdtr(freedom, off, limit) + nctdtr(freedom, off, -limit)
        assert power(limit, freedom, off) == pytest.approx(exact, abs=1e-6)


@pytest.mark.integration
def test_holms_rule_and_the_seeds_that_are_needed_are_those_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.power import TTestPower

    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 40):
        ps = rng.random(count) ** 3
        assert holm(ps.tolist()) == pytest.approx(multipletests(ps, method="holm")[1].tolist(), rel=1e-12)
    for effect in (0.15, 0.3, 0.5, 1.0, 2.0, 3.0):
        pairs = rng.standard_normal(6)
        pairs = (pairs - pairs.mean()) / pairs.std(ddof=1) + effect
        exact = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
        assert seeds_needed(pairs.tolist()) == math.ceil(exact)


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_hold_the_true_mean_as_often_as_they_say(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    drawn = rng.normal(0.5, 0.05, (4000, seeds))
    held = np.mean([abs(found.mean - 0.5) <= found.half for found in map(interval, drawn.tolist())])
    assert abs(held - LEVEL) < 3 * math.sqrt(LEVEL * (1 - LEVEL) / len(drawn))


def test_intervals_of_shares_of_a_small_part_hold_the_true_share() -> None:
    """Accuracies of 5 seeds on 180 rows each, which spread by the seed and by the rows: what is shown lies within 0 to 100 %."""
    rng = np.random.default_rng(0)
    true = 0.95
    drawn = rng.binomial(180, np.clip(rng.normal(true, 0.01, (4000, 5)), 0, 1)) / 180
    held = np.mean([abs(found.mean - true) <= found.half for found in map(interval, drawn.tolist())])
    assert 0.93 < held < 0.97
    shown = interval([0.99, 1.0, 0.95]).said("accuracy/validation")
    assert shown == "98.00 %, 91.43 to 100.00 %"


@pytest.mark.parametrize("count", [2, 3, 8])
def test_of_equal_arms_one_is_parted_from_the_best_in_a_twentieth_of_the_sweeps_at_most(count: int) -> None:
    """The best is picked by the same values, which flatters it: corrected for these tests alone, one of 8 would be parted too often."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(600):
        values = rng.normal(0.5, 0.1, 5) + rng.normal(0, 0.05, (count, 5))
        trials = [made(arm, seed, float(values[arm, seed])) for arm in range(count) for seed in range(5)]
        arms = compare(Sweep(name="s", metric="r2/validation", params=("arm", "seed"), metrics=("r2/validation",), trials=tuple(trials)))
        wrong += len(as_good(arms)) < count - 1
    assert wrong <= 30 + 3 * math.sqrt(600 * 0.05 * 0.95)
