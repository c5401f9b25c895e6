"""Values of a recipe that follow the rows of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.config import spec
from pipeline.config.automatic import settled
from pipeline.config.experiment import Experiment
from pipeline.data import Dataset, DataShape
from pipeline.data.dataset import Part
from pipeline.errors import ConfigError
from pipeline.layers.dense import Dense
from pipeline.training.settings import EarlyStopping
from tests.refusal import refused

DEFAULT = ("architecture.layers[0].units", "architecture.layers[1].units")
TRAINING = ("training.batch_size", "training.epochs", "training.early_stopping")


def dataset(rows: int, *, shape: tuple[int, ...] = (4,), validation: int = 10, task: Any = "classification") -> Dataset:
    def part(count: int) -> Part:
        return Part(x=np.zeros((count, *shape), np.uint8), y=np.zeros(count, np.int32), rows=np.arange(count))

    known = DataShape(input_shape=shape, classes=2) if task == "classification" else DataShape(input_shape=shape, targets=1)
    return Dataset(name="d", task=task, shape=known, train=part(rows), validation=part(validation), test=part(0), fingerprint="")


def given(*overrides: str) -> Experiment:
    return spec.experiment(pipeline.compose(list(overrides)))


def made(rows: int, *overrides: str, **facts: Any) -> Experiment:
    return settled(given(*overrides), dataset(rows, **facts))[0]


@pytest.mark.parametrize(
    ("rows", "units", "batch", "epochs", "patience", "decay"),
    [
        (5, 64, 5, 6000, 3000, 3.0),
        (120, 64, 8, 400, 200, 3.0),
        (720, 64, 16, 134, 67, 0.972),
        (1437, 64, 32, 137, 35, 0.487),
        (10_000, 128, 64, 39, 8, 0.3),
        (100_000, 512, 256, 20, 5, 0.03),
    ],
)
def test_the_recipe_follows_the_rows(rows: int, units: int, batch: int, epochs: int, patience: int, decay: float) -> None:
    got = made(rows)
    assert got.architecture.layers == (Dense(units=units), Dense(units=units))
    assert (got.training.batch_size, got.training.epochs, got.regularization.weight_decay) == (batch, epochs, decay)
    assert got.training.early_stopping == EarlyStopping(patience=patience)
    assert got.automatic == ()


def test_it_is_told_with_the_rows() -> None:
    (note,) = settled(given(), dataset(1437))[1]
    assert note == (
        "automatic for 1,437 training rows: 64 units a layer, batches of 32, 137 epochs (6,028 steps), "
        "ended after 35 without a better loss/validation, the best weights kept, weight decay 0.487"
    )


def test_what_is_given_stays() -> None:
    got = made(1437, "architecture=mlp_small", "training.batch_size=100", "training.epochs=3", "regularization.weight_decay=0.1")
    assert got == replace(
        given("architecture=mlp_small", "training.batch_size=100", "training.epochs=3", "regularization.weight_decay=0.1"), automatic=()
    )
    assert got.training.early_stopping is None
    assert settled(got, dataset(100)) == (got, [])
    one = made(1437, "architecture.layers[1].units=7", "training.early_stopping.patience=3")
    assert [layer.units for layer in one.architecture.layers if isinstance(layer, Dense)] == [64, 7]
    assert (one.training.early_stopping, one.training.epochs) == (EarlyStopping(patience=3), 137)


@pytest.mark.parametrize("name", ["bn", "dropout", "baseline", "cnn", "autoencoder", "batch_budget", "pooling", "random_search"])
def test_an_experiment_with_a_recipe_of_its_own_has_nothing_automatic(name: str) -> None:
    assert given(f"+experiment={name}").automatic == ()


def test_images_keep_wide_layers_and_convolutions_their_length() -> None:
    got = made(1437, shape=(8, 8, 1))
    assert got.architecture == given("architecture=mlp").architecture
    cnn = made(1437, "architecture=cnn_small", shape=(8, 8, 1))
    assert (cnn.training.epochs, cnn.training.early_stopping, cnn.regularization.weight_decay) == (23, None, 0.0)


def test_decay_is_for_adam_alone_and_beside_no_other_regularization() -> None:
    for overrides in (
        ["optimizer=sgd"],
        ["optimizer=adamw"],
        ["regularization.l2=1e-4"],
        ["regularization=dropout"],
        ["architecture=linear"],
    ):
        assert made(200, *overrides).regularization.weight_decay == 0.0
    assert made(200, "optimizer=nadam").regularization.weight_decay == 3.0
    assert made(200, task="reconstruction").regularization.weight_decay == 0.0


def test_the_first_of_several_parts_of_the_rows_is_no_small_table() -> None:
    assert settled(given(), dataset(50), whole=False)[0].regularization.weight_decay == 0.3
    assert settled(given(), dataset(100_000), whole=False)[0].regularization.weight_decay == 0.03


def test_early_stopping_needs_a_validation_part_and_no_planned_schedule() -> None:
    assert made(200, validation=0).training.early_stopping is None
    assert made(200, "schedule=cosine").training.early_stopping is None


def test_a_budget_ends_the_training_in_place_of_the_epochs() -> None:
    assert made(200, "budget.steps=50").training.epochs is None
    assert made(200, "budget.seconds=5").training.epochs is None
    assert made(200, "budget.seconds=5", "schedule=cosine").training.epochs == 240


def test_without_data_the_stated_values_are_taken_and_auto_is_written() -> None:
    got = given()
    assert got.automatic == (*DEFAULT, *TRAINING, "regularization.weight_decay")
    assert replace(got, automatic=()) == Experiment()
    written = spec.to_plain(got)
    saving = {"keep": 1, "best": True, "every_seconds": None, "every_steps": None}
    assert written["training"] == {
        "epochs": "auto", "batch_size": "auto", "metrics": None, "train_rows": 1000, "early_stopping": "auto",
        "checkpoints": saving, "on_divergence": "stop", "restore": {"times": 3, "factor": 0.1}, "doctor": "auto", "accumulate": 1,
    }  # fmt: skip
    assert [layer["units"] for layer in written["architecture"]["layers"]] == ["auto", "auto"]
    assert spec.experiment(written) == got
    assert pipeline.compile(pipeline.compose()).batch_size == 64


def test_what_is_automatic_is_no_key() -> None:
    with refused("automatic = []: unknown key; give auto where the value would stand", ConfigError):
        pipeline.compose(["automatic=[]"])
