"""Every family: what a config may name has a record, a rule and a way back to its name."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from pipeline.config.experiment import Architecture, Experiment
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.optimizers import OPTIMIZERS
from pipeline.recipe.initialization import INITIALIZATIONS
from pipeline.recipe.losses import LOSSES
from pipeline.recipe.schedules import SCHEDULES
from pipeline.records import Family, PerRecord, plain, read, read_kind, record, setting
from pipeline.search.settings import Search
from pipeline.search.spaces import SPACES, Space

FAMILIES = (LAYERS, ACTIVATIONS, NORMALIZATIONS, OPTIMIZERS, SCHEDULES, LOSSES, INITIALIZATIONS, SPACES)
NEEDED: dict[str, dict[str, Any]] = {
    "dense": {"units": 3},
    "conv": {"channels": 3},
    "conv_transpose": {"channels": 3},
    "reshape": {"shape": [3]},
    "add": {"inputs": ["a", "b"]},
    "concat": {"inputs": ["a", "b"]},
    **{kind: {"low": 0.1, "high": 0.9} for kind in ("linear", "log", "one_minus", "log_randn")},
    **{kind: {"low": 1, "high": 9} for kind in ("integer", "log_integer")},
    "choice": {"values": ["a", "b"]},
}
FORMULAS: dict[str, dict[str, Any]] = {
    "activation": {"forward": "x"},
    "optimizer": {"update": {"step": "learning_rate * g"}},
    "schedule": {"factor": "1"},
    "loss": {"row": "prediction - target"},
    "initialization": {"weight": "normal"},
}


def _needed(family: Family[Any, Any], kind: str) -> dict[str, Any]:
    return FORMULAS[family.name] if kind == "formula" else NEEDED.get(kind, {})


@pytest.mark.parametrize(
    ("family", "kind"), [(family, kind) for family in FAMILIES for kind in family], ids=lambda value: getattr(value, "name", value)
)
def test_a_record_knows_its_kind_and_its_rule(family: Family[Any, Any], kind: str) -> None:
    record = read_kind(family, {"kind": kind, **_needed(family, kind)}, at="here")
    assert type(record) is family[kind]
    assert family.kind_of(record) == kind
    if family.rows[kind][1] is None:
        assert kind in ("identity", "none", "auto", "choice")
    elif not isinstance(family.rows[kind][1], PerRecord):
        assert family.rule(record) is family.rows[kind][1]
    assert read_kind(family, {"kind": kind, **plain(record)}, at="here") == record


def test_a_record_without_a_rule_is_not_asked_for_one() -> None:
    with pytest.raises(AssertionError, match="activation identity has no rule"):
        ACTIVATIONS.rule(ACTIVATIONS["identity"]())


def test_no_field_of_a_config_may_hold_anything() -> None:
    for owner in (Architecture, Experiment, Search, *(each for family in FAMILIES for each in family.values())):
        assert is_dataclass(owner)
        types = typing.get_type_hints(owner)
        assert not [f.name for f in fields(owner) if types[f.name] in (object, Any)], owner


def test_a_record_is_written_with_its_own_fields_before_those_that_it_inherits() -> None:
    assert list(plain(read_kind(INITIALIZATIONS, "he", at=""))) == ["distribution", "bias_init", "from_run"]
    slots = ["initialization", "normalization", "activation", "regularization", "frozen"]
    assert list(plain(read_kind(LAYERS, {"kind": "dense", "units": 3}, at=""))) == ["units", "name", "input", *slots]
    assert list(plain(read_kind(LAYERS, {"kind": "add", "inputs": ["a", "b"]}, at=""))) == ["inputs", "name", "activation"]
    assert list(plain(read_kind(NORMALIZATIONS, "group", at=""))) == ["groups", "position", "epsilon"]


@record
class Spaces:
    space: Mapping[str, Space] = setting(kinds=SPACES)


def test_a_mapping_of_records_is_read_and_written_back() -> None:
    spaces = {"seed": {"kind": "integer", "low": 0, "high": 9}, "optimizer.learning_rate": {"kind": "log", "low": 0.1, "high": 1.0}}
    made = read(Spaces, {"space": spaces}, at="here")
    assert made.space["seed"] == SPACES["integer"](low=0, high=9)
    assert {path: {name: value[name] for name in spaces[path]} for path, value in plain(made)["space"].items()} == spaces
