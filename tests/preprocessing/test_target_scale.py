"""Targets in other units: training sees mean 0 and deviation 1, the reader their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.preprocessing import Fitted
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.program.model import Model


def test_the_training_targets_get_mean_0_and_deviation_1_and_come_back() -> None:
    y = np.random.default_rng(0).normal(4.5e5, 1e5, (200, 2)) * [1.0, 1e-3]
    scale = TargetScale.fit(y)
    scaled = scale.apply(y)
    np.testing.assert_allclose([scaled.mean(axis=0), scaled.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(scale.undo(scaled), y, rtol=1e-12)


def test_a_constant_target_stays_finite() -> None:
    scale = TargetScale.fit(np.full((5, 1), 7.0))
    assert scale.apply(np.full((2, 1), 7.0)).tolist() == [[0.0], [0.0]]


def test_a_checkpoint_carries_it_and_a_mapping_without_one_gives_none() -> None:
    scale = TargetScale.fit(np.array([[1.0], [4.0]]))
    restored = TargetScale.restore(scale.arrays())
    assert restored is not None and restored.undo(np.array([[1.0]])) == scale.undo(np.array([[1.0]]))
    assert TargetScale.restore({}) is None


def test_a_model_takes_and_gives_targets_in_their_own_units() -> None:
    config = pipeline.compose(["data.input_shape=[3]", "data.targets=1", "data.kind=diabetes", "architecture=mlp_small"])
    plain, scale = pipeline.compile(config), TargetScale(mean=np.array([100.0]), deviation=np.array([10.0]))
    scaled = Model(program=pipeline.compile(config), fitted=Fitted(steps=(), fitted=()), target_scale=scale)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)).astype(np.float32), rng.normal(size=(64, 1))
    own = 100 + 10 * y
    np.testing.assert_allclose(scaled.predict(x), 100 + 10 * plain.predict(x), rtol=1e-6)
    np.testing.assert_allclose(scaled.loss(x, own), plain.loss(x, y), rtol=1e-6)
    np.testing.assert_allclose(scaled.step(x, own), plain.step(x, y), rtol=1e-6)


def test_a_constant_whose_mean_is_rounded_has_deviation_1() -> None:
    y = np.full((193, 1), 14.62)
    assert y.std() > 0, "rounding"
    scale = TargetScale.fit(np.hstack([y, np.arange(193.0)[:, None]]))
    assert scale.deviation[0] == 1.0 and scale.deviation[1] > 50


def test_own_units_keep_the_digits_that_float32_has_not() -> None:
    scale = TargetScale(mean=np.array([1.7e9]), deviation=np.array([1.0]))
    own = scale.undo(np.array([[0.125], [0.25]], np.float32))
    assert own.dtype == np.float64 and own.tolist() == [[1.7e9 + 0.125], [1.7e9 + 0.25]]


def test_targets_far_from_0_are_predicted_to_a_thousandth_of_their_deviation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(400, 1))
    np.savez("time.npz", x=x, y=1.7e9 + x[:, 0])
    layers = "architecture.layers=[]"
    asked = ["data=npz", "data.path=time.npz", "architecture=mlp_small", layers, "tracking=none", "optimizer=adam", "training.epochs=60"]
    stop = ["training.batch_size=20", "optimizer.learning_rate=0.03", "schedule=cosine"]
    result = pipeline.train(pipeline.compose([*asked, *stop]), quiet=True)
    assert result.metrics["rmse/test"] < 1e-3 and result.metrics["r2/test"] > 0.999999
    prediction = result.program.predict(x)
    assert prediction.dtype == np.float64 and np.abs(prediction[:, 0] - (1.7e9 + x[:, 0])).max() < 1e-3
    assert np.array_equal(pipeline.load(result.folder).predict(x), prediction)
