"""task=check on the command line: its table, its exit codes, its sentences, and no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import cli
from tests.checks.networks import LINEAR, MLP


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sound_network_prints_its_table_leaves_nothing_and_exits_with_0(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=check", *LINEAR]) == 0
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "diabetes"
    assert "check measured expected" in lines
    assert any(line.startswith("gradient of fc1.weight pass ") and line.endswith("good (10 of 10 elements) below 1e-05") for line in lines)
    assert lines[-1] == "all 6 checks passed" and "what to do" not in out
    assert err == "" and list(work.iterdir()) == []


def test_a_failed_check_says_what_to_do_and_exits_with_1(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=check", *MLP, "initialization=zeros", "check.steps=25", "check.elements=1"]) == 1
    out, err = capsys.readouterr()
    assert err == "error: 2 of 10 checks failed: regularization, tiny batch\n"
    assert "what to do" in out and "all weights are 0: use another initialization" in out
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["task=check", "check.rows=1"], "check.rows = 1: must be at least 2"),
        (["task=check", "check.step=5"], "check.step = 5: unknown key; did you mean steps?"),
        (["task=check", "run=abc"], "run = abc: task=check starts a new run; leave it out"),
        (["check.steps=5"], "check.steps = 5: only task=check reads it; give task=check, or leave it out"),
        (
            ["task=check", "data=iris", "training.batch_size=1000"],
            "training.batch_size = 1000: larger than the 120 rows of the training part; use at most 120",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_with_code_2(argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
