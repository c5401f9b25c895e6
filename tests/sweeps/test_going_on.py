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
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.sweeps.journal import FILE, SweepJournal
from pipeline.tracking.figures import drawn
from pipeline.tracking.folder import run_folders
from pipeline.tracking.journal import Changed, Journal, last_values, read_journal, start_of
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
    (stopped,) = Path("runs").glob("*seed-1")
    with closing(Journal(stopped)) as journal:
        journal.write(Changed(name="digits", params={"training.epochs": "4", "backend.threads": "1"}))
    capsys.readouterr()
    assert cli.main(["-m", "resume=s"]) == 0
    said = "note: job 1 was stopped, and went on by resume= with training.epochs=4: it stands beside trials without that\n"
    assert said in capsys.readouterr().out
    (summary,) = Path("runs").glob("*_sweep*")
    begun = start_of(read_journal(summary))
    assert begun.params["sweep.trials"] == "3" and begun.params["sweep.space.seed"] == '["0", "1", "2"]'
    assert "\n  trials: 3\n" in (summary / "config.yaml").read_text()
    assert "sweep.trials = 3 (1 when it began)" in begun.tags["pipeline.changed"]
    assert "It went on with sweep.trials = 3" in begun.tags["mlflow.note.content"]
    assert "learning_curves" not in dict(drawn(summary, read_journal(summary), "s"))


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


def test_what_a_sweep_prints_goes_on_with_it_and_what_is_no_sweep_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SMALL, "seed=0,1", "hydra.sweep.dir=s"]) == 0
    printed = capsys.readouterr().out
    tables, best = (re.search(rf"{word} +(\S+)", printed)[1] for word in ("tables", "best run"))  # type: ignore[index]  # they are there
    assert not list(Path("runs").glob("*/figures"))  # a folder for pictures comes with the first of them
    for named in ("s", "s/", "s/sweep.jsonl", tables, str(tmp_path / tables)):
        for flags in (["-m"], []):
            assert cli.main([*flags, f"resume={named}"]) == 0
            assert "sweep s: 2 jobs, 2 of them over\n" in capsys.readouterr().out
    fork = (
        f"resume = {best}: a run goes on once, and this sweep asks for it several times; fork it: task=fork run={best} training.epochs=3,4"
    )
    neither = "is neither the folder of a sweep (it has no sweep.jsonl) nor that of a run (it has no run.json); give runs/sweeps/NAME, "
    for argv, line in (
        ([f"resume={best}"], f"resume = {best}: is one run, and no sweep; leave out -m to go on with it"),
        ([f"resume={best}", "training.epochs=3,4"], fork),
        (["resume=s,s"], "resume = s, s: one sweep goes on at a time; give one folder"),
        (["resume=runs"], f"resume = runs: {neither}as the sweep was told"),
        (["resume="], "resume = : names nothing; give the folder of a sweep, or of a run"),
    ):
        assert cli.main(["-m", *argv]) == 2
        assert capsys.readouterr().err == f"error: {line}\n"
    assert not Path("runs/sweeps").exists()
    for task in ("evaluate", "fork", "explain"):
        assert cli.main([f"task={task}", f"run={tables}"]) == 2
        said = f"run = {tables}: is a sweep of 2 trials, and this task works on one run; its best, by accuracy/validation, is run={best}"
        assert capsys.readouterr().err == f"error: {said}\n"
    Path("other").mkdir()
    monkeypatch.chdir("other")  # what a run says of its sweep counts from the project, wherever that is asked
    assert cli.main(["task=evaluate", f"run=../{tables}"]) == 2
    assert "sums up a sweep, and has no network of its own; the sweep is in ../s\n" in capsys.readouterr().err
    assert cli.main(["task=report", f"run=../{tables}", "format=markdown", "output=r.md"]) == 0
    assert "accuracy/validation" in Path("r.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("s").rename("elsewhere")
    assert cli.main(["-m", f"resume={tables}"]) == 2
    gone = f"resume = {tables}: sums up the sweep of s, where there is none any more; give the folder of the sweep"
    assert capsys.readouterr().err == f"error: {gone}\n"
    for argv in (["task=report", f"run={tables}", "format=markdown"], ["task=compare", f"runs=[{tables},{best}]"]):
        assert cli.main(argv) == 2
        assert f"{tables}: sums up the sweep of s, where there is none any more; give the folder" in capsys.readouterr().err


def test_a_trial_that_somebody_lets_train_on_stands_in_the_table_as_its_sweep_trained_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SMALL, "seed=0,1,2", "hydra.sweep.dir=s"]) == 0
    before = capsys.readouterr().out
    folder = next(folder for folder in run_folders(Path("runs")) if "seed-1" in folder.name)
    assert cli.main([f"resume={folder}", "training.epochs=9", "tracking=none"]) == 0
    capsys.readouterr()
    assert cli.main(["resume=s"]) == 0
    after = capsys.readouterr().out
    told = "note: job 1 trained on since, by resume=: the table has it as the sweep trained it\n"
    assert told in after and shown(after.replace(told, "")) == shown(before)


def test_a_report_ranks_by_what_the_sweep_was_judged_by_wherever_that_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pipeline

    monkeypatch.chdir(tmp_path)
    cfg = pipeline.compose(["architecture=mlp_small", "training.epochs=1", "tracking=none"])
    pipeline.sweep(cfg, {"optimizer.learning_rate": [0.1, 0.01]}, settings={"metric": "loss/train"}, folder="s", quiet=True)
    assert cli.main(["task=report", "run=s", "format=markdown"]) == 0
    assert "loss/train" in next(line for line in Path("s/report.md").read_text().splitlines() if "anked by" in line)


def test_the_journal_of_a_sweep_keeps_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    address = "tracking.uri=postgresql://me:SECRET@h/db"
    assert cli.main([*SMALL, "seed=0,1", address, "hydra.sweep.dir=sweeps/s"]) == 0
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"SECRET" not in path.read_bytes(), path
    assert lines(Path("sweeps/s"))[0]["overrides"] and "postgresql://me:***@h/db" in (Path("sweeps/s") / FILE).read_text()
    capsys.readouterr()
    assert cli.main(["resume=sweeps/s"]) == 2
    rule = "no file keeps credentials; give tracking.uri=... again with them"
    assert capsys.readouterr().err == f"error: tracking.uri = postgresql://me:***@h/db: {rule}\n"
    assert cli.main(["resume=sweeps/s", address]) == 0
    assert "2 of them over" in capsys.readouterr().out


def test_a_sweep_that_was_killed_before_its_first_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text('{"event": "swe')
    assert cli.main(["-m", f"resume={tmp_path}"]) == 2
    line = f"error: resume = {tmp_path}: the sweep was stopped before its first line was written; begin it with its own command\n"
    assert capsys.readouterr().err == line
