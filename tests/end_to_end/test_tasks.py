from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.tasks.predict import encoded
from tests.end_to_end.conftest import Command

SMALL = ["architecture=mlp_small", "training.epochs=3", "training.batch_size=16", "tracking=none"]


@pytest.fixture
def table(work: Path) -> Path:
    """A CSV with a number, a category and a number to predict."""
    generator = np.random.default_rng(0)
    rows = [
        (f"{value:.3f}", "red" if index % 3 else "blue", f"{3 * value + index % 3:.3f}")
        for index, value in enumerate(generator.normal(size=120))
    ]
    path = work / "houses.csv"
    path.write_text("size,colour,price\n" + "".join(",".join(row) + "\n" for row in rows))
    return path


def test_evaluate_prints_and_keeps_metrics_classes_and_confusion(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "data=iris", "output=flowers")
    done = pipeline_command("task=evaluate", "run=flowers")
    assert done.returncode == 0, done.stderr
    assert "classes of the test part" in done.stdout and "versicolor" in done.stdout
    kept = json.loads((work / "flowers" / "evaluation.json").read_text())
    assert np.sum(kept["test"]["confusion"]) == 15 and np.sum(kept["train"]["confusion"]) == 120
    right = np.trace(np.array(kept["test"]["confusion"]))
    assert kept["metrics"]["accuracy/test"] == right / 15


def test_evaluate_counts_dead_units(work: Path, pipeline_command: Command) -> None:
    layers = "architecture.layers=[{kind: conv, channels: 6}, {kind: dense, units: 24}, {kind: dense, units: 8, activation: identity}]"
    common = ["training.epochs=1", "tracking=none", "data=digits", layers]
    pipeline_command(*common, "optimizer=sgd", "optimizer.learning_rate=1e-6", "initialization.bias_init=-1000", "output=dead")
    done = pipeline_command("task=evaluate", "run=dead")
    assert done.returncode == 0, done.stderr
    assert "note: 6 of 6 units of relu1 are dead: one value for all of 1,437 training rows" in done.stdout
    kept = json.loads((work / "dead" / "evaluation.json").read_text())
    assert kept["dead_units"] == {"relu1": [6, 6], "relu2": [24, 24]}
    pipeline_command(*common, "activation=leaky_relu", "output=alive")
    done = pipeline_command("task=evaluate", "run=alive")
    assert "are dead" not in done.stdout
    kept = json.loads((work / "alive" / "evaluation.json").read_text())
    assert list(kept["dead_units"].values()) == [[0, 6], [0, 24]]


