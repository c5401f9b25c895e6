"""Search spaces: where their values fall, that they hold still, how they are narrowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.search.spaces import (
    Choice,
    Integer,
    Linear,
    Log,
    LogInteger,
    LogRandn,
    OneMinus,
    at,
    count,
    draw,
    grid,
    said,
    share_of,
    shares,
    zoom,
)

SPACES: list[tuple[Any, Any]] = [
    (Linear(low=-1, high=3), lambda v: (v + 1) / 4),
    (Log(low=1e-4, high=1), lambda v: (np.log10(v) + 4) / 4),
    (OneMinus(low=0.9, high=0.999), lambda v: (-np.log10(1 - v) - 1) / 2),
    (LogInteger(low=16, high=4096), lambda v: (np.log10(v) - np.log10(15.5)) / (np.log10(4096.5) - np.log10(15.5))),
]
COUNTED: list[Any] = [
    Integer(low=50, high=53),
    Integer(low=1, high=10, step=3),
    Linear(low=0.1, high=0.5, step=0.1),
    Choice(values=("a", "b", "c")),
]


@pytest.mark.parametrize(("space", "share"), SPACES, ids=lambda each: type(each).__name__)
def test_values_are_uniform_on_the_scale_of_the_space(space: Any, share: Any) -> None:
    found = share(draw(space, 5000, seed=1, path="a.b"))
    assert found.min() >= -1e-12 and found.max() <= 1 + 1e-12
    slack = 0.03 if isinstance(space, LogInteger) else 0.0  # 16 stands for all from 15.5 to 16.5
    for q in (0.1, 0.5, 0.9):
        assert abs(np.mean(found < q) - q) < 3 * np.sqrt(q * (1 - q) / 5000) + slack


@pytest.mark.parametrize("space", COUNTED, ids=said)
def test_values_that_can_be_counted_are_equally_likely_with_both_ends(space: Any) -> None:
    values, many = np.unique([at(space, share) for share in shares(4000, seed=0, path="units")], return_counts=True)
    whole = count(space)
    assert whole is not None and len(values) == whole
    assert [str(value) for value in values] == [str(value) for value in grid(space, 99)]
    assert np.all(np.abs(many / 4000 - 1 / whole) < 4 * np.sqrt(1 / whole / 4000))


@pytest.mark.parametrize("space", [*COUNTED, *(space for space, _ in SPACES)], ids=said)
def test_a_value_leads_back_to_its_share(space: Any) -> None:
    for share in (0.001, 0.3, 0.7, 0.999):
        value = at(space, share)
        assert (
            at(space, min(max(share_of(space, value), 0.0), 1 - 1e-9)) == pytest.approx(value, rel=1e-4)
            if not isinstance(value, str)
            else at(space, share_of(space, value)) == value
        )


@pytest.mark.parametrize(
    "space", [Linear(low=0, high=1), LogRandn(low=1e-4, high=1), Integer(low=0, high=9)], ids=lambda s: type(s).__name__
)
def test_more_trials_leave_the_first_as_they_were_and_paths_and_seeds_differ(space: Any) -> None:
    few, many = draw(space, 5, seed=0, path="a"), draw(space, 500, seed=0, path="a")
    assert few.tolist() == many[:5].tolist()
    assert few.tolist() != draw(space, 5, seed=1, path="a").tolist()
    assert few.tolist() != draw(space, 5, seed=0, path="b").tolist()


def test_the_randn_of_the_notes_leaves_its_range_two_times_in_three() -> None:
    values = draw(LogRandn(low=1e-4, high=1), 5000, seed=0, path="a")
    assert abs(np.mean((values >= 1e-4) & (values <= 1)) - 0.3413) < 0.02 and abs(np.mean(values > 1) - 0.5) < 0.02


def test_a_grid_is_even_on_the_scale() -> None:
    np.testing.assert_allclose(grid(Log(low=1e-4, high=1), 5), [1e-4, 1e-3, 1e-2, 1e-1, 1.0], rtol=1e-12)
    np.testing.assert_allclose(grid(OneMinus(low=0.9, high=0.999), 3), [0.9, 0.99, 0.999], rtol=1e-12)
    assert grid(LogInteger(low=16, high=256), 3) == [16, 64, 256]
    assert grid(Integer(low=1, high=3), 9) == [1, 2, 3]


def test_zooming_keeps_a_share_of_the_range_about_the_best_and_within_the_old_one() -> None:
    space = Log(low=1e-4, high=1)
    middle, edge = zoom(space, 1e-2, share=0.25), zoom(space, 0.9, share=0.25)
    assert (middle.low, middle.high) == pytest.approx((10**-2.5, 10**-1.5))
    assert (edge.low, edge.high) == pytest.approx((0.1, 1.0))
    assert zoom(Integer(low=0, high=100, step=10), 50, share=0.4) == Integer(low=30, high=70, step=10)
    assert zoom(Choice(values=("a", "b")), "a", share=0.1) == Choice(values=("a", "b"))
