"""task=doctor run=R says what was found, verify=true whether what is suggested helps; task=check what is seen before the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main

Command = Callable[..., int]
SLOW = ("data=iris", "architecture=mlp_small", "training.batch_size=16", "optimizer=sgd", "optimizer.learning_rate=1e-5", "tracking=none")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(list(arguments))


def test_a_finding_is_said_at_the_end_again_from_the_folder_and_verified(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SLOW, "training.epochs=20", "training.doctor=true", "output=r") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("doctor: "))
    assert line.startswith("doctor: learning rate too low: a step changes the weights by") and line.endswith(
        "; try optimizer.learning_rate=0.01"
    )
    assert command("task=doctor", "run=r", "verify=true") == 0
    said = capsys.readouterr().out
    assert "1. learning rate too low\n   measured  a step" in said and "\n   try       optimizer.learning_rate=0.01\n" in said
    assert "trains 10 trials: the present config and optimizer.learning_rate=0.01, seeds 0 to 4" in said
    assert "learning rate too low: optimizer.learning_rate=0.01; accuracy/validation " in said
    assert "paired difference" in said and "(95 %, 5 seeds)" in said


def test_a_run_that_was_not_looked_at_is_looked_at_in_its_checkpoint(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SLOW, "training.epochs=20", "training.doctor=false", "output=r") == 0
    assert "doctor: " not in capsys.readouterr().out
    assert command("task=doctor", "run=r") == 0
    assert capsys.readouterr().out.startswith("1. learning rate too low\n")


def test_nothing_is_wrong_with_a_sound_run(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("data=iris", "tracking=none", "training.doctor=true", "output=r") == 0
    assert "doctor: " not in capsys.readouterr().out
    assert command("task=doctor", "run=r") == 0
    assert capsys.readouterr().out == "doctor: nothing is wrong as far as was measured\n"


def test_without_a_run_it_says_how_a_training_is_asked_about(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("task=doctor") == 0
    assert capsys.readouterr().out.endswith("\nof a training: task=doctor run=FOLDER\n")


def test_a_check_says_what_is_seen_before_the_first_step(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("task=check", "data=iris", "architecture=mlp_small", "check.elements=2", "check.steps=50")
    command(*few, "preprocessing=none")
    assert "doctor: uncentred inputs: the median of |mean| / deviation over the inputs is" in capsys.readouterr().out
    command(*few, "preprocessing=none", "training.doctor=false")
    assert "doctor: " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("verify=true",), "verify = true: only task=doctor reads it; leave it out"),
        (("task=doctor", "verify=true"), "verify = true: verifies what is suggested for a run; give run=FOLDER or run=MLFLOW_RUN_ID"),
        (("task=doctor", "run=r", "scope=machine"), "scope = machine: run is given too; give one of them"),
        (("task=doctor", "run=a,b"), "run = a,b: takes one run; task=compare runs=[a,b] sets several side by side"),
        (("task=doctor", "run=[a,b]"), "run = [a,b]: takes one run; task=compare runs=[a,b] sets several side by side"),
        (("runs=[a,b]",), "runs = ['a', 'b']: only task=compare reads it; leave it out"),
        (
            ("task=compare", "runs=[a]"),
            "runs = ['a']: task=compare sets two runs or more side by side; give runs=[a,b], folders or MLflow run ids",
        ),
    ],
)
def test_what_is_meant_for_another_task_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    assert command(*arguments) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