def test_predict_writes_classes_and_probabilities_for_an_array(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "data=iris", "output=flowers")
    from sklearn.datasets import load_iris

    x = np.asarray(load_iris().data, np.float32)
    np.savez(work / "new.npz", x=x)
    done = pipeline_command("task=predict", "run=flowers", "data.path=new.npz", "output=predictions.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((work / "predictions.csv").read_text().splitlines()))
    probabilities = pipeline.load("flowers").predict(x)
    names = ["setosa", "versicolor", "virginica"]
    assert [row["class"] for row in rows] == [names[index] for index in probabilities.argmax(axis=1)]
    written = np.array([[float(row[f"probability_{name}"]) for name in names] for row in rows])
    assert np.array_equal(written.astype(np.float32), probabilities)


def test_a_table_goes_all_the_way_and_predictions_need_no_target(work: Path, pipeline_command: Command, table: Path) -> None:
    done = pipeline_command(*SMALL, "data=csv", "data.path=houses.csv", "data.target=price", "data.task=regression", "output=houses")
    assert done.returncode == 0, done.stderr
    assert "rmse" in done.stdout
    table.unlink()
    (work / "new.csv").write_text("colour,size\nred,0.5\nblue,-1\n")
    predicted = pipeline_command("task=predict", "run=houses", "data.path=new.csv", "output=predictions.csv")
    assert predicted.returncode == 0, predicted.stderr
    rows = list(csv.DictReader((work / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 2 and all(np.isfinite(float(row["price"])) for row in rows)


def test_predict_never_overwrites(work: Path, pipeline_command: Command) -> None:
    (work / "kept.csv").write_text("mine")
    refused = pipeline_command("task=predict", "run=any", "data.path=new.npz", "output=kept.csv")
    assert refused.returncode == 2
    assert refused.stderr == "error: output = kept.csv: exists already and is not overwritten; give another name or remove it\n"
    assert (work / "kept.csv").read_text() == "mine"


def test_explain_prints_and_writes_nothing(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command("task=explain", "+experiment=bn")
    assert done.returncode == 0, done.stderr
    assert "== layers ==" in done.stdout and "fc1" in done.stdout
    assert list(work.iterdir()) == []


def test_the_python_interface_trains_loads_and_predicts(work: Path) -> None:
    cfg = pipeline.compose([*SMALL, "data=wine"])
    result = pipeline.train(cfg, quiet=True)
    assert result.run_id is None and result.metrics["accuracy/test"] > 0.5 and len(result.history) == 3
    from sklearn.datasets import load_wine

    x = np.asarray(load_wine().data, np.float32)
    program = pipeline.load(result.folder)
    assert np.array_equal(program.predict(x), result.program.predict(x))
    assert program.parameters().keys() == pipeline.compile(cfg).parameters().keys()


def test_the_final_table_has_every_metric_and_those_of_each_epoch_are_chosen(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command(*SMALL, "data=wine", "training.metrics=[f1,roc_auc]", "output=wines")
    assert done.returncode == 0, done.stderr
    assert "f1/validation" in done.stdout.split("epoch 2/3")[1].split("\n")[0]
    for quantity in ("top_2_accuracy", "balanced_accuracy", "precision", "recall", "log_loss", "calibration_error"):
        assert quantity in done.stdout, quantity
    rows = list(csv.DictReader((work / "wines" / "classes.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["class_0", "class_1", "class_2"] and sum(float(row["rows"]) for row in rows) == 18
    assert pipeline_command("task=evaluate", "run=wines").returncode == 0
    kept = json.loads((work / "wines" / "evaluation.json").read_text())
    assert all(f"{name}/{part}" in kept["metrics"] for name in ("f1", "roc_auc", "log_loss") for part in ("train", "validation", "test"))
    assert [float(row["roc_auc"]) for row in rows] == [row["roc_auc"] for row in kept["test"]["by_class"]]


def test_an_npz_file_takes_columns_of_any_name() -> None:
    columns = {"file": np.array([1.5, 2.5]), "allow_pickle": np.array(["a", "b"], dtype=object), "größe (m)": np.arange(2)}
    with np.load(io.BytesIO(encoded(columns, ".npz"))) as found:
        assert found.files == list(columns)
        assert (
            found["file"].tolist() == [1.5, 2.5] and found["allow_pickle"].tolist() == ["a", "b"] and found["größe (m)"].tolist() == [0, 1]
        )


def test_a_file_in_utf8_is_read_so_whatever_the_training_file_was_in(work: Path, pipeline_command: Command) -> None:
    """München was taken for MÃ¼nchen, a town that the training does not have, and predicted in silence."""
    rows = "".join(f"{town},{size},{size * (2 if town == 'München' else 1)}\n" for size in range(40) for town in ("München", "Köln"))
    (work / "old.csv").write_text(f"town,size,price\n{rows}", encoding="cp1252")
    asked = ["data=csv", "data.path=old.csv", "data.target=price", "data.task=regression", "data.encoding=cp1252"]
    assert pipeline_command(*SMALL, *asked, "output=run").returncode == 0
    for name, encoding in (("a.csv", "cp1252"), ("b.csv", "utf-8")):
        (work / name).write_text("town,size\nMünchen,5\nKöln,6\n", encoding=encoding)
        done = pipeline_command("task=predict", "run=run", f"data.path={name}", f"output={name}.csv")
        assert done.returncode == 0, done.stderr
        assert ("note: b.csv is in UTF-8, not in cp1252 as the training file" in done.stdout) == (name == "b.csv")
    assert (work / "a.csv.csv").read_bytes() == (work / "b.csv.csv").read_bytes()
