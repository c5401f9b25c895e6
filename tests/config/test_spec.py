"""The spec: what it reads, what it writes back, and the sentence of every rejection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment, to_plain
from pipeline.layers.dense import Dense
from pipeline.layers.normalization import BatchNormalization
from pipeline.optimizers import OPTIMIZERS
from pipeline.optimizers.momentum import Momentum
from tests.refusal import refused

EVERY = ", ".join(sorted(OPTIMIZERS))


def network(*layers: dict[str, Any], head: str | None = "auto") -> dict[str, Any]:
    return {"architecture": {"layers": [{"kind": "dense", "units": 4, **layer} for layer in layers], "head": head}}


def test_nothing_given_is_the_default_experiment() -> None:
    assert replace(experiment({}), automatic=()) == Experiment()


def test_a_word_is_a_kind_with_its_defaults() -> None:
    got = experiment({"optimizer": "momentum", **network({"normalization": "batch"})})
    assert got.optimizer == Momentum()
    assert got.architecture.layers == (Dense(units=4, normalization=BatchNormalization()),)


def test_a_dropout_that_gives_no_number_keeps_four_fifths_and_says_so() -> None:
    got = experiment({"regularization": {"dropout": "inverted"}, **network({"regularization": {"dropout": "traditional"}})})
    assert (got.regularization.keep_prob, got.regularization.rate) == (0.8, None)
    assert to_plain(got)["architecture"]["layers"][0]["regularization"]["keep_prob"] == 0.8
    assert experiment({}).regularization.keep_prob is None


def test_a_rate_is_what_is_left_out() -> None:
    for rate, keep_prob in ((0.2, 0.8), (0.9, 0.1), (0.0, 1.0), (0.35, 0.65)):
        got = experiment({"regularization": {"dropout": "inverted", "rate": rate}})
        assert got.regularization.kept == keep_prob and got.regularization.keep_prob is None
        assert experiment(to_plain(got)) == got


def test_a_head_of_none_reads_as_null() -> None:
    assert experiment(network({}, head="none")).architecture.head is None
    assert experiment(network({}, head=None)).architecture.head is None


def test_digits_may_name_a_run_or_an_experiment() -> None:
    got = experiment({"task": "evaluate", "run": 20260101, "tracking": {"experiment": 7}})
    assert (got.run, got.tracking.experiment) == ("20260101", "7")


def test_the_whole_config_is_written_in_the_order_of_the_groups_kind_first() -> None:
    got = to_plain(experiment(network({"name": "first", "activation": {"kind": "tanh"}})))
    assert list(got) == [
        "task", "run", "step", "resume", "output", "format", "keep", "rebuild", "scope", "verify", "runs",
        "demonstration", "arm", "seed", "precision",
        "architecture", "initialization", "normalization", "activation", "regularization", "optimizer", "schedule", "loss", "data",
        "preprocessing", "augmentation", "averaging", "training", "budget", "backend", "tracking",
    ]  # fmt: skip
    assert got["architecture"] == {
        "layers": [
            {
                "kind": "dense",
                "units": 4,
                "name": "first",
                "input": None,
                "initialization": None,
                "normalization": None,
                "activation": {"kind": "tanh"},
                "regularization": None,
                "frozen": False,
            }
        ],
        "head": "auto",
    }
    assert list(got["optimizer"].items())[:2] == [("kind", "adam"), ("learning_rate", 0.001)]


layers = st.lists(
    st.fixed_dictionaries(
        {"kind": st.just("dense"), "units": st.integers(1, 9)},
        optional={
            "activation": st.sampled_from(["relu", {"kind": "leaky_relu", "negative_slope": 0.2}]),
            "normalization": st.sampled_from(["none", {"kind": "batch", "momentum": 0.5}]),
            "initialization": st.sampled_from(["zeros", {"kind": "normal", "std": 1}]),
            "regularization": st.just({"dropout": "inverted", "keep_prob": 0.5}),
            "input": st.just("input"),
        },
    ),
    max_size=3,
)


@given(
    layers=layers,
    optimizer=st.sampled_from(["sgd", {"kind": "momentum", "convention": "ema"}, {"kind": "adam", "beta1": 0.5}]),
    seed=st.integers(0, 2**32 - 1),
    stopping=st.none() | st.builds(lambda patience: {"patience": patience}, st.integers(1, 9)),
    threads=st.just("auto") | st.integers(1, 64),
)
def test_what_is_written_reads_back_as_the_same_experiment(layers: Any, optimizer: Any, seed: int, stopping: Any, threads: Any) -> None:
    got = experiment(
        {
            "architecture": {"layers": layers},
            "optimizer": optimizer,
            "seed": seed,
            "training": {"early_stopping": stopping},
            "backend": {"threads": threads},
        }
    )
    assert experiment(to_plain(got)) == got


REJECTED = [
    ({"optimiser": "adam"}, "optimiser = adam: unknown key; did you mean optimizer?"),
    ({"optimizer": {"kind": "adam", "lr": 1}}, "optimizer.lr = 1: unknown key; did you mean learning_rate?"),
    ({"optimizer": {"kind": "sgd", "beta1": 1}}, "optimizer.beta1 = 1: sgd has no such key; it belongs to adam, adamw, amsgrad, nadam"),
    ({"optimizer": {"kind": "adamm"}}, "optimizer.kind = adamm: unknown kind; did you mean adam?"),
    ({"optimizer": "adamm"}, "optimizer = adamm: unknown kind; did you mean adam?"),
    (
        {"optimizer": {}},
        f"optimizer.kind = (missing): has no value; use one of {EVERY}",
    ),
    (
        {"optimizer": None},
        f"optimizer = null: must be a mapping with a kind; the kinds are {EVERY}",
    ),
    ({"optimizer": {"kind": "adam", "beta1": 1}}, "optimizer.beta1 = 1: must be below 1"),
    ({"optimizer": {"kind": "sgd", "learning_rate": True}}, "optimizer.learning_rate = true: must be a number, not true or false"),
    ({"optimizer": {"kind": "sgd", "learning_rate": float("nan")}}, "optimizer.learning_rate = nan: must be a finite number"),
    ({"optimizer": {"kind": "sgd", "learning_rate": float("inf")}}, "optimizer.learning_rate = inf: must be a finite number"),
    ({"activation": {"kind": "relu", "slope": 1}}, "activation.slope = 1: unknown key; there are no keys here"),
    ({"seed": -1}, "seed = -1: must be at least 0"),
    ({"seed": 2**32}, "seed = 4294967296: must be at most 4294967295"),
    ({"seed": 1.5}, "seed = 1.5: must be a whole number"),
    ({"precision": "float16"}, "precision = float16: unknown choice; use one of float32, float64"),
    (
        {"training": 3},
        "training = 3: must be a mapping; give epochs, batch_size, accumulate, metrics, train_rows, "
        "early_stopping, checkpoints, doctor, on_divergence, restore",
    ),
    (
        {"training": {"early_stopping": {}, "checkpoints": {"best": False}}},
        "training.checkpoints.best = false: early stopping goes back "
        "to the best epoch; leave it out, or give training.early_stopping.weights=last",
    ),
    ({"training": {"epochs": 0}}, "training.epochs = 0: must be at least 1"),
    ({"backend": {"threads": 0}}, "backend.threads = 0: must be at least 1"),
    ({"backend": {"threads": "many"}}, "backend.threads = many: must be a whole number or auto"),
    ({"architecture": {"layers": "dense"}}, "architecture.layers = dense: must be a list; write architecture.layers=[...]"),
    (
        {"architecture": {"layers": [{"kind": "dense"}]}},
        "architecture.layers[0].units = (missing): has no value; give architecture.layers[0].units=...",
    ),
    ({"architecture": {"layers": [{"kind": "dens", "units": 1}]}}, "architecture.layers[0].kind = dens: unknown kind; did you mean dense?"),
    (network({}, {"units": 0}), "architecture.layers[1].units = 0: must be at least 1"),
    (network({"units": 2.5}), "architecture.layers[0].units = 2.5: must be a whole number"),
    (network({"activation": "rellu"}), "architecture.layers[0].activation = rellu: unknown kind; did you mean relu?"),
    (network(head="none"), "architecture.layers = []: no head and no layer; give architecture.head=auto"),
    (network({"name": "a"}, {"name": "a"}), "architecture.layers[0].name = a: another layer has this name; a name can be used once"),
    (network({"name": "fc2"}, {}), "architecture.layers[0].name = fc2: another layer has this name; a name can be used once"),
    (network({"name": "fc2"}), "architecture.layers[0].name = fc2: another layer has this name; a name can be used once"),
    (network({"name": "a.b"}), "architecture.layers[0].name = a.b: must be letters, digits and _, a letter first"),
    (network({"name": "input"}), "architecture.layers[0].name = input: is the name of the network's input; use another"),
    (network({"name": "left"}, {"input": "lef"}), "architecture.layers[1].input = lef: no earlier layer has this name; did you mean left?"),
    (
        network({"input": "fc2"}, {}),
        "architecture.layers[0].input = fc2: stands after this layer, and layers run in order; name an earlier layer, or input",
    ),
    (network({"input": "fc1"}, {}), "architecture.layers[0].input = fc1: a layer cannot read itself; name an earlier layer, or input"),
    (
        network({}, {"input": "fc3"}),
        "architecture.layers[1].input = fc3: stands after this layer, and layers run in order; name an earlier layer, or input",
    ),
    (
        {"regularization": {"keep_prob": 0.8}},
        "regularization.keep_prob = 0.8: there is no dropout; give regularization.dropout=inverted",
    ),
    (
        network({"regularization": {"keep_prob": 0.5}}),
        "architecture.layers[0].regularization.keep_prob = 0.5: there is no dropout; "
        "give architecture.layers[0].regularization.dropout=inverted",
    ),
    ({"regularization": {"keep_prob": 0}}, "regularization.keep_prob = 0: must be above 0"),
    ({"regularization": {"rate": 0.2}}, "regularization.rate = 0.2: there is no dropout; give regularization.dropout=inverted"),
    ({"regularization": {"dropout": "inverted", "rate": 1}}, "regularization.rate = 1: must be below 1"),
    (
        {"regularization": {"dropout": "inverted", "rate": 0.2, "keep_prob": 0.8}},
        "regularization.rate = 0.2: keep_prob = 0.8 is given too, and rate is 1 - keep_prob; "
        "give one of them, the other as null or not at all",
    ),
    (
        network({"regularization": {"dropout": "traditional", "rate": 0.0, "keep_prob": 1.0}}),
        "architecture.layers[0].regularization.rate = 0.0: keep_prob = 1.0 is given too, and rate is 1 - keep_prob; "
        "give one of them, the other as null or not at all",
    ),
    (
        {"training": {"early_stopping": {}}, "data": {"split": {"validation": 0}}},
        "data.split.validation = 0.0: early stopping needs a validation part; "
        "give data.split.validation=0.1 or training.early_stopping=null",
    ),
    (
        {"data": {"task": "regression"}, "loss": "logistic"},
        "loss.kind = logistic: needs classes, and data.task is regression; use loss=auto",
    ),
    (
        {"data": {"task": "classification"}, "loss": "mean_squared_error"},
        "loss.kind = mean_squared_error: needs numbers, and data.task is classification; use loss=auto",
    ),
    ({"data": {"classes": 2, "targets": 1}}, "data.targets = 1: data has classes or targets, not both; leave one out"),
    ({"run": "a", "resume": "b"}, "resume = b: run and resume exclude each other; resume continues a training"),
]


@pytest.mark.parametrize(("config", "sentence"), REJECTED, ids=[sentence for _, sentence in REJECTED])
def test_a_rejection_says_where_what_the_rule_and_the_fix(config: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        experiment(config)
