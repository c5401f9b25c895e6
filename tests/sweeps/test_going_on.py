"""A sweep goes on where it was stopped or killed, and counts nothing twice, whatever is run again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.sweeps.journal import FILE, SweepJournal
from pipeline.tracking.folder import run_folders
from pipeline.tracking.journal import last_values, read_journal
from tests import recorder

Command = Callable[..., int]
SMALL = ("-m", "architecture=mlp_small", "training.epochs=2", "tracking=none")


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def found(project: Path, sweep: Path) -> dict[object, dict[str, float]]:
    """Job -> its metrics, of the runs that the journal names last."""
    runs = {line["job"]: project / str(line["folder"]) for line in lines(sweep) if line["event"] == "run"}
    return {job: {k: v for k, v in last_values(read_journal(run)).items() if "time" not in k} for job, run in sorted(runs.items())}  # type: ignore[type-var]  # numbers


def shown(text: str) -> list[str]:
    """What is said after the trainings, without the names of folders."""
    tail = text[text.index("ranked by") :]
    return [re.sub(r"runs/\S+", "RUN", line).rstrip() for line in tail.splitlines()]


def test_the_same_command_into_the_same_folder_repeats_no_trial_and_gives_the_same_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*SMALL, "seed=0,1,2", "optimizer.learning_rate=0.1,0.01", "hydra.sweep.dir=sweeps/s"]
    assert cli.main(command) == 0
    first, folders = capsys.readouterr().out, sorted(run_folders(Path("runs")))
    assert len(folders) == 7  # six trials and the summary
    assert cli.main(command) == 0
    second = capsys.readouterr().out
    assert shown(second) == shown(first) and re.search(r"0.1 +3 ", second)
    assert second.startswith("sweep s: 6 jobs, 6 of them over\n")
    assert sorted(run_folders(Path("runs"))) == folders
    assert cli.main(["resume=sweeps/s"]) == 0
    assert shown(capsys.readouterr().out) == shown(first)


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (("seed=0,2",), "seed 0,1 -> 0,2"),
        (("seed=0,1", "optimizer.beta1=0.8"), "optimizer.beta1 (not given) -> 0.8"),
        (("seed=1,0",), "seed 0,1 -> 1,0"),
    ],
)
def test_another_space_in_the_same_folder_is_refused_with_the_difference(
    command: Command, capsys: pytest.CaptureFixture[str], again: tuple[str, ...], told: str
) -> None:
    assert command("-m", "seed=0,1", "hydra.sweep.dir=here") == 0
    capsys.readouterr()
    assert command("-m", *again, "hydra.sweep.dir=here") == 2
    line = f"error: hydra.sweep.dir = here: holds a sweep of other values ({told}); give another folder, or go on with resume=here\n"
    assert capsys.readouterr().err == line
    assert len(recorder.calls) == 2


def test_other_values_for_a_sweep_that_goes_on_are_refused(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1", "hydra.sweep.dir=here") == 0
    assert command("-m", "resume=here", "training.epochs=9") == 2
    line = "error: training.epochs = 9: a sweep goes on with the values that it was begun with; leave it out\n"
    assert capsys.readouterr().err == line


def test_two_continuations_of_one_sweep_at_once_are_one_and_a_refusal(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("-m", "seed=0,1", "hydra.sweep.dir=here") == 0
    capsys.readouterr()
    other = SweepJournal(Path("here"), project=tmp_path)
    try:
        assert command("-m", "resume=here") == 2
        assert capsys.readouterr().err == "error: here: another process runs this sweep; wait for its end, or stop it first\n"
    finally:
        other.close()  # as death does: the system closes what a process had open
    assert command("-m", "resume=here") == 0


def test_how_a_sweep_is_run_may_be_another_when_it_goes_on(command: Command) -> None:
    assert command("-m", "seed=0,1", "hydra.sweep.dir=here") == 0
    assert command("-m", "resume=here", "sweep.on_error=retry(1)", "sweep.stack=false") == 0
    assert len(recorder.calls) == 4  # the recorder makes no runs: nothing is over


def test_ctrl_c_names_the_command_that_goes_on_and_it_runs_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.sweeps import work

    monkeypatch.chdir(tmp_path)
    real, count = work.tasks.run, [0]

    def interrupted(*given: object) -> object:
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(work.tasks, "run", interrupted)
    assert cli.main([*SMALL, "seed=0,1,2", "hydra.sweep.dir=s", "sweep.stack=false"]) == 130
    out = capsys.readouterr().out
    assert "note: go on with python -m pipeline -m resume=s" in out
    assert cli.main(["-m", "resume=s"]) == 0
    assert count[0] == 4  # job 0, the one that was stopped, and the two that were left
    assert len(found(tmp_path, Path("s"))) == 3 and len(list(run_folders(Path("runs")))) == 4


def test_a_sweep_that_is_killed_again_and_again_ends_as_one_that_never_was(tmp_path: Path) -> None:
    asked = ["architecture=mlp_small", "training.epochs=40", "tracking=none", "optimizer.learning_rate=0.1,0.01", "seed=0,1,2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def start(project: Path, *words: str) -> subprocess.Popen[bytes]:
        project.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pipeline", "-m", *words]
        return subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, *asked, "hydra.sweep.dir=s").wait(300) == 0
    for moment, (wanted, delay) in enumerate([(1, 0.0), (2, 0.0), (3, 0.05), (5, 0.02), (8, 0.1), (12, 0.0)]):
        process = start(killed, *(["resume=s"] if moment % 2 and (killed / "s" / FILE).exists() else [*asked, "hydra.sweep.dir=s"]))
        end = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < end:
            if (killed / "s" / FILE).exists() and len((killed / "s" / FILE).read_bytes().splitlines()) >= wanted:
                break
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGINT if moment == 3 else signal.SIGKILL)
        process.wait()
    assert start(killed, "resume=s").wait(300) == 0
    assert found(killed, killed / "s") == found(whole, whole / "s")
    assert len(list(run_folders(killed / "runs"))) == len(list(run_folders(whole / "runs"))) == 7
