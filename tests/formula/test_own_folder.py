"""Formulas in a folder of one's own, and a sweep over their numbers: one structure, one compilation."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Target
from pipeline import cli
from pipeline.compiler import structure
from pipeline.config.spec import experiment, to_plain
from pipeline.errors import ConfigError
from pipeline.graph.ir import Graph
from pipeline.layers.dense import Dense
from pipeline.layers.formula import FormulaActivation
from pipeline.passes import PassReport
from pipeline.tracking.folder import run_folders
from pipeline.tracking.journal import end_of, read_journal

SMALL = ("architecture.layers=[{kind: dense, units: 12}]", "training.epochs=2", "tracking=none")
FILES = {
    "activation/mine.yaml": "# Mine.\nkind: formula\nforward: x * tanh(softplus(beta * x))\nvalues: {beta: 1.0}\n",
    "optimizer/mine.yaml": "# Mine.\nkind: formula\nlearning_rate: 0.01\nupdate: {step: learning_rate * sign(g)}\n",
    "experiment/mine.yaml": (
        "# @package _global_\n# Mine.\ndefaults:\n- override /activation: mine\n- override /optimizer: mine\ntracking: {experiment: mine}\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_of_ones_own_is_enough(project: Path) -> None:
    assert cli.main(["--config-dir", "mine", "activation=mine", "optimizer=mine", *SMALL]) == 0
    assert cli.main(["--config-dir", "mine", "+experiment=mine", *SMALL]) == 0
    assert [end.status for folder in run_folders(project / "runs") if (end := end_of(read_journal(folder)))] == ["FINISHED"] * 2


def test_a_sweep_over_a_number_compiles_once(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = 0
    compile_passes = structure.compile_passes

    def counted(graph: Graph, target: Target) -> tuple[Graph, tuple[PassReport, ...]]:
        nonlocal made
        made += 1
        return compile_passes(graph, target)

    monkeypatch.setattr(structure, "compile_passes", counted)
    words = ("--config-dir", "mine", "activation=mine", "optimizer=mine", *SMALL)
    assert cli.main([*words, "activation.values.beta=0.5"]) == 0
    one, made = made, 0
    assert cli.main(["-m", *words, "activation.values.beta=0.5,1.0,1.5,2.0"]) == 0
    assert "train together" in capsys.readouterr().out
    assert 0 < made <= one


def test_a_layer_may_name_an_option_that_is_a_formula() -> None:
    layers = [{"kind": "dense", "units": 2, "activation": "mish"}, {"kind": "dense", "units": 2, "activation": {"kind": "mish"}}]
    read = experiment({"architecture": {"layers": layers}})
    for layer in read.architecture.layers:
        assert isinstance(layer, Dense) and layer.activation == FormulaActivation(forward="x * tanh(softplus(x))")
    assert experiment(to_plain(read)) == read
    with pytest.raises(ConfigError, match=r"architecture.layers\[0\].activation = mishh: unknown kind"):
        experiment({"architecture": {"layers": [{"kind": "dense", "units": 2, "activation": "mishh"}]}})
