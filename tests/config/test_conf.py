"""The files of conf/: every one composes, says what it is, and the named experiments are what they claim."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from pipeline.config import spec
from pipeline.config.compose import compose
from pipeline.config.experiment import Architecture
from pipeline.config.overrides import CONF, groups
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.dense import Dense
from pipeline.layers.normalization import NORMALIZATIONS, BatchNormalization
from pipeline.optimizers import OPTIMIZERS
from pipeline.optimizers.adam import Adam
from pipeline.recipe.initialization import INITIALIZATIONS
from pipeline.recipe.losses import LOSSES
from pipeline.recipe.schedules import SCHEDULES
from tests.refusal import refused

OPTIONS = [(group, option) for group, options in groups().items() for option in options if group != "sweep"]
TABLES = {
    "initialization": INITIALIZATIONS,
    "normalization": NORMALIZATIONS,
    "activation": ACTIVATIONS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
}


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_every_option_composes_to_an_experiment_that_reads_back(group: str, option: str) -> None:
    config = compose([f"{group}={option}"])
    got = spec.experiment(config)
    assert spec.experiment(spec.to_plain(got)) == got
    if group in TABLES:
        kind = option if option in TABLES[group] else "formula"
        assert type(getattr(got, group)) is TABLES[group][kind]


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONF)))
def test_every_file_says_first_what_it_is(file: Path) -> None:
    said = next(line for line in file.read_text().splitlines() if not line.startswith("# @package"))
    assert said.startswith("# ")
    assert len(said) > 6


@pytest.mark.parametrize("option", groups()["experiment"])
def test_every_experiment_starts_with_its_command_and_bears_its_name(option: str) -> None:
    lines = (CONF / "experiment" / f"{option}.yaml").read_text().splitlines()
    assert lines[:2] == ["# @package _global_", f"# python -m pipeline +experiment={option}"]
    assert compose([f"experiment={option}"])["tracking"]["experiment"] == option


@pytest.mark.parametrize("group", TABLES)
def test_every_kind_has_an_option(group: str) -> None:
    assert set(TABLES[group]) <= set(groups()[group])


def test_what_a_plain_dict_leaves_out_is_what_the_command_line_has() -> None:
    assert spec.experiment({}) == spec.experiment(compose())


def test_bn_on_fashion_mnist_is_the_recipe_of_the_comparison() -> None:
    got = spec.experiment(compose(["+experiment=bn", "data=fashion_mnist", "data.root=somewhere", "training.epochs=10"]))
    assert got.architecture == Architecture(layers=(Dense(units=512), Dense(units=512)), head="auto")
    assert got.normalization == BatchNormalization(position="pre", momentum=0.9, epsilon=1e-5, statistics="ema")
    assert (got.regularization.dropout, got.regularization.keep_prob) == ("inverted", 0.8)
    assert (got.regularization.l2, got.regularization.weight_decay) == (0.0, 0.0)
    assert got.optimizer == Adam(learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8)
    assert (got.training.batch_size, got.training.epochs) == (128, 10)
    assert (got.data.kind, got.data.root) == ("fashion_mnist", "somewhere")


def test_an_experiment_yields_to_the_command_line() -> None:
    got = spec.experiment(
        compose(["+experiment=dropout", "initialization=xavier", "optimizer=momentum", "optimizer.learning_rate=0.05", "activation=tanh"])
    )
    assert got.optimizer == OPTIMIZERS["momentum"](learning_rate=0.05)
    assert got.initialization == INITIALIZATIONS["xavier"]()
    assert got.activation == ACTIVATIONS["tanh"]()


def test_compose_works_from_any_directory_and_leaves_no_global_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose(["seed=3"])["seed"] == 3
    assert not GlobalHydra.instance().is_initialized()
    assert os.listdir(tmp_path) == []


def test_compose_within_another_hydra_application_gives_its_state_back(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose(["seed=3"])["seed"] == 3
        assert hydra_compose("other").a == 1


def test_compose_raises_the_sentences_of_the_command_line_and_leaves_no_global_state() -> None:
    for overrides, sentence in [
        (["optimizer=adamm"], "optimizer = adamm: unknown option; did you mean adam?"),
        (["optimizer.lr=1"], "optimizer.lr = 1: unknown key; did you mean learning_rate?"),
        (["seed=0,1"], "seed = 0,1: one run takes one value; add -m for a sweep, or write [a,b] for a list"),
    ]:
        with refused(sentence):
            compose(overrides)
        assert not GlobalHydra.instance().is_initialized()
    with refused('overrides = seed=1: must be a list; write compose(["seed=1"])'):
        compose("seed=1")
