"""What MLflow's page of a run shows: names that tell runs apart, few parameters, few tags, the loss first; settings of the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.api import compose
from pipeline.config import automatic, spec
from pipeline.config.claims import claim
from pipeline.data import load
from pipeline.tasks.context import RunContext
from pipeline.tasks.page import data_of, named, params, result_note
from pipeline.tracking import page
from pipeline.tracking.journal import Machine, read_journal
from pipeline.tracking.provenance import provenance
from pipeline.tracking.settings import Tracking, from_environment
from pipeline.tracking.store import locate
from pipeline.tracking.tracker import start
from tests.tracking.conftest import CONFIG


@pytest.mark.parametrize(
    ("name", "step", "shown"),
    [
        ("loss/train", 3, ("loss/train", 3)),
        ("loss/validation", 3, ("loss/validation", 3)),
        ("accuracy/validation", 3, ("validation/accuracy", 3)),
        ("accuracy/train", 3, ("train/accuracy", 3)),
        ("f1/test", 20, ("test/f1", 0)),
        ("best/loss/validation", 0, ("best/loss/validation", 0)),
        ("learning_rate", 3, ("learning_rate", 3)),
        ("time/epoch_s", 3, ("time/epoch_s", 3)),
        ("rmse/price (€)", 3, ("rmse/price _", 3)),
    ],
)
def test_metrics_are_named_so_that_the_loss_comes_first(name: str, step: int, shown: tuple[str, int]) -> None:
    found = page.metric(name, step)
    assert found[0].startswith(shown[0]) and found[1] == shown[1]


def test_the_loss_is_the_first_section_of_all_that_a_training_measures() -> None:
    names = (
        "accuracy/train",
        "accuracy/validation",
        "calibration_error/test",
        "f1/validation",
        "loss/train",
        "loss/validation",
        "rmse/test",
    )
    assert sorted({page.metric(name, 1)[0].rpartition("/")[0] for name in names}) == ["loss", "test", "train", "validation"]


def test_the_tags_are_few() -> None:
    told = provenance(seed=0, command=["python", "-m", "pipeline"]) | {"pipeline.digest": "d", "pipeline.parameters": "3"}
    shown = page.tags(told)
    assert shown["pipeline.environment"].startswith("Caviar ") and ", Python 3." in shown["pipeline.environment"]
    assert len([name for name in shown if not name.startswith("mlflow.")]) <= 5 and shown["mlflow.user"]
    assert page.tags({"pipeline.commit": "abc", "pipeline.dirty": "true"}) == {"pipeline.commit": "abc with changes"}


def test_the_default_run_has_at_most_thirty_parameters_and_none_is_null() -> None:
    config = spec.experiment(compose([]))
    settled, _ = automatic.settled(config, load(config.data, seed=0))
    found = params(spec.to_plain(settled), RunContext())
    assert len(found) < 30 and "null" not in found.values() and found["architecture"] == "2 x dense 512"
    assert found["optimizer.learning_rate"] == "0.001" and found["log10.optimizer.learning_rate"] == "-3"


def test_a_deep_network_has_no_more_of_them_and_what_varies_in_a_sweep_is_there() -> None:
    plain = spec.to_plain(spec.experiment(compose(["architecture=resnet20"])))
    found = params(plain, RunContext(varied=("architecture.layers.0.channels=16", "preprocessing.epsilon=1e-5")))
    assert len(found) <= 30 and {"architecture.layers.0.channels", "preprocessing.epsilon"} <= set(found)


def test_the_arms_of_a_sweep_over_two_parameters_are_told_by_one_word() -> None:
    """MLflow's list of groups has room for some six letters."""
    plain = spec.to_plain(spec.experiment(compose([])))
    varied = ("optimizer.learning_rate=0.01", "activation=relu", "seed=3")
    assert params(plain, RunContext(varied=varied))["arm"] == ".01,relu"
    assert "arm" not in params(plain, RunContext(varied=varied[::2]))
    assert params(plain, RunContext(varied=("arm=zeros", *varied)))["arm"] == "zeros"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (("experiment=bn", "optimizer.learning_rate=0.01", "seed=3"), "bn learning_rate=0.01 seed=3"),
        (("experiment=bn",), "bn seed=3"),
        (("experiment=bn", "data.path=a/long/way/flats.csv", "tracking.kind=none", "output=x"), "bn path=flats.csv seed=3"),
    ],
)
def test_runs_are_told_apart_by_their_names(overrides: tuple[str, ...], name: str) -> None:
    assert named("bn", {"seed": 3}, RunContext(overrides=overrides)) == name
    assert named("bn", {"seed": 3}, RunContext(job=1, varied=("optimizer.learning_rate=0.1", "seed=3"))) == "bn learning_rate=0.1 seed=3"


def test_the_claim_of_an_experiment_is_the_head_of_its_file() -> None:
    assert claim(["experiment=bn"]) == "An MLP with batch norm and dropout 0.2, trained by Adam at 1e-3."
    assert "Expected: sigmoid last" in claim(["seed=1", "experiment=activation_zoo"])
    assert claim(["experiment=no_such"]) == claim([]) == ""


def test_the_description_of_a_run_that_is_over_begins_with_its_results() -> None:
    said = result_note("**bn seed=0**\n\nAn MLP.", {"loss/train": 0.1, "loss/test": 0.2, "accuracy/test": 0.9}, "trained 3 epochs")
    assert said == (
        "**bn seed=0**\n\n| | train | test |\n|---|---|---|\n| loss | 0.1 | 0.2 |\n| accuracy |  | 90.00 % |\n\ntrained 3 epochs\n\nAn MLP."
    )


def test_a_table_is_logged_with_its_columns_and_images_with_their_shape() -> None:
    iris, digits = (load(spec.experiment({"data": {"kind": kind}}).data, seed=0) for kind in ("iris", "digits"))
    columns = json.loads(data_of(iris, "iris.csv").schema)["mlflow_colspec"]
    assert [column["name"] for column in columns] == list(iris.feature_names) and len(data_of(iris, None).digest) <= 36
    (tensor,) = json.loads(json.loads(data_of(digits, None).schema)["mlflow_tensorspec"]["features"])
    assert tensor["tensor-spec"]["shape"] == [-1, 8, 8, 1]
    assert json.loads(data_of(digits, None).profile)["train rows"] == len(digits.train)


def test_what_the_environment_says_is_used_where_the_config_says_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@runs.example.org/")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team")
    store = locate(Tracking(), tmp_path)
    assert store is not None and (store.uri, store.experiment) == ("http://ann:secret@runs.example.org", "team")
    assert from_environment(Tracking()) == (
        "tracking as the environment says: MLFLOW_TRACKING_URI=http://ann:***@runs.example.org/, MLFLOW_EXPERIMENT_NAME=team"
    )
    own = locate(Tracking(uri="sqlite:///a.db", experiment="bn"), tmp_path)
    assert own is not None and (own.uri, own.experiment) == (f"sqlite:///{tmp_path}/a.db", "bn")
    assert from_environment(Tracking(uri="sqlite:///a.db", experiment="bn")) == from_environment(Tracking(kind="none")) == ""


def test_system_metrics_are_an_option(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.02")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    for asked in (True, False, None):
        tracker = start(Tracking(experiment="bn", system_metrics=asked), name="bn", config=CONFIG, project=project)
        tracker.finish("FINISHED", wait=0)
        samples = [event for event in read_journal(tracker.folder) if isinstance(event, Machine)]
        assert bool(samples) == (asked is not False)
        assert all(0 <= float(sample.values["system/cpu_utilization_percentage"]) <= 100 for sample in samples)
