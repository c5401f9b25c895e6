"""Parameters as they are written, those that go together, those under a condition, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.search.parameters import Parameter, checked, parameter, point_of
from pipeline.search.spaces import Choice, Integer, Linear, Log, LogInteger, OneMinus
from tests.refusal import refused


@pytest.mark.parametrize(
    ("given", "space"),
    [
        ("log(1e-4, 1)", Log(low=1e-4, high=1.0)),
        ("one_minus(0.9,0.999)", OneMinus(low=0.9, high=0.999)),
        ("linear(0, 1, 0.25)", Linear(low=0, high=1, step=0.25)),
        ("integer(1, 9, 2)", Integer(low=1, high=9, step=2)),
        ("log_integer(16, 512)", LogInteger(low=16, high=512)),
        ("choice(relu, tanh)", Choice(values=("relu", "tanh"))),
        (["sgd", "adam"], Choice(values=("sgd", "adam"))),
        ({"kind": "log", "low": 0.1, "high": 1}, Log(low=0.1, high=1)),
    ],
)
def test_a_space_is_text_a_list_or_a_mapping(given: Any, space: Any) -> None:
    assert parameter("a.b", given, at="here").space == space


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("loguniform(1e-4,1)", "here = loguniform(1e-4,1): unknown kind of space; did you mean log(1e-4,1)?"),
        ("lag(1e-4,1)", "here = lag(1e-4,1): unknown kind of space; did you mean log?"),
        ("log(1)", "here = log(1): takes low, high; write log(low, high)"),
        ("log(0, 1)", "here.low = 0: must be above 0"),
        ("linear(2, 1)", "here.high = 1.0: must be above here.low, which is 2.0"),
        ({"kind": "loguniform", "low": 1, "high": 2}, "here.kind = loguniform: unknown kind; did you mean log?"),
        ({"kind": "log", "low": 1, "hihg": 2}, "here.hihg = 2: unknown key; did you mean high?"),
        (3, "here = 3: is no space of values; write log(1e-4, 1), a list of values, or a mapping with a kind"),
        ({"kind": "choice", "values": []}, "here.values = []: must hold a value; give two or more"),
    ],
)
def test_a_mistake_is_one_sentence(given: Any, sentence: str) -> None:
    with refused(sentence):
        parameter("a.b", given, at="here")


def of(**given: Any) -> list[Parameter]:
    return [parameter(path, value, at=path) for path, value in given.items()]


def test_a_parameter_under_a_condition_exists_only_there_whatever_the_order() -> None:
    beta = {"kind": "one_minus", "low": 0.9, "high": 0.999, "when": {"optimizer": ["adam", "adamw"]}}
    parameters = checked(of(beta1=beta, optimizer=["sgd", "adam", "adamw"]))
    assert [each.path for each in parameters] == ["optimizer", "beta1"]
    assert point_of(parameters, {"optimizer": "adam", "beta1": 0.95}) == {"optimizer": "adam", "beta1": 0.95}
    assert point_of(parameters, {"optimizer": "sgd", "beta1": 0.95}) == {"optimizer": "sgd"}
    assert parameters[1].said == "beta1: one_minus(0.9, 0.999) when optimizer=adam,adamw"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"a": {"kind": "choice", "values": [1, 2], "when": {"optimiser": "sgd"}}, "optimizer": ["sgd", "adam"]},
            "hydra.sweeper.space.a.when = optimiser: is no other parameter of the search; did you mean optimizer?",
        ),
        (
            {"a": {"kind": "choice", "values": [1, 2], "when": {"optimizer": "sdg"}}, "optimizer": ["sgd", "adam"]},
            "hydra.sweeper.space.a.when.optimizer = sdg: no value of optimizer; did you mean sgd?",
        ),
        (
            {"a": {"kind": "choice", "values": [1], "when": {"b": "1"}}, "b": {"kind": "choice", "values": [1], "when": {"a": "1"}}},
            "hydra.sweeper.space.a.when = ['b']: the conditions close a circle; leave one out",
        ),
        (
            {"a": {"kind": "choice", "values": [1, 2], "zip": "z"}, "b": {"kind": "choice", "values": [1, 2, 3], "zip": "z"}},
            "zip = z: values that go together are of two parameters or more, as many of each: a has 2, b has 3",
        ),
        (
            {"a": {"kind": "choice", "values": [1, 2], "zip": "z"}, "b": {"kind": "log", "low": 1, "high": 2, "zip": "z"}},
            "zip = z: values that go together are of two parameters or more, as many of each: a has 2, b has a range",
        ),
    ],
)
def test_what_parameters_cannot_be_to_each_other_is_refused(given: Any, sentence: str) -> None:
    with refused(sentence):
        checked(of(**given))
