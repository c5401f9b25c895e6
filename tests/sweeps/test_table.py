"""The table of a sweep on wide and narrow terminals."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

import pipeline
from pipeline.config.sweep_settings import SweepSettings
from pipeline.screen.tables import folded
from pipeline.sweeps.comparison import compare
from pipeline.sweeps.shown import show_arms, show_trials
from pipeline.sweeps.table import Sweep, Trial, summarize_sweep
from pipeline.tasks import RunContext
from pipeline.tracking.journal import end_of, read_journal, series

METRICS = {"accuracy/validation": 0.97222, "loss/validation": 0.123456, "accuracy/test": 0.95}


def lines(width: int) -> list[str]:
    trials = tuple(
        Trial(
            job=str(job),
            name="",
            folder=Path(),
            status="FINISHED",
            message="",
            run_id="",
            params={"optimizer": kind},
            metrics={**METRICS, "loss/validation": 0.2 + job},
            curve={},
        )
        for job, kind in enumerate(("sgd", "adam"))
    )
    sweep = Sweep(name="s", metric="loss/validation", params=("optimizer",), metrics=tuple(METRICS), trials=trials)
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        show_trials(console, sweep)
    return [line.strip() for line in capture.get().splitlines() if line.strip()]


def test_a_wide_terminal_has_a_row_a_trial() -> None:
    found = lines(120)
    assert found[0] == "ranked by loss/validation"
    assert found[1].split() == ["job", "optimizer", "accuracy/validation", "loss/validation", "accuracy/test", "status"]
    assert found[3].split("  ")[0] == "0" and len(found) == 5


def test_a_narrow_terminal_leaves_columns_out_and_says_which_but_never_the_metric_that_ranks() -> None:
    assert [" ".join(line.split()) for line in lines(40)[1:]] == [
        "loss/",
        "job optimizer validation",
        "─" * 28,
        "0 sgd 0.2",
        "1 adam 1.2",
        "no room here for accuracy/validation, accuracy/test, status; all are in trials.csv of the sweep's own run",
    ]


def test_where_not_even_that_has_room_each_trial_is_a_block() -> None:
    found = lines(18)
    assert found[:5] == ["ranked by loss/validation", "job         0", "optimizer   sgd", "accuracy/validation", "97.22 %"]
    assert found[11:14] == ["────", "job         1", "optimizer   adam"]


def test_no_width_breaks_a_number_or_loses_what_ranks_the_arms() -> None:
    trials = tuple(
        Trial(
            job=str(job),
            name="",
            folder=Path(),
            status="FINISHED",
            message="",
            run_id="",
            params={"optimizer.learning_rate": rate, "seed": seed},
            metrics={"accuracy/validation": value, "loss/validation": 1 - value},
            curve={},
        )
        for job, (rate, seed, value) in enumerate(
            (("0.1", "0", 0.99), ("0.1", "1", 0.95), ("0.001", "0", 0.9), ("0.001", "1", 0.85)),
        )
    )
    columns = ("accuracy/validation", "loss/validation")
    sweep = Sweep(name="s", metric="accuracy/validation", params=("optimizer.learning_rate", "seed"), metrics=columns, trials=trials)
    for width in range(20, 130):
        console = Console(width=width, color_system=None, highlight=False)
        with console.capture() as capture:
            show_arms(console, sweep, compare(sweep))
        whole = " ".join(capture.get().split())
        assert "97.00 %, 71.59 to 100.00 %" in whole and "87.50 %, 55.73 to 100.00 %" in whole, width


def test_a_long_cell_is_broken_after_commas_and_between_words_only() -> None:
    assert folded("[512,256,128] and 1.25 ± 0.50 %", 14) == ["[512,256,128]", "and", "1.25 ± 0.50 %"]
    assert folded("[512,256,128]", 6) == ["[512,", "256,", "128]"]


@pytest.mark.parametrize(
    ("varied", "label"),
    [
        (("optimizer.learning_rate=0.1", "seed=1"), "job 3: learning_rate=0.1 seed=1"),
        (("optimizer.momentum=0.9", "normalization.momentum=0.5"), "job 3: optimizer.momentum=0.9 normalization.momentum=0.5"),
        ((), "job 3"),
    ],
)
def test_a_job_is_called_by_its_own_overrides(varied: tuple[str, ...], label: str) -> None:
    assert RunContext(sweep="s", job=3, overrides=("task=train", *varied), varied=varied).label == label


@pytest.mark.parametrize("value", ["last", "best"])
def test_a_trial_counts_where_its_weights_are_kept(value: Literal["last", "best"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that goes back to its best epoch is ranked by that one, not by the last, whose weights are gone."""
    monkeypatch.chdir(tmp_path)
    cfg = pipeline.compose(["data=rings", "training=early_stopping", "training.early_stopping.patience=3", "training.epochs=40"])
    found = pipeline.sweep(cfg, {"optimizer.learning_rate": [0.003, 0.03]}, seeds=2, folder="s", quiet=True)
    sweep = summarize_sweep("s", [trial.folder for trial in found.trials], settings=SweepSettings(value=value))
    curves = [series(read_journal(trial.folder)) for trial in sweep.trials]
    ends = [end_of(read_journal(trial.folder)) for trial in sweep.trials]
    kept = [0 if end is None else end.epoch for end in ends]
    assert any(0 < epoch < max(curve["loss/train"]) for epoch, curve in zip(kept, curves, strict=True))
    for trial, epoch, curve in zip(sweep.trials, kept, curves, strict=True):
        accuracy = curve["accuracy/validation"]
        assert trial.metrics["accuracy/validation"] == (max(accuracy.values()) if value == "best" else accuracy[epoch])
        assert trial.metrics["loss/validation"] == curve["loss/validation"][epoch]
        assert list(curve["accuracy/test"]) == [epoch]
    order = [trial.metrics["accuracy/validation"] for trial in sorted(sweep.trials, key=sweep.rank)]
    assert order == sorted(order, reverse=True)
