"""Several labels a row, from the file to the predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import cli

SMALL = ["data=npz", "data.path=rows.npz", "architecture=mlp_small", "architecture.layers=[{kind: dense, units: 16}]", "tracking=none"]
QUICK = ["training.batch_size=20", "optimizer.learning_rate=0.01"]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    np.savez("rows.npz", x=x, y=np.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 0, x[:, 3] > 0.5], axis=1).astype(np.int64))
    return tmp_path


def test_it_is_trained_measured_and_predicted(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = pipeline.train(pipeline.compose([*SMALL, *QUICK, "training.epochs=30"]), quiet=True)
    assert result.metrics["accuracy/test"] > 0.9 and result.metrics["roc_auc/test"] > 0.95
    assert {"exact_match/test", "precision/test", "recall/test", "f1/test", "log_loss/test"} <= result.metrics.keys()
    assert (result.folder / "classes.csv").read_text().splitlines()[0] == "class,precision,recall,f1,roc_auc,rows"

    assert cli.main(["task=evaluate", f"run={result.folder}"]) == 0
    told = json.loads((result.folder / "evaluation.json").read_text())
    assert told["classes"] == ["0", "1", "2"] and len(told["test"]["by_class"]) == 3 and "confusion" not in told["test"]
    assert told["metrics"]["accuracy/test"] == result.metrics["accuracy/test"]
    assert "labels of the test part" in capsys.readouterr().out

    assert cli.main(["task=predict", f"run={result.folder}", "data.path=rows.npz", "output=told.csv"]) == 0
    with (work / "told.csv").open() as file:
        rows = list(csv.DictReader(file))
    probability = pipeline.load(result.folder).predict(np.load("rows.npz")["x"])
    assert probability.shape == (600, 3)
    assert list(rows[0]) == ["label_0", "label_1", "label_2", "probability_0", "probability_1", "probability_2"]
    np.testing.assert_array_equal([[float(row[f"probability_{c}"]) for c in range(3)] for row in rows], probability)
    np.testing.assert_array_equal([[row[f"label_{c}"] == "1" for c in range(3)] for row in rows], probability >= 0.5)


def test_its_checks_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=check", *SMALL, *QUICK, "activation=tanh", "initialization=xavier", "check.steps=800"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "= ln 2, from 0.5 to 3 times" in out and "labels right" in out


def test_early_stopping_watches_a_metric_of_labels() -> None:
    stop = "training.early_stopping={metric: exact_match/validation, patience: 2}"
    result = pipeline.train(pipeline.compose([*SMALL, *QUICK, "training.epochs=4", stop]), quiet=True)
    assert all("exact_match/validation" in epoch for epoch in result.epochs)
