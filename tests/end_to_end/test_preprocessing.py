"""Preprocessing that changes the shape of a row, from training to the predictions of a run read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.data import Data, load
from pipeline.errors import ConfigError
from pipeline.tasks import evaluate, trained
from pipeline.tasks.trained import find

SMALL = ["architecture=mlp_small", "training.epochs=5", "training.batch_size=16", "regularization=none", "tracking=none"]
CHOICES = [
    (["preprocessing=pca", "preprocessing.components=20"], (20,)),
    (["preprocessing=pca", "preprocessing.components=0.9"], (21,)),
    (["preprocessing=whiten"], (64,)),
    (["preprocessing=zca"], (8, 8, 1)),
    (["preprocessing.axes=channel"], (8, 8, 1)),
    (["preprocessing.steps=[scale,whiten,standardize]", "preprocessing.components=5"], (5,)),
]


@pytest.mark.parametrize(("overrides", "row"), CHOICES, ids=[" ".join(overrides) for overrides, _ in CHOICES])
def test_a_run_takes_raw_rows_whatever_its_preprocessing_makes_of_them(work: Path, overrides: list[str], row: tuple[int, ...]) -> None:
    cfg = pipeline.compose([*SMALL, "data=digits", *overrides])
    result = pipeline.train(cfg, quiet=True)
    assert result.program.structure.network.input_shape == row
    assert result.metrics["accuracy/test"] > 0.8
    data = load(Data(kind="digits"), seed=0)
    program = pipeline.load(result.folder)
    assert np.array_equal(program.predict(data.test.x), result.program.predict(data.test.x))
    one = np.concatenate([program.predict(data.test.x[n : n + 1]) for n in range(5)])
    np.testing.assert_allclose(one, program.predict(data.test.x)[:5], rtol=1e-5, atol=1e-7)
    stored = trained.load(find(str(result.folder)))
    assert evaluate.evaluated(stored, data)["metrics"]["accuracy/test"] == result.metrics["accuracy/test"]
    compiled = pipeline.compile(cfg)
    assert (compiled.structure.network.input_shape, compiled.digest) == (row, result.program.digest)


def test_a_convolution_of_rows_made_of_components_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        pipeline.compile(pipeline.compose(["architecture=cnn_small", "data=digits", "preprocessing=whiten"]))
    rule = "needs images [height, width, channels]; use a reshape layer"
    assert str(error.value) == f"architecture.layers[0].input = [64]: {rule}"
