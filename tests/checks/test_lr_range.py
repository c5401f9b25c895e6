"""The learning-rate range test: its numbers, its end, its suggestion, its files, its sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from backends.contract import Plan
from backends.numpy.executor import NumpyBackend
from pipeline import cli
from pipeline.checks.learning_rate_figure import png, table
from pipeline.checks.learning_rates import RangeTest, centred, range_test, smooth
from pipeline.config.task_settings import LearningRateRange
from pipeline.optimizers import OPTIMIZERS
from pipeline.tasks.lr_range import words
from tests.checks.networks import LINEAR, MLP, experiment, rows

TEST = ("task=lr_range", "lr_range.steps=40")


def made(losses: np.ndarray, *, ended: str = "all steps taken") -> RangeTest:
    """A test with these losses at learning rates from 1e-4 to 1."""
    rates = np.geomspace(1e-4, 1.0, len(losses))
    return RangeTest(rates=rates, losses=losses, smoothed=smooth(losses, 0.5), reach=2, window=len(losses) // 6, ended=ended)


def test_smoothing_is_the_bias_corrected_average() -> None:
    assert np.allclose(smooth(np.array([4.0, 1.0, 2.0]), 0.5), [4.0, (0.25 * 4 + 0.5 * 1) / 0.75, (0.125 * 4 + 0.25 * 1 + 0.5 * 2) / 0.875])
    assert np.array_equal(smooth(np.array([3.0, 3.0]), 0.9), [3.0, 3.0])


def test_what_is_drawn_lags_behind_nothing() -> None:
    valley = np.abs(np.arange(41) - 25.0)
    assert abs(int(np.argmin(centred(valley, 0.9))) - 25) <= 1 and np.argmin(smooth(valley, 0.9)) > 28
    assert np.allclose(centred(np.array([4.0, 1.0, 2.0]), 0.5), [(4 + 0.5 + 0.5) / 1.75, (2 + 1 + 1) / 2, (1 + 0.5 + 2) / 1.75])


def test_the_suggestion_is_where_the_loss_falls_fastest_and_a_tenth_of_its_minimum() -> None:
    at = np.linspace(-4, 0, 121)  # a fall around 1e-3, the minimum near 1e-1, a rise beyond
    found = made(2 - np.tanh(4 * (at + 3)) + 3 * np.maximum(at + 1, 0))
    assert found.steepest == pytest.approx(1e-3, rel=0.1)
    assert found.tenth == pytest.approx(1e-2, rel=0.15)
    assert words(found)[-1] == "suggestion            optimizer.learning_rate=0.01, or down to 0.001 to be careful"


def test_a_suggestion_below_the_steepest_descent_is_no_range() -> None:
    at = np.linspace(-4, 0, 121)  # a fall around 0.1, close before the minimum
    found = made(2 - np.tanh(8 * (at + 1)) + 3 * np.maximum(at + 0.7, 0))
    assert found.steepest is not None and found.tenth is not None and found.steepest > found.tenth
    assert words(found)[-1] == f"suggestion            optimizer.learning_rate={found.tenth:.2g}"


@pytest.mark.parametrize("losses", [np.full(30, 2.0), np.linspace(1.0, 3.0, 30)], ids=["flat", "rising"])
def test_a_loss_that_does_not_fall_gives_no_suggestion(losses: np.ndarray) -> None:
    found = made(losses)
    assert (found.steepest, found.tenth) == (None, None)
    assert words(found)[1:] == [
        "no suggestion: the loss did not fall; try a lower lr_range.start, more lr_range.steps, or task=check",
    ]


@pytest.mark.parametrize("kind", sorted(OPTIMIZERS))
def test_the_rate_rises_by_one_factor_with_every_optimizer(kind: str) -> None:
    config = experiment(*TEST, *MLP, f"optimizer={kind}", "lr_range.start=1e-5", "lr_range.end=1e-3", "backend=reference")
    found = range_test(config, rows(*MLP))
    assert np.allclose(found.rates, np.geomspace(1e-5, 1e-3, 40), rtol=1e-12)
    assert found.ended == "all 40 steps taken" and np.isfinite(found.losses).all()


def test_plain_gradient_descent_takes_the_rates_that_are_told() -> None:
    """On one batch that is all the data the loss of each step follows from the gradients and the rates."""
    config = experiment(*TEST, *LINEAR, "regularization=none", "training.batch_size=354", "lr_range.start=1e-3", "lr_range.end=1e-1")
    given = rows(*LINEAR)
    found = range_test(config, given)
    program = given.program(config)
    x, y = np.asarray(given.x, np.float64), given.y
    weight, bias = (program.parameters()[name].astype(np.float64) for name in ("fc1.weight", "fc1.bias"))
    for rate, loss in zip(found.rates, found.losses, strict=True):
        error = x @ weight + bias - y
        assert loss == pytest.approx(float(np.mean(error**2)), rel=1e-4)
        weight, bias = weight - rate * 2 * x.T @ error / len(x), bias - rate * 2 * error.mean(axis=0)


def test_it_ends_when_the_loss_is_four_times_its_best() -> None:
    found = range_test(experiment(*TEST, *LINEAR, "lr_range.start=1e-3", "lr_range.end=100"), rows(*LINEAR))
    last = len(found.losses)
    assert last < 40 and found.ended == f"the loss is above 4 times its best at step {last}"
    known = smooth(found.losses, LearningRateRange().smoothing)  # at each step, of those before it
    assert known[-1] > 4 * known[:-1].min() and np.all(known[:-1] <= 4 * np.minimum.accumulate(known[:-1]))


def test_it_ends_when_the_loss_is_not_finite() -> None:
    found = range_test(experiment(*TEST, *LINEAR, "lr_range.start=1e18", "lr_range.end=1e38"), rows(*LINEAR))
    assert found.ended == f"the loss is not finite at step {len(found.losses) + 1}" and len(found.losses) < 16
    assert words(found)[1].startswith("no suggestion: the loss was lost before ")


def test_it_compiles_once_and_is_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = NumpyBackend.load

    def counted(self: NumpyBackend, plan: Plan) -> object:
        loaded.append(plan.name)
        return load(self, plan)

    monkeypatch.setattr(NumpyBackend, "load", counted)
    one, two = (range_test(experiment(*TEST, *MLP, f"backend.threads={threads}"), rows(*MLP)) for threads in (1, 2))
    assert loaded == ["train", "train"]
    assert table(one) == table(two) and png(one, title="a") == png(two, title="a")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_task_prints_a_suggestion_and_writes_a_plot_and_a_table_and_nothing_else(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*TEST, *LINEAR, "lr_range.start=1e-4", "lr_range.end=1e-1", "output=found"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("written to found\n")
    assert out.startswith("learning-rate range test: 40 steps, up to a learning rate of 0.1; all 40 steps taken\nlowest smoothed loss  ")
    assert sorted(str(path.relative_to(work)) for path in work.rglob("*")) == ["found", "found/lr_range.csv", "found/lr_range.png"]
    lines = list(csv.DictReader((work / "found/lr_range.csv").read_text().splitlines()))
    assert len(lines) == 40 and list(lines[0]) == ["step", "learning_rate", "loss", "smoothed_loss"]
    assert float(lines[0]["learning_rate"]) == 1e-4 and float(lines[0]["smoothed_loss"]) > 0
    assert (work / "found/lr_range.png").read_bytes().startswith(b"\x89PNG")


def test_without_an_output_it_makes_a_new_folder_that_is_no_run(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert cli.main([*TEST, *LINEAR, "lr_range.end=1e-3"]) == 0
    folders = sorted(work.glob("runs/*_lr_range*"))
    assert len(folders) == 2 and not list(work.glob("runs/*/run.json")) and not (work / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["lr_range.start=0.1", "lr_range.end=0.1"], "lr_range.end = 0.1: must be above lr_range.start, which is 0.1"),
        (["lr_range.start=0"], "lr_range.start = 0: must be above 0"),
        (["lr_range.steps=5"], "lr_range.steps = 5: must be at least 20"),
        (["lr_range.stop=5"], "lr_range.stop = 5: unknown key; did you mean steps?"),
        (["lr_range.smoothing=1"], "lr_range.smoothing = 1: must be below 1"),
        (["output=there"], "output = there: exists already and is not overwritten; give another name or remove it"),
        (["task=train", "lr_range.steps=30"], "lr_range.steps = 30: only task=lr_range reads it; give task=lr_range, or leave it out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_with_code_2(work: Path, argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "there").mkdir()
    assert cli.main(argv if argv[0].startswith("task=") else ["task=lr_range", *argv]) == 2
    assert capsys.readouterr() == ("", f"error: {sentence}\n")
    assert [path.name for path in work.iterdir()] == ["there"]
