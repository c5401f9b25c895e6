"""The rules: what is told of a training follows from what was measured of it, and the override works when it is pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import pipeline
from pipeline.checks.material import Material, material
from pipeline.config.spec import experiment
from pipeline.doctor import begin, remedies, told
from pipeline.doctor.case import Case, Course
from pipeline.doctor.diagnose import EXPLAINS, diagnose
from pipeline.layers.graph import LayerGraph
from pipeline.tasks import examined
from pipeline.tracking.health import Diagnosed, Diagnosis, Health
from pipeline.tracking.journal import read_journal

IRIS = ("data=iris", "architecture=mlp_small", "training.batch_size=16", "tracking=none", "training.doctor=true")


@pytest.mark.parametrize(
    ("optimizer", "rate", "factor", "wanted"),
    [("adam", 1e20, 0.1, 1e-3), ("sgd", 1e20, 0.1, 0.1), ("adam", 0.05, 0.1, 0.005), ("adam", 1e-12, 10, 1e-3), ("sgd", 1e-5, 1000, 0.01)],
)
def test_a_rate_that_is_suggested_is_one_that_trains(optimizer: str, rate: float, factor: float, wanted: float) -> None:
    config = experiment(pipeline.compose([f"optimizer={optimizer}", f"optimizer.learning_rate={rate}"]))
    assert remedies.rate(config, factor) == f"optimizer.learning_rate={wanted:g}"


@cache
def _rows(*overrides: str) -> tuple[Material, LayerGraph]:
    rows = material(experiment(pipeline.compose(["data=iris", "architecture=mlp_small", *overrides])))
    return rows, rows.program(rows.config).structure.network


def _names(curves: Mapping[str, Sequence[float]], *overrides: str, held: int = 0, first: Sequence[float] = (), **more: object) -> list[str]:
    """What is told of a training whose metrics went so."""
    rows, network = _rows(*overrides)
    history = [dict(zip(curves, values, strict=True)) for values in zip(*curves.values(), strict=True)]
    course = Course(history=history, steps=1000, held=held or len(history), first=tuple(first))
    course = replace(course, **more)  # type: ignore[arg-type]  # names of its fields
    return [diagnosis.name for diagnosis in diagnose(Case(rows, network, course, ()))]


def _line(start: float, end: float, count: int = 20) -> list[float]:
    return np.geomspace(start, end, count).tolist()


def test_curves_of_a_sound_training_say_nothing() -> None:
    assert _names({"loss/train": _line(1, 0.05), "loss/validation": _line(1, 0.1)}) == []


def test_overfitting_is_told_from_its_epoch_and_not_where_the_best_weights_are_kept() -> None:
    curves = {"loss/train": _line(1, 0.01), "loss/validation": [*_line(1, 0.2, 8), *_line(0.21, 0.6, 12)]}
    assert _names(curves) == ["overfitting"]
    assert _names(curves, held=8) == []


def test_nothing_is_learned_by_rows_whose_loss_is_above_that_of_knowing_nothing() -> None:
    curves = {"loss/train": _line(6.7, 4.9), "loss/validation": [*_line(4, 2.6, 8), *_line(2.7, 7.7, 12)]}
    assert "overfitting" not in _names(curves)


def test_two_rows_have_no_start_loss() -> None:
    rows, network = _rows()
    look = cast("Health", SimpleNamespace(epoch=0, data_loss=0.01))
    few = replace(rows, x=rows.x[:2], y=rows.y[:2])
    assert [found.name for found in begin.start_loss(Case(rows, network, Course(), [look]))] == ["start loss"]
    assert not list(begin.start_loss(Case(few, network, Course(), [look])))


def test_a_training_loss_that_rises_is_a_rate_too_high() -> None:
    assert _names({"loss/train": [*_line(1, 0.2, 10), *_line(0.3, 1.0, 10)]}) == ["learning rate too high"]
    assert _names({"loss/train": []}, failed="not finite", first=[1.0, 9.0]) == ["learning rate too high"]
    assert _names({"loss/train": [1.1] * 9}, first=[1.1, 40.0, 3.0]) == ["learning rate too high"]


def test_rows_learned_by_heart_nothing_learned_and_an_end_too_early() -> None:
    assert _names({"loss/train": _line(1, 0.001), "loss/validation": _line(1.2, 1.1)}) == ["learned by heart"]
    assert _names({"loss/train": [1.098] * 9}) == ["nothing learned"]
    falling = {"loss/train": _line(1.1, 0.3), "loss/validation": _line(1.1, 0.3)}
    assert _names(falling, "training.epochs=20") == ["ended too early"]
    assert _names(falling, "training.epochs=20", ended_early=True) == []


@pytest.mark.parametrize(
    ("message", "override"),
    [
        ("trained 20 epochs", "training.epochs=40"),
        ("trained 20 epochs; the weights are those of epoch 20, the best by loss/validation", "training.epochs=40"),
        ("trained 20 epochs, to the end of budget.steps = 500", "budget.steps=1000"),
        ("trained 19 epochs and 2 of the 7 steps of the next, to the end of budget.seconds = 1.5", "budget.seconds=3"),
        ("trained 20 epochs; callback enough stopped it: the loss was below 0.2, to the end of budget.steps = 5", None),
        ("stopped early after epoch 20", None),
        ("stopped after epoch 20", None),
        ("", None),
    ],
)
def test_more_of_what_ended_it_is_suggested_and_nothing_where_something_stopped_it(message: str, override: str | None) -> None:
    rows, network = _rows("training.epochs=20")
    history = [{"loss/train": value, "loss/validation": value} for value in _line(1.1, 0.3)]
    course = examined.ended(Course(history=history, steps=1000, held=20), message)
    assert [found.override for found in diagnose(Case(rows, network, course, ()))] == ([override] if override else [])


def test_a_schedule_over_too_soon() -> None:
    curves = {"loss/train": [1.0] * 20, "learning_rate": _line(0.1, 1e-9)}
    assert _names(curves) == ["schedule too fast"]


def test_rows_and_batches_are_looked_at() -> None:
    fine = {"loss/train": _line(1, 0.05)}
    assert _names(fine, "preprocessing=none") == ["uncentred inputs"]
    assert _names(fine, "normalization=batch", "training.batch_size=2") == ["batch norm with tiny batches"]
    assert _names(fine, "normalization=batch", "training.batch_size=16") == []
    assert _names(fine, "data=diabetes", "preprocessing.targets=none") == ["unscaled targets"]


def test_unbalanced_classes_are_told_where_the_small_one_is_not_known() -> None:
    rows, network = _rows()
    y = np.where(np.arange(len(rows.x)) % 20 == 0, 1, np.where(np.arange(len(rows.x)) % 2 == 0, 0, 2)).astype(np.int32)
    course = Course(tested={"accuracy/test": 0.95, "balanced_accuracy/test": 0.6})
    case = Case(replace(rows, y=y), network, course, (), class_names=("a", "b", "c"))
    (found,) = diagnose(case)
    assert (found.name, found.override) == ("unbalanced classes", "loss.class_weights=balanced")
    assert "class b has 6 rows" in found.evidence
    assert not diagnose(
        Case(replace(rows, y=y), network, replace(course, tested={"accuracy/test": 0.95, "balanced_accuracy/test": 0.9}), ())
    )


ILL = {
    "learning rate too low": ("optimizer=sgd", "optimizer.learning_rate=1e-5", "training.epochs=10"),
    "learning rate too high": ("optimizer=sgd", "optimizer.learning_rate=1e4", "training.epochs=3"),
    "units alike": ("initialization=zeros", "training.epochs=3"),
    "dead units": ("initialization.bias_init=-50", "training.epochs=10"),
    "saturation": ("activation=tanh", "initialization=normal", "initialization.std=5", "training.epochs=2"),
    "penalty too strong": ("regularization=l2", "regularization.l2=3", "training.epochs=100", "optimizer.learning_rate=0.01"),
}


@pytest.mark.parametrize("name", ILL)
def test_what_is_wrong_inside_is_told_with_an_override_that_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = pipeline.compose([*IRIS, *ILL[name], "output=run"])
    try:
        pipeline.train(config, quiet=True)
    except pipeline.errors.DivergedError:
        assert name == "learning rate too high"
    found = next(event.found for event in reversed(read_journal(tmp_path / "run")) if isinstance(event, Diagnosed))
    assert found[0].name == name
    for diagnosis in found:
        experiment(pipeline.compose([*IRIS, *ILL[name], diagnosis.override]))


@pytest.mark.parametrize("weights", ["[20,20,20]", "[0.05,0.05,0.05]", "[1,13,1]"])
def test_weights_of_classes_and_smoothing_are_in_the_loss_and_in_that_of_knowing_nothing(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = (f"loss.class_weights={weights}", "regularization.label_smoothing=0.1", "optimizer.learning_rate=0.005", "training.epochs=60")
    pipeline.train(pipeline.compose([*IRIS, *asked, "output=run"]), quiet=True)
    events = read_journal(tmp_path / "run")
    looks = [event for event in events if isinstance(event, Health)]
    assert all(look.loss == pytest.approx(look.data_loss, rel=1e-5) for look in looks)  # there is no penalty
    found = next(event.found for event in reversed(events) if isinstance(event, Diagnosed))
    assert "start loss" not in {one.name for one in found} and not any("no better than" in one.evidence for one in found), found


def test_the_doctor_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    states = []
    for doctor in ("true", "false"):
        asked = ["training.epochs=4", "normalization=batch", f"training.doctor={doctor}", f"output=run_{doctor}"]
        made = pipeline.train(pipeline.compose([*IRIS, *asked]), quiet=True)
        states.append(made.program.program.state())
    assert all(np.array_equal(value, states[1][name]) for name, value in states[0].items())


def test_at_most_three_lines_are_told() -> None:
    found = [Diagnosis(name=str(k), evidence="e", reason="r", override="seed=1", weight=1.0) for k in range(5)]
    assert told.lines(found, more="task=doctor run=r") == [
        "doctor: 0: e; try seed=1",
        "doctor: 1: e; try seed=1",
        "doctor: 2: e; try seed=1 (and 2 more: task=doctor run=r)",
    ]


def test_what_explains_and_what_is_explained_are_names_of_rules() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    for cause, consequences in EXPLAINS.items():
        for name in (cause, *consequences):
            assert f"| {name} |" in page
