"""Every demonstration shows what its claim says, and says so when it does not."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest
import yaml

from pipeline import cli, demonstrations
from pipeline.config import spec
from pipeline.config.compose import compose
from pipeline.config.overrides import CONF
from pipeline.demonstrations import DEMONSTRATIONS, Figure, figures
from pipeline.demonstrations.figure import at_least, at_most, near


@cache
def shown(name: str, seed: int = 0) -> dict[str, Figure]:
    """The figures by their quantity."""
    found = figures(spec.experiment({"task": "demonstrate", "demonstration": name, "seed": seed}))
    return {figure.quantity: figure for figure in found}


@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_every_figure_of_a_demonstration_is_as_expected(name: str) -> None:
    found = shown(name)
    assert found
    assert not [figure for figure in found.values() if not figure.holds]


@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_every_demonstration_is_an_experiment_of_its_name(name: str) -> None:
    got = spec.experiment(compose([f"+experiment={name}"]))
    assert (got.task, got.demonstration, got.tracking.experiment) == ("demonstrate", name, name)


def test_no_experiment_asks_for_a_demonstration_that_is_none() -> None:
    files = (yaml.safe_load(path.read_text()) for path in (CONF / "experiment").glob("*.yaml"))
    assert {file["demonstration"] for file in files if "demonstration" in file} == set(DEMONSTRATIONS)


def test_the_numbers_of_the_deep_networks_are_those_of_the_literature() -> None:
    """Ten layers of 500 units and 1,000 rows, the lecture's own experiment: layers 1, 5 and 10."""
    tanh, relu = shown("init_depth"), shown("relu_init")
    for found, name, values, share in (
        (tanh, "tanh, normal 0.01", (0.213, 5.2e-4, 2.9e-7), 0.05),
        (tanh, "tanh, normal 1", (0.98, 0.98, 0.98), 0.01),
        (tanh, "tanh, xavier", (0.627, 0.319, 0.227), 0.02),
        (relu, "relu, xavier", (0.583, 0.141, 0.033), 0.3),
        (relu, "relu, he", (0.824, 0.799, 1.05), 0.3),
    ):
        for layer, value in zip((1, 5, 10), values, strict=True):
            assert found[f"{name}: standard deviation, layer {layer}"].measured == pytest.approx(value, rel=share)
    assert tanh["tanh, normal 1: share beyond 0.99, layer 5"].measured == pytest.approx(0.90, abs=0.01)


def test_the_examples_of_the_notes() -> None:
    softmax = shown("softmax_example")
    assert [softmax[f"t[{i}]"].measured for i in range(4)] == pytest.approx([math.exp(z) for z in (5, 2, -1, 3)], rel=1e-12)
    assert softmax["sum of t"].measured == pytest.approx(176.2557, abs=1e-4)
    assert shown("ce_example")["loss"].measured == pytest.approx(-math.log(0.2), rel=1e-12)


def test_a_figure_holds_within_its_bounds_and_a_nan_never_does() -> None:
    assert near("q", 1.0, 1.1, 0.2).holds and not near("q", 1.0, 1.3, 0.2).holds
    assert at_least("q", 1.0, 1.0).holds and not at_least("q", 1.0, 0.9).holds
    assert at_most("q", 1.0, 1.0).holds and not at_most("q", 1.0, 1.1).holds
    assert not any(make("q", 0.0, math.nan).holds for make in (at_least, at_most)) and not near("q", 0.0, math.nan, 1.0).holds


def test_the_command_prints_the_table_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["+experiment=ce_example", "backend=reference"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("Cross-entropy of [0.3, 0.2, 0.1, 0.4] for the second class: the notes print 0.693, which is ln 2.\n")
    assert "ce_example" in out
    assert ["loss", "1.6094", "±", "5e-05", "1.60944", "ok"] in [line.split() for line in out.splitlines()]
    assert list(tmp_path.iterdir()) == []


def test_a_figure_out_of_its_bounds_ends_with_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [near("one", 1.0, 1.0, 0.1), near("two", 2.0, 3.0, 0.1)]
    monkeypatch.setattr("pipeline.tasks.demonstrate.figures", lambda config: wrong)
    assert cli.main(["+experiment=ce_example"]) == 1
    out, err = capsys.readouterr()
    assert err == "error: demonstration = ce_example: 1 of 2 figures are not as expected; two = 3, expected 2 ± 0.1\n"
    assert ["two", "2", "±", "0.1", "3", "off"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("task=demonstrate", "demonstration=softmax_exampel"),
            "error: demonstration = softmax_exampel: unknown demonstration; did you mean softmax_example?\n",
        ),
        (("task=demonstrate",), "error: demonstration = null: task=demonstrate shows one; give +experiment=NAME of a demonstration\n"),
        (("demonstration=uphill",), "error: demonstration = uphill: task=train shows none; use task=demonstrate\n"),
        (
            ("+experiment=uphill", "optimizer=adam"),
            "error: optimizer = adam: a demonstration builds its own networks; it takes seed, backend, tracking\n",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(list(arguments)) == 2
    assert capsys.readouterr().err == line


def test_the_table_names_functions_that_say_what_they_show() -> None:
    for name, module in DEMONSTRATIONS.items():
        function = getattr(__import__(f"{demonstrations.__name__}.{module}", fromlist=[name]), name)
        assert function.__doc__
