from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.preprocessing import STEPS, Fitted, Preprocessing, fit
from pipeline.preprocessing.steps import Step
from pipeline.records import read

GENERATOR = np.random.default_rng(3)
X = GENERATOR.normal(5, 3, size=(700, 4, 3))


def fitted(*steps: str, x: np.ndarray = X, precision: str = "float64") -> Fitted:
    return fit(Preprocessing(steps=steps), x, precision=precision)


EXPECTED = {
    "center": X - X.mean(axis=0),
    "standardize": (X - X.mean(axis=0)) / X.std(axis=0),
    "minmax": (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0)),
    "scale": X / np.abs(X).max(),
    "divide_by_variance": (X - X.mean(axis=0)) / X.var(axis=0),
}


@pytest.mark.parametrize("step", EXPECTED)
def test_a_step_is_its_formula(step: str) -> None:
    np.testing.assert_allclose(fitted(step).apply(X), EXPECTED[step], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("step", STEPS)
def test_the_result_does_not_depend_on_how_the_rows_are_cut(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted(step)
    monkeypatch.setattr("pipeline.preprocessing.fitted.CHUNK_VALUES", 100)
    np.testing.assert_allclose(fitted(step).apply(X), whole.apply(X), rtol=1e-10, atol=1e-12)


AXES = {"feature": 0, "channel": (0, 1, 2), "global": None}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("step", ["center", "standardize", "minmax"])
def test_axes_say_what_shares_a_statistic(step: str, axes: str) -> None:
    x = GENERATOR.normal(5, 3, size=(50, 4, 3, 2)) * [1.0, 10.0]
    found = fit(Preprocessing(steps=(step,), axes=axes), x, precision="float64")
    over = {"axis": AXES[axes], "keepdims": True}
    shift = x.min(**over) if step == "minmax" else x.mean(**over)
    width = {"center": 1.0, "standardize": x.std(**over), "minmax": np.ptp(x, **over)}[step]
    np.testing.assert_allclose(found.apply(x), (x - shift) / width, rtol=1e-12, atol=1e-13)
    restored = Fitted.restore(found.arrays(), found.steps, "float64")
    np.testing.assert_array_equal(restored.apply(x), found.apply(x))


def test_channels_of_rows_without_channels_are_refused() -> None:
    with pytest.raises(ConfigError) as error:
        fit(Preprocessing(axes="channel"), np.ones((5, 30)))
    rule = "a row of the data has shape [30], which has no channels; use feature or global"
    assert str(error.value) == f"preprocessing.axes = channel: {rule}"


def test_division_by_the_variance_leaves_the_condition_number_as_bad_as_it_was() -> None:
    """x1 on [1, 1000] and x2 on [0, 1]: the slide divides by sigma^2, the lecture by sigma."""
    generator = np.random.default_rng(0)
    x = np.stack([generator.uniform(1, 1000, 1000), generator.uniform(0, 1, 1000)], axis=1)

    def condition(*steps: str) -> float:
        made = fitted(*steps, x=x).apply(x)
        return float(np.linalg.cond(made.T @ made))

    assert condition() == pytest.approx(2.45e6, rel=0.005)
    assert condition("center") == pytest.approx(9.2e5, rel=0.01)
    assert condition("standardize") == pytest.approx(1.02, abs=0.005)
    assert condition("divide_by_variance") == pytest.approx(condition("center"), rel=1e-6)
    assert condition("whiten") == pytest.approx(1.0, abs=1e-3)


def test_division_by_the_variance_is_said_to_be_an_error() -> None:
    said = "divide_by_variance: an error of the course notes; standardize divides by the deviation, the right form"
    assert fitted("divide_by_variance").notes == (said,)


def test_steps_are_fitted_on_what_the_step_before_gives() -> None:
    result = fitted("minmax", "center").apply(X)
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(result.max(axis=0) - result.min(axis=0), 1)


def test_other_rows_are_treated_with_the_statistics_of_the_training_rows() -> None:
    other = GENERATOR.normal(size=(9, 4, 3))
    np.testing.assert_allclose(fitted("standardize").apply(other), (other - X.mean(axis=0)) / X.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("step", ["center", "standardize", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8, -3.7])
def test_a_constant_feature_becomes_0(step: str, value: float) -> None:
    x = np.stack([np.full(1001, value), np.arange(1001)], axis=1)
    assert (fitted(step, x=x).apply(x)[:, 0] == 0).all()


@pytest.mark.parametrize("step", ["standardize", "minmax"])
def test_a_constant_feature_is_said_and_stays_0_where_it_varies_later(step: str) -> None:
    x = np.stack([np.full(50, 7.0), np.arange(50)], axis=1)
    result = fitted(step, x=x)
    assert result.notes == (f"{step}: 1 of 2 features are constant in the training part and become 0",)
    assert result.apply(np.array([[1e6, 0.0]]))[0, 0] == 0


def test_a_feature_that_differs_by_rounding_alone_counts_as_constant() -> None:
    x = np.array([[0.3], [0.1 + 0.2]] * 20)
    assert x[0] != x[1]
    assert (np.abs(fitted("standardize", x=x).apply(x)) < 1e-15).all()


def test_all_zeros_scale_to_zeros() -> None:
    assert (fitted("scale", x=np.zeros((5, 2))).apply(np.zeros((5, 2))) == 0).all()


def test_bytes_are_scaled_by_255() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(64, 2, 2, 1)
    np.testing.assert_allclose(fitted("scale", x=x, precision="float32").apply(x), x / 255.0, rtol=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    """Times in seconds: a float32 has steps of 128 there."""
    x = 1.7e9 + np.arange(2000.0)[:, None]
    result = fitted("standardize", x=x, precision="float32").apply(x)
    np.testing.assert_allclose(result, (x - x.mean()) / x.std(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("steps", [(), ("standardize",)])
def test_the_result_has_the_precision_of_the_program_and_the_input_is_untouched(
    precision: str, dtype: type, steps: tuple[str, ...]
) -> None:
    x = GENERATOR.integers(0, 255, size=(60, 5)).astype(dtype)
    before = x.copy()
    result = fitted(*steps, x=x, precision=precision).apply(x)
    assert result.dtype == precision
    assert not np.shares_memory(result, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_restored_gives_the_same_bits(precision: str) -> None:
    original = fitted("scale", "standardize", precision=precision)
    stored = {"weights": np.ones(3), **original.arrays()}
    assert sorted(original.arrays()) == ["0.scale.factor", "0.scale.shift", "1.standardize.factor", "1.standardize.shift"]
    restored = Fitted.restore(stored, ["scale", "standardize"], precision)
    np.testing.assert_array_equal(restored.apply(X), original.apply(X))


def test_no_rows_give_no_rows() -> None:
    assert fitted("standardize").apply(X[:0]).shape == (0, 4, 3)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError) as error:
        fitted("standardize").apply(np.zeros((2, 5)))
    assert str(error.value) == "x = rows of shape [5]: preprocessing was fitted on rows of shape [4, 3]; give rows of that shape"


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        read(Preprocessing, {"steps": ["scale", "standardise"]}, at="preprocessing")
    assert str(error.value) == "preprocessing.steps[1] = standardise: unknown step; did you mean standardize?"


def test_applying_needs_no_memory_beside_the_result() -> None:
    x = np.ones((60_000, 100), np.float32)
    result = fitted("standardize", x=GENERATOR.normal(size=(100, 100)), precision="float32")
    with traced() as peak:
        result.apply(x)
    assert peak() < 1.2 * x.nbytes


def test_fitting_makes_no_copy_of_the_rows() -> None:
    x = np.ones((60_000, 100), np.float32)
    with traced() as peak:
        fitted("scale", "standardize", x=x)
    assert peak() < 0.5 * x.nbytes


class traced:
    """The most memory, in bytes, allocated at once within the block."""

    def __enter__(self) -> object:
        tracemalloc.start()
        return lambda: self.peak

    def __exit__(self, *_: object) -> None:
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def test_a_new_step_is_one_function_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(chunks: object) -> tuple[dict[str, np.ndarray], list[str]]:
        return {"shift": np.zeros(()), "factor": np.asarray(0.5)}, []

    monkeypatch.setitem(STEPS, "halve", Step(halve))
    np.testing.assert_array_equal(fitted("halve").apply(X), X / 2)
