"""The table of a sweep on wide and narrow terminals."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.sweeps.finish import _fitting, _table
from pipeline.sweeps.table import Sweep, Trial
from pipeline.tasks import RunContext

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
        console.print(_fitting(console, _table(sweep)))
    return [line.strip() for line in capture.get().splitlines() if line.strip()]


def test_a_wide_terminal_has_a_row_a_trial() -> None:
    found = lines(120)
    assert found[0] == "ranked by loss/validation"
    assert found[1].split() == ["job", "optimizer", "accuracy/validation", "loss/validation", "accuracy/test", "status"]
    assert found[3].split("  ")[0] == "0" and len(found) == 5


@pytest.mark.parametrize("width", [60, 40])
def test_a_narrow_terminal_has_a_block_a_trial(width: int) -> None:
    assert lines(width)[:7] == [
        "ranked by loss/validation",
        "job                   0",
        "optimizer             sgd",
        "accuracy/validation   97.22 %",
        "loss/validation       0.2",
        "accuracy/test         95.00 %",
        "status                finished",
    ]
    assert len(lines(width)) == 14 and set(lines(width)[7]) == {"─"}


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
