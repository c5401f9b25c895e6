"""task=export: files that are whole or not there, and sentences."""

from __future__ import annotations

import ast
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


def test_a_module_names_what_the_columns_of_a_table_become_and_each_format_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{row % 7}{'' if row % 9 else '.5'},{('Bern', 'Basel')[row % 2]},2024-01-{row % 28 + 1:02d},{'ab'[row % 3 > 0]}"
        for row in range(60)
    ]
    Path("t.csv").write_text("size,town,day,y\n" + "\n".join(rows) + "\n")
    assert cli.main(["data=table", "data.path=t.csv", "data.target=y", *SMALL[1:]]) == 0
    capsys.readouterr()
    assert [cli.main(["task=export", "run=run", f"format={name}"]) for name in ("torch", "safetensors", "npz")] == [0, 0, 0]
    note = "note: x has 4 columns, what the table's become: INPUTS in model.py names each and says how; format=onnx takes"
    assert note in capsys.readouterr().out
    text = Path("run/model.py").read_text()
    inputs = [ast.literal_eval(line.value) for line in ast.parse(text).body if isinstance(line, ast.Assign)][-1]
    assert inputs == ["size", "town=Basel", "town=Bern", "day"]
    assert "x [N, 4], the numbers of INPUTS -> probabilities" in text and '"town=Bern",  # 1 where the cell is this word, else 0\n' in text
    assert '"day",  # days since 1970-01-01; 2024-' in text
    assert {each.name for each in Path("run").glob("*.safetensors")} >= {"model.safetensors", "arrays.safetensors"}


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
