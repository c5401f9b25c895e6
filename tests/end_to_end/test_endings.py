"""However a command ends, it says so in a line: signals, memory, a machine without a home, what nobody foresaw."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline import __main__ as door
from pipeline.tracking.journal import damaged, end_of, read_journal
from tests.end_to_end.conftest import Command, command, environment

LONG = ("data=digits", "architecture=mlp_small", "training.epochs=100000", "output=run")


def finished(work: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=work, env=env or environment(), capture_output=True, text=True, timeout=120)


def begun(work: Path) -> subprocess.Popen[str]:
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*LONG), cwd=work, env=environment(), text=True, **streams)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_hup_and_term_end_a_run_like_ctrl_c(work: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        command(*LONG), cwd=work, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (work / "run" / "journal.jsonl").exists() or '"metric"' not in (work / "run" / "journal.jsonl").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number and re.fullmatch(r"stopped .*; go on with resume=run\n", said)
    end = end_of(read_journal(work / "run"))
    assert end is not None and end.status == "KILLED"


@pytest.mark.parametrize("after", [0.3, 0.6])  # before that it may be Python itself that is starting
def test_ctrl_c_in_the_first_second_is_one_line(work: Path, after: float) -> None:
    with subprocess.Popen(
        command(*LONG), cwd=work, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT) and len(said.splitlines()) <= 1


def test_a_network_larger_than_the_machine_is_refused_before_anything_is_taken(pipeline_command: Command) -> None:
    done = pipeline_command("data=iris", "architecture.layers=[{kind:dense,units:2000000000}]")
    assert done.returncode == 2
    assert re.match(r"error: architecture = \d layers: its parameters and the optimizer's state take [\d,]+ GiB, and this", done.stderr)


def test_a_machine_without_a_home_trains(work: Path) -> None:
    bare = {name: value for name, value in environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    assert finished(work, "data=iris", "training.epochs=1", env=bare).returncode == 0


@pytest.mark.parametrize("words", [('regularization=["x",null,5e-324]',), ("--config-dir", "others", "+experiment=bad")])
def test_what_hydra_cannot_read_is_one_line(work: Path, words: tuple[str, ...]) -> None:
    (work / "others" / "experiment").mkdir(parents=True)
    (work / "others" / "experiment" / "bad.yaml").write_text("a: [1\n b: }")
    done = finished(work, *words)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), RecursionError("deep"), AssertionError("a mistake\nof ours")])
def test_what_nobody_foresaw_is_one_line_and_a_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken() -> int:
        raise error

    monkeypatch.setattr("pipeline.cli.main", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert door.run() == 1
    said = capsys.readouterr().err
    (log,) = tmp_path.iterdir()
    assert re.fullmatch(rf"error: .*; the rest is in {log}\n", said) and "Traceback" in log.read_text()


def test_a_budget_of_seconds_is_that_of_the_clock(work: Path) -> None:
    start = time.monotonic()
    done = finished(work, "data=iris", "architecture=mlp_small", "training=default", "budget=seconds", "budget.seconds=6")
    assert done.returncode == 0 and "to the end of budget.seconds = 6" in done.stdout
    assert time.monotonic() - start < 20, "of the machine's clock, with the start of Python, on a busy machine"


def test_a_command_whose_streams_are_closed_writes_into_no_file_of_its_own(work: Path) -> None:
    words = shlex.join(command("data=iris", "training.epochs=1", "output=run"))
    done = subprocess.run(["sh", "-c", f"exec {words} <&- >&- 2>&-"], cwd=work, env=environment(), timeout=120)
    assert done.returncode == 0 and damaged(work / "run") == []
    end = end_of(read_journal(work / "run"))
    assert end is not None and end.status == "FINISHED"


def test_python_that_leaves_out_asserts_and_knows_few_letters_trains(work: Path) -> None:
    few = {"PYTHONOPTIMIZE": "2", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = finished(work, "data=iris", "training.epochs=1", env=environment() | few)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_told(pipeline_command: Command, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "gone").mkdir()
    monkeypatch.chdir(work / "gone")
    (work / "gone").rmdir()
    done = pipeline_command("data=iris")
    monkeypatch.chdir(work)
    assert (done.returncode, done.stderr) == (2, "error: command line: the current folder is gone; change to another one (cd)\n")
