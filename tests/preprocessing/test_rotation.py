"""PCA, whitening and ZCA against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import preprocessing
from pipeline.errors import ConfigError, DataError
from pipeline.preprocessing import Fitted, Preprocessing, shape_without_data
from pipeline.records import plain, read

GENERATOR = np.random.default_rng(7)
MIXED = GENERATOR.normal(size=(900, 12)) @ GENERATOR.normal(size=(12, 12)) + GENERATOR.normal(size=12)
IMAGES = MIXED.reshape(900, 2, 3, 2)

COMPONENTS = "must be a whole number of components, or a share of the variance above 0 and up to 1.0"
AXES = "no step reads it; it is for center, standardize, minmax, divide_by_variance"


def fit(x: np.ndarray, *steps: str, **settings: object) -> Fitted:
    return preprocessing.fit(Preprocessing(steps=steps, **settings), x, precision="float64")


def covariance(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    return np.cov(flat.T, bias=True)


@pytest.mark.parametrize("step", ["whiten", "zca"])
def test_the_covariance_of_whitened_training_rows_is_the_identity(step: str) -> None:
    white = fit(IMAGES, step, epsilon=0.0).apply(IMAGES)
    assert white.shape == (900, 12) if step == "whiten" else IMAGES.shape
    np.testing.assert_allclose(covariance(white), np.eye(12), atol=1e-10)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-10)


def test_the_covariance_of_principal_components_is_diagonal_and_falls() -> None:
    parts = covariance(fit(MIXED, "pca").apply(MIXED))
    np.testing.assert_allclose(parts - np.diag(np.diag(parts)), 0, atol=1e-10)
    assert (np.diff(np.diag(parts)) < 0).all()
    np.testing.assert_allclose(np.trace(parts), np.trace(covariance(MIXED)), rtol=1e-12)


def test_zca_is_symmetric_and_closer_to_the_rows_than_any_other_whitening() -> None:
    """The inverse root of the covariance (Kessy, Lewin & Strimmer 2018, equation 9)."""
    found = fit(MIXED, "zca", epsilon=0.0)
    basis = found.fitted[0]["basis"]
    np.testing.assert_array_equal(basis, basis.T)
    np.testing.assert_allclose(basis @ covariance(MIXED) @ basis, np.eye(12), atol=1e-10)
    centered = MIXED - MIXED.mean(axis=0)
    distance = ((found.apply(MIXED) - centered) ** 2).sum()
    for seed in range(20):
        turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(12, 12)))
        assert ((found.apply(MIXED) @ turn - centered) ** 2).sum() > distance
    assert ((fit(MIXED, "whiten", epsilon=0.0).apply(MIXED) - centered) ** 2).sum() > distance


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
def test_pca_keeps_the_asked_share_of_the_variance_with_the_fewest_components(share: float) -> None:
    kept = fit(MIXED, "pca", components=share).apply(MIXED)
    variances = np.sort(np.linalg.eigvalsh(covariance(MIXED)))[::-1]
    held = np.cumsum(variances) / variances.sum()
    count = kept.shape[1]
    assert held[count - 1] >= share - 1e-12
    assert count == 1 or held[count - 2] < share
    np.testing.assert_allclose(np.trace(np.atleast_2d(covariance(kept))) / variances.sum(), held[count - 1], rtol=1e-10)


def test_a_number_of_components_is_that_number_and_said() -> None:
    found = fit(IMAGES, "pca", components=3)
    assert found.apply(IMAGES).shape == (900, 3)
    variances = np.sort(np.linalg.eigvalsh(covariance(MIXED)))[::-1]
    share = 100 * variances[:3].sum() / variances.sum()
    assert found.notes == (f"pca: 3 of 12 components hold {share:.4g} % of the variance",)


def test_the_largest_entry_of_each_direction_is_positive() -> None:
    for x in (MIXED, -MIXED, MIXED[::-1]):
        basis = fit(x, "pca").fitted[0]["basis"]
        assert (basis[np.argmax(np.abs(basis), axis=0), np.arange(12)] > 0).all()
    np.testing.assert_allclose(fit(MIXED, "pca").fitted[0]["basis"], fit(-MIXED, "pca").fitted[0]["basis"], atol=1e-12)


def test_epsilon_is_added_to_each_variance() -> None:
    parts = fit(MIXED, "whiten", epsilon=0.5).apply(MIXED)
    variances = np.sort(np.linalg.eigvalsh(covariance(MIXED)))[::-1]
    np.testing.assert_allclose(np.diag(covariance(parts)), variances / (variances + 0.5), rtol=1e-10)


@pytest.mark.parametrize("step", ["whiten", "zca"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_directions_that_do_not_vary_become_0_and_are_said(step: str, epsilon: float) -> None:
    x = np.concatenate([MIXED, MIXED[:, :1] + MIXED[:, 1:2], np.full((900, 1), 0.1)], axis=1)
    found = fit(x, step, epsilon=epsilon)
    assert found.notes[-1] == f"{step}: 2 of 14 directions do not vary in the training part and become 0"
    other = x[:5] + 1000 * np.eye(14)[13]
    np.testing.assert_allclose(found.apply(other), found.apply(x[:5]), atol=1e-6)


def test_a_row_has_the_same_bits_alone_and_among_others() -> None:
    x = GENERATOR.normal(size=(333, 784)).astype(np.float32)
    found = preprocessing.fit(Preprocessing(steps=("whiten",), components=100), x)
    whole = found.apply(x)
    order = GENERATOR.permutation(333)
    np.testing.assert_array_equal(found.apply(x[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([found.apply(x[i : i + 1]) for i in range(0, 333, 37)]), whole[::37])


@pytest.mark.parametrize("steps", [("standardize", "pca"), ("pca", "standardize"), ("zca",), ("whiten", "zca")])
def test_what_is_restored_gives_the_same_bits_and_shape(steps: tuple[str, ...]) -> None:
    found = fit(IMAGES, *steps)
    restored = Fitted.restore(found.arrays(), steps, "float64")
    np.testing.assert_array_equal(restored.apply(IMAGES), found.apply(IMAGES))
    assert restored.shape((2, 3, 2)) == found.apply(IMAGES).shape[1:]


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError) as error:
        fit(IMAGES, "pca").apply(MIXED)
    rule = "preprocessing was fitted on rows of shape [2, 3, 2]; give rows of that shape"
    assert str(error.value) == f"x = rows of shape [12]: {rule}"


def test_the_shape_is_known_without_data_where_the_number_of_components_is() -> None:
    assert shape_without_data(Preprocessing(), (8, 8, 1)) == (8, 8, 1)
    assert shape_without_data(Preprocessing(steps=("zca",)), (8, 8, 1)) == (8, 8, 1)
    assert shape_without_data(Preprocessing(steps=("whiten",)), (8, 8, 1)) == (64,)
    assert shape_without_data(Preprocessing(steps=("pca", "standardize"), components=5), (8, 8, 1)) == (5,)
    assert shape_without_data(Preprocessing(steps=("pca",), components=0.9), (8, 8, 1)) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": ["pca"], "components": 1.5}, f"components = 1.5: {COMPONENTS}"),
        ({"steps": ["pca"], "components": 0}, f"components = 0: {COMPONENTS}"),
        ({"steps": ["zca"], "components": 3}, "components = 3: no step reads it; it is for pca, whiten"),
        ({"steps": ["pca"], "epsilon": 0.1}, "epsilon = 0.1: no step reads it; it is for whiten, zca"),
        ({"steps": ["scale"], "axes": "global"}, f"axes = global: {AXES}"),
    ],
)
def test_settings_that_no_step_reads_or_that_mean_nothing_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(Preprocessing, settings, at="preprocessing")
    assert str(error.value) == f"preprocessing.{sentence}"


def test_more_components_than_values_are_refused() -> None:
    with pytest.raises(ConfigError) as error:
        fit(MIXED, "pca", components=13)
    assert str(error.value) == "preprocessing.components = 13: a row of the data has 12 values; use at most 12"


def test_rows_that_do_not_vary_are_refused() -> None:
    with pytest.raises(DataError) as error:
        fit(np.full((50, 3), 0.1), "whiten")
    rule = "no value of the rows varies in the training part; use preprocessing=none"
    assert str(error.value) == f"preprocessing.steps = whiten: {rule}"


@pytest.mark.parametrize("components", [1, 1.0, 0.5, None])
def test_one_component_and_the_whole_variance_stay_apart(components: object) -> None:
    config = read(Preprocessing, {"steps": ["pca"], "components": components}, at="preprocessing")
    assert read(Preprocessing, plain(config), at="preprocessing") == config
    assert type(config.components) is type(components)
