"""task=export: files that are whole or not there, and sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pipeline
from pipeline import cli

SMALL = ["data=iris", "architecture=mlp_small", "training.epochs=1", "training.batch_size=16", "tracking=none", "output=run"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli.main(SMALL) == 0
    return tmp_path


def test_arrays_by_name_give_the_prediction(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=export", "run=run", "format=npz"]) == cli.main(["task=export", "run=run", "output=mine.safetensors"]) == 0
    arrays, same = dict(np.load(place / "run" / "model.npz")), load_file("mine.safetensors")
    assert json.loads(str(arrays["metadata.classes"])) == ["setosa", "versicolor", "virginica"]
    assert all(np.array_equal(arrays[name], same[name]) for name in same)
    x = np.random.default_rng(0).normal(size=(5, 4))
    shift, factor = (arrays[f"preprocessing.0.standardize.{name}"] for name in ("shift", "factor"))
    hidden = ((x - shift) * factor).astype(np.float32)
    for layer in ("fc1", "fc2", "fc3"):
        hidden = hidden @ arrays[f"{layer}.weight"] + arrays[f"{layer}.bias"]
        hidden = np.maximum(hidden, 0) if layer != "fc3" else hidden
    powers = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), pipeline.load("run").predict(x), atol=1e-6)


def test_a_module_of_pytorch_is_two_files(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=export", "run=run", "format=torch", "output=net.py"]) == 0
    text = Path("net.py").read_text()
    compile(text, "net.py", "exec")
    assert 'model = load("net.safetensors")' in text and "class Network(nn.Module):" in text
    assert "fc1.weight" in load_file("net.safetensors")
    assert "written to net.py and net.safetensors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["run=run"], "format = null: task=export writes a format; give format= onnx, torch, npz, safetensors"),
        (["run=run", "format=onxx"], "format = onxx: unknown format; did you mean onnx?"),
        (["run=run", "format=npz", "output=a.onnx"], "output = a.onnx: format=npz ends in .npz; rename it"),
        (
            ["run=run", "output=run/config.yaml/a.npz"],
            "output = run/config.yaml/a.npz: run/config.yaml is a file, no folder; give another name",
        ),
        (["format=npz"], "run = null: task=export works on a trained run; give run=FOLDER or run=MLFLOW_RUN_ID"),
    ],
)
def test_a_mistake_is_one_line(place: Path, capsys: pytest.CaptureFixture[str], asked: list[str], sentence: str) -> None:
    before = sorted(place.rglob("*"))
    capsys.readouterr()
    assert cli.main(["task=export", *asked]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
    assert sorted(place.rglob("*")) == before


def test_nothing_is_overwritten_and_other_tasks_have_no_format(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=export", "run=run", "format=npz"]) == 0
    capsys.readouterr()
    assert cli.main(["task=export", "run=run", "format=npz"]) == 2
    assert "error: output = run/model.npz: exists already and is not overwritten" in capsys.readouterr().err
    assert cli.main(["task=evaluate", "run=run", "format=npz"]) == 2
    assert capsys.readouterr().err == "error: format = npz: task=evaluate has one format; leave it out\n"
