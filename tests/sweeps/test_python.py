"""pipeline.sweep: a config and a space from Python, the trials as a table, the best program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.errors import PipelineError, RunError
from pipeline.tracking.folder import run_folders
from tests.refusal import refused

WORDS = (
    "data=iris",
    "architecture=linear",
    "training=fixed",
    "regularization=none",
    "training.epochs=2",
    "training.batch_size=32",
    "tracking=none",
)


@pytest.fixture
def cfg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    return pipeline.compose(WORDS)


def test_every_combination_is_run_and_is_what_the_command_line_runs(
    cfg: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = pipeline.sweep(cfg, {"optimizer.learning_rate": np.array([0.1, 0.01]), "optimizer": ["sgd", "adam"]}, seeds=2, quiet=True)
    assert capsys.readouterr().out == ""
    table = found.table
    assert len(table) == 8 and list(table.columns[:3]) == ["optimizer.learning_rate", "optimizer", "seed"]
    assert table["accuracy/validation"].is_monotonic_decreasing and set(table["status"]) == {"finished"}
    assert set(table["optimizer.learning_rate"]) == {0.1, 0.01} and table.index.name == "job"
    (tmp_path / "other").mkdir()
    assert cli.main(["-m", *WORDS, "optimizer=sgd,adam", "optimizer.learning_rate=0.1,0.01", "seed=0,1", "hydra.sweep.dir=other/s"]) == 0
    theirs = [folder for folder in run_folders(tmp_path / "runs") if "_sweep" not in folder.name][8:]
    losses = {pipeline.load(folder).parameters()["fc1.weight"].tobytes() for folder in theirs}
    assert losses == {pipeline.load(trial.folder).parameters()["fc1.weight"].tobytes() for trial in found.trials}


def test_the_best_program_predicts_and_arms_are_a_table(cfg: dict[str, Any]) -> None:
    found = pipeline.sweep(cfg, {"optimizer.learning_rate": "log(1e-3, 1)"}, trials=4, method="sobol", seeds=(3, 4), quiet=True)
    assert len(found.trials) == 8 and {trial.params["seed"] for trial in found.trials} == {"3", "4"}
    assert found.best.predict(np.zeros((2, 4))).shape == (2, 3)
    arms = found.arms
    assert len(arms) == 4 and arms["accuracy/validation mean"].is_monotonic_decreasing and arms["runs"].tolist() == [2] * 4
    assert np.isnan(arms["minus best"][0]) and (arms["minus best"][1:] <= 0).all()


def test_the_same_folder_goes_on_and_another_config_is_refused(cfg: dict[str, Any]) -> None:
    space = {"optimizer.learning_rate": [0.1, 0.01]}
    first = pipeline.sweep(cfg, space, folder="s", quiet=True)
    count = len(list(run_folders(Path("runs"))))
    again = pipeline.sweep(cfg, space, folder="s", quiet=True)
    assert again.table.equals(first.table) and len(list(run_folders(Path("runs")))) == count
    other = pipeline.compose([*WORDS, "training.batch_size=16"])
    with pytest.raises(
        PipelineError, match=r"^folder = s: holds a sweep of another config \(training.batch_size 32 -> 16\); give another folder$"
    ):
        pipeline.sweep(other, space, folder="s", quiet=True)
    assert cli.main(["-m", "resume=s"]) == 2


def test_mistakes_are_one_sentence_before_anything_is_run(cfg: dict[str, Any], tmp_path: Path) -> None:
    with refused("hydra.sweeper.trials = null: optimizer.learning_rate is a range; give trials=64, or method='grid' with values"):
        pipeline.sweep(cfg, {"optimizer.learning_rate": "log(1e-3, 1)"})
    with refused("optimizer.learning_rat = 0.1: unknown key; did you mean learning_rate?"):
        pipeline.sweep(cfg, {"optimizer.learning_rat": [0.1, 0.2]})
    with refused("sweep.metric = acuracy/validation: no metric of a training; did you mean accuracy/validation?"):
        pipeline.sweep(cfg, {"optimizer.learning_rate": [0.1]}, settings={"metric": "acuracy/validation"})
    with refused("hydra.sweeper.pruning = halving: unknown key; did you mean prune?"):
        pipeline.sweep(cfg, {"optimizer.learning_rate": [0.1, 0.2]}, search={"pruning": "halving"})
    assert list(tmp_path.iterdir()) == []


def test_overrides_and_paths_in_place_of_a_config_are_refused_with_what_to_write() -> None:
    sentence = 'cfg = {}: overrides are no config; give pipeline.compose(["data=iris"])'
    for call in (pipeline.train, pipeline.compile, lambda given: pipeline.sweep(given, {}), lambda given: pipeline.stack([given])):
        with refused(sentence.format("['data=iris']")):
            call(["data=iris"])
        with refused(sentence.format("data=iris")):
            call("data=iris")
    with refused(sentence.format("data=iris")):
        pipeline.stack(["data=iris"])
    hint = 'write {"data": {"kind": "iris"}}, or pipeline.compose(["data=iris"])'
    with refused(f"data.kind = iris: the keys of a config are single words; {hint}"):
        pipeline.train({"data.kind": "iris"})


def test_a_config_of_another_task_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused("task = predict: pipeline.train trains; write pipeline.load(RUN).predict(x); leave task out to train"):
        pipeline.train({"task": "predict"})
    with refused("task = data: pipeline.train trains; give python -m pipeline task=data; leave task out to train"):
        pipeline.train({"task": "data"})
    assert list(tmp_path.iterdir()) == []


def test_a_method_whose_package_is_missing_is_refused_before_the_first_trial(
    cfg: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method, package in (("tpe", "optuna"), ("cma_es", "cmaes")):
        monkeypatch.setitem(sys.modules, package, None)
        hint = "pip install 'caviar-pipeline[search]', or use hydra.sweeper.method=sobol"
        with refused(f"hydra.sweeper.method = {method}: needs the package {package}; {hint}"):
            pipeline.sweep(cfg, {"optimizer.learning_rate": "log(1e-3, 1)"}, trials=4, method=method)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_without_a_finished_trial_has_a_table_and_no_best(cfg: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    cfg = {**cfg, "optimizer": {"kind": "sgd", "learning_rate": 0.1}}
    found = pipeline.sweep(cfg, {"optimizer.learning_rate": [1e38, 2e38]}, quiet=True)
    assert set(found.table["status"]) == {"failed"}
    with pytest.raises(RunError, match="no trial finished"):
        _ = found.best


def test_seeds_alone_are_a_sweep_and_may_be_numbers_of_numpy(cfg: dict[str, Any]) -> None:
    found = pipeline.sweep(cfg, {}, seeds=np.int64(2), quiet=True)
    assert list(found.table["seed"].sort_values()) == [0, 1]
    again = pipeline.sweep(cfg, {"seed": range(2)}, quiet=True)
    assert sorted(again.table["loss/train"]) == sorted(found.table["loss/train"])


@pytest.mark.parametrize(
    ("space", "more", "line"),
    [
        ({"optimizer.learning_rate": [0.1]}, {"seeds": 0}, "seeds = 0: there is none; give seeds=5, or seeds=[0, 1, 2]"),
        (
            {"optimizer.learning_rate": [0.1]},
            {"seeds": "0,1"},
            "seeds = 0,1: must be a whole number, or a list of them; give seeds=5, or seeds=[0, 1, 2]",
        ),
        (
            {"optimizer": {"learning_rate": [0.1]}},
            {},
            "hydra.sweeper.space.optimizer = {'learning_rate': [0.1]}: has no kind; a path within it is written optimizer.learning_rate, "
            "and a mapping of a space has a kind: {kind: log, low: 1e-4, high: 1}",
        ),
    ],
)
def test_seeds_and_spaces_that_are_none_are_refused(cfg: dict[str, Any], space: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(PipelineError) as found:
        pipeline.sweep(cfg, space, **more, quiet=True)
    assert str(found.value) == line
