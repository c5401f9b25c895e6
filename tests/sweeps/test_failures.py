"""What follows a trial that fails: told at once with the command that runs it again, and the others as sweep.on_error says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.sweeps.journal import FILE
from tests import recorder

Command = Callable[..., int]
STOPS = "the sweep stops at its first failure, as sweep.on_error = stop asks\n"


def seeds() -> list[int]:
    return [experiment.seed for experiment, _, _ in recorder.calls]


def test_a_failure_stops_a_sweep_that_asks_for_it(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("-m", "seed=0,1,2", "sweep.on_error=stop", "hydra.sweep.dir=s")
    assert command(*argv, train="diverge_at_seed_1") == 3
    assert seeds() == [0] and STOPS in capsys.readouterr().err
    assert command("-m", "resume=s", train="diverge_at_seed_1") == 3  # what diverged is over, the third is left


def test_a_failure_in_a_stack_saves_and_stops_those_that_train_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = "architecture=mlp_small"
    rates = "optimizer.learning_rate=0.1,1e30,0.01"
    asked = ["-m", small, "optimizer=sgd", rates, "training.epochs=400", "tracking=none", "hydra.sweep.dir=s"]
    assert cli.main([*asked, "sweep.on_error=stop"]) == 1
    err = capsys.readouterr().err
    assert err.count(": error: ") == 1 and "job 1: learning_rate=1e+30: error: " in err and STOPS in err
    again = "this one again: python -m pipeline architecture=mlp_small optimizer=sgd optimizer.learning_rate=1e+30"
    assert again in err
    ends = [line for line in map(json.loads, (Path("s") / FILE).read_text().splitlines()) if line["event"] == "end"]
    assert sorted(line["status"] for line in ends) == ["diverged", "killed", "killed"]
    assert cli.main(["-m", "resume=s", "sweep.on_error=continue"]) == 3
    out = capsys.readouterr().out
    assert "sweep s: 3 jobs, 1 of them over" in out and "400 epochs" in out


def test_a_trial_that_failed_is_tried_again_as_often_as_is_asked(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1,2", "sweep.on_error=retry(2)", train="fail_once_at_seed_1") == 0
    assert seeds() == [0, 1, 2, 1]
    err = capsys.readouterr().err
    assert err == (
        "job 1: seed=1: error: No space left on device\nthis one again: python -m pipeline seed=1\n"
        "job 1: seed=1: is tried again, 2 more times at most\n"
    )


def test_what_would_fail_in_the_same_way_is_not_tried_again(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=9,1", "sweep.on_error=retry(2)", train="fail_always") == 1
    assert sorted(seeds()) == [1, 1, 1, 9]
    assert capsys.readouterr().err.count("is tried again") == 2


def test_a_fault_that_all_share_is_told_once(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1,2,3", train="data_error") == 1
    assert capsys.readouterr().err == (
        "job 0: seed=0: error: my.csv: no column price; did you mean prices?\n"
        "this one again: python -m pipeline seed=0\n3 more jobs: the same error\n"
    )


def test_the_command_that_runs_a_trial_again_works_when_pasted(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    assert command("-m", "+experiment=random_search", "hydra.sweeper.trials=2", "seed=1", train="diverge_at_seed_1") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("this one again: ")]
    words = shlex.split(lines[0])[3:]
    assert words[:3] == ["python", "-m", "pipeline"] and words[-1] == "hydra.mode=RUN"
    drawn = recorder.calls  # nothing ran: all failed
    assert drawn == []
    assert command(*words[3:]) == 0
    (asked,) = recorder.calls
    assert command("-m", "+experiment=random_search", "hydra.sweeper.trials=1", "seed=1") == 0
    assert recorder.calls[1][0] == asked[0]


@pytest.mark.parametrize("word", ["never", "retry", "retry(0)", "retry(x)"])
def test_a_word_that_is_none_is_refused(command: Command, capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert command("-m", "seed=0,1", f"sweep.on_error={word}") == 2
    hint = "use continue, stop, or retry(2) with the number of tries you want"
    assert capsys.readouterr().err == f"error: sweep.on_error = {word}: unknown choice; {hint}\n"
