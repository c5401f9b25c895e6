"""data.task=reconstruction: every row is its own target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import data
from pipeline.config.compose import compose
from pipeline.config.spec import experiment
from pipeline.data import Data, DataShape
from pipeline.errors import ConfigError
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.training.scores import SCORES, undefined
from tests.refusal import refused

DIGITS = Data(kind="digits", task="reconstruction")


def test_the_targets_are_the_inputs_and_the_rows_those_of_the_classes() -> None:
    found, classes = data.load(DIGITS, seed=3), data.load(Data(kind="digits"), seed=3)
    assert (found.task, found.class_names) == ("reconstruction", ())
    assert found.shape == DataShape(input_shape=(8, 8, 1), targets=64) == data.describe(DIGITS)
    for part, labelled in ((found.train, classes.train), (found.validation, classes.validation), (found.test, classes.test)):
        np.testing.assert_array_equal(part.rows, labelled.rows)
        np.testing.assert_array_equal(part.y.reshape(part.x.shape), part.x)
    assert np.shares_memory(found.train.x, found.train.y)
    assert found.notes[-1] == "the targets are the inputs: labels are not learned"


def test_a_shape_of_ones_own_needs_no_data() -> None:
    found = data.describe(Data(kind="npz", task="reconstruction", input_shape=(4, 4, 3)))
    assert found == DataShape(input_shape=(4, 4, 3), targets=48)


def test_numbers_as_targets_are_left_behind_too() -> None:
    assert data.load(Data(kind="diabetes", task="reconstruction"), seed=0).shape == DataShape(input_shape=(10,), targets=10)


@pytest.mark.parametrize(("overrides", "sentence"), [
    (["data.classes=10"], "data.classes = 10: data.task is reconstruction, each row is its own target; leave it null"),
    (["data.targets=64"], "data.targets = 64: data.task is reconstruction, each row is its own target; leave it null"),
])  # fmt: skip
def test_declared_targets_are_refused(overrides: list[str], sentence: str) -> None:
    with refused(sentence):
        data.describe(experiment(compose(["data.task=reconstruction", *overrides])).data)


def test_a_loss_for_classes_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["data.task=reconstruction", "loss=softmax_cross_entropy"])
    assert str(caught.value) == "loss.kind = softmax_cross_entropy: needs classes, and data.task is reconstruction; use loss=auto"


def test_targets_do_not_move_with_augmented_images() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["data.task=reconstruction", "augmentation.flip=0.5"])
    expected = "augmentation.flip = 0.5: data.task is reconstruction, and the targets would stay where they are; use augmentation=none"
    assert str(caught.value) == expected


def test_all_pixels_share_one_scale() -> None:
    y = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 5.0, 0.0] + [0.0, 9.0, 7.0]
    scale = TargetScale.fit(y, together=True)
    np.testing.assert_allclose([scale.mean[0], scale.deviation[0]], [y.mean(), y.std()])
    scaled = scale.apply(y)
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(scale.undo(scaled), y, atol=1e-12)
    assert scale.note.startswith(f"targets standardized (mean {y.mean():.6g}, deviation {y.std():.6g})")


def test_only_the_rows_of_a_call_are_scaled_and_the_bits_stay() -> None:
    config = compose(["architecture=mlp_small", "data=diabetes"])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 10)), 100 + rng.normal(size=(40, 1))
    order = np.array([[7, 3, 7, 30], [3, 1, 0, 30]])
    programs, scale = [pipeline.compile(config) for _ in range(3)], TargetScale.fit(y)
    whole = programs[0].run(x, scale.apply(y), order)
    np.testing.assert_array_equal(programs[1].run(x, scale.view(y), order), whole)
    spoiled = np.where(np.isin(np.arange(40), order)[:, None], y, np.nan)
    np.testing.assert_array_equal(programs[2].run(x, scale.view(spoiled), order), whole)


def test_r2_weighted_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(2)
    y = rng.normal(size=(30, 4)) * [0.1, 1.0, 3.0, 0.0]
    value = y + 0.3 * rng.normal(size=y.shape)
    expected = 1 - np.sum((value - y) ** 2) / np.sum((y - y.mean(0)) ** 2)
    assert SCORES["reconstruction"]["r2_weighted"](value, y) == pytest.approx(expected, rel=1e-12)
    varied, guess = y[:, :3], value[:, :3]
    weighted = r2_score(varied, guess, multioutput="variance_weighted")
    assert SCORES["reconstruction"]["r2_weighted"](guess, varied) == pytest.approx(weighted, rel=1e-12)
    assert undefined("r2_weighted", y, None) is None
    assert undefined("r2_weighted", np.ones((3, 2)), None) == "every target is constant there"


def test_the_autoencoder_of_the_digits_learns_its_input_and_comes_back_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ["+experiment=autoencoder", "training.epochs=12", "optimizer.learning_rate=0.005", "tracking=none"]
    result = pipeline.train(compose(overrides))
    assert result.metrics["r2_weighted/test"] > 0.6
    loaded, images = pipeline.load(result.folder), data.load(DIGITS, seed=0).test
    prediction = loaded.predict(images.x)
    assert prediction.shape == (len(images), 64)
    error = float(np.sqrt(np.mean((prediction - images.y) ** 2)))  # in grey values 0 to 16
    assert error == pytest.approx(result.metrics["rmse/test"], rel=1e-5) and error < 3.0
