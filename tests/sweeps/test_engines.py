"""Whatever trains a sweep: the same runs, table, exit code; what is lost is given out again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.sweeps.journal import FILE, ORDERS
from pipeline.tracking.folder import run_folders
from tests.sweeps.test_going_on import found, lines
from tests.sweeps.test_stacks import SWEEPS, run

ROOT = Path(__file__).resolve().parents[2]
LONG = ("architecture=mlp_small", "training.epochs=300", "tracking=none", "seed=0,1,2,3", "hydra.sweep.dir=s")


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    """A sweep of its own in `project`."""
    project.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline", "-m", *words]
    return subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def workers(driver: int) -> list[int]:
    """The processes that train for a driver, by id."""
    own = []
    for pid in Path(f"/proc/{driver}/task/{driver}/children").read_text().split():
        try:
            own += [int(pid)] if b"engines.processes" in Path(f"/proc/{pid}/cmdline").read_bytes() else []
        except OSError:
            continue
    return own


def until_it_trains(driver: subprocess.Popen[str], project: Path, count: int = 1) -> None:
    """Waits until so many trials have a run folder."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        assert driver.poll() is None, driver.communicate()
        if (project / "s" / FILE).exists() and sum(line["event"] == "run" for line in lines(project / "s")) >= count:
            return
        time.sleep(0.01)
    driver.kill()
    raise AssertionError(("nothing trains", driver.communicate()))


@pytest.mark.parametrize("name", ["one diverges", "early stopping"])
def test_each_trial_of_other_processes_is_the_trial_of_this_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(tmp_path / "here", monkeypatch, *SWEEPS[name])
    said = capsys.readouterr()
    there = run(tmp_path / "there", monkeypatch, *SWEEPS[name], "sweep.engine=processes", "sweep.workers=2")
    told = capsys.readouterr()
    assert there == here and len(there) > 3
    assert told.out.count("train together") == 2
    assert told.err.count(": error: ") == said.err.count(": error: ")
    assert not list(tmp_path.glob(f"there/runs/sweeps/*/{ORDERS}"))


def test_the_trials_of_a_killed_process_go_on_in_another(tmp_path: Path) -> None:
    driver = start(tmp_path / "killed", *LONG, "sweep.engine=processes", "sweep.workers=2")
    until_it_trains(driver, tmp_path / "killed", 4)
    time.sleep(0.3)
    os.kill(workers(driver.pid)[0], signal.SIGKILL)
    out, _ = driver.communicate(timeout=200)
    assert driver.returncode == 0 and "was lost (SIGKILL)" in out and "sweep s: 4 of 4 jobs done" in out
    whole = start(tmp_path / "whole", *LONG)
    whole.communicate(timeout=200)
    assert found(tmp_path / "killed", tmp_path / "killed/s") == found(tmp_path / "whole", tmp_path / "whole/s")
    assert len(list(run_folders(tmp_path / "killed/runs"))) == 5  # four trials and the summary


def test_a_driver_that_is_killed_takes_its_processes_with_it_and_the_sweep_goes_on(tmp_path: Path) -> None:
    project = tmp_path / "killed"
    driver = start(project, *LONG, "sweep.engine=processes", "sweep.workers=2")
    until_it_trains(driver, project, 4)
    time.sleep(0.3)
    driver.kill()
    driver.communicate()
    again = start(project, "resume=s", "sweep.engine=processes", "sweep.workers=2")
    out, _ = again.communicate(timeout=200)
    assert again.returncode == 0 and "sweep s: 4 of 4 jobs done" in out, out
    assert len(list(run_folders(project / "runs"))) == 5


def test_ctrl_c_saves_what_trains_elsewhere_and_names_the_command_that_goes_on(tmp_path: Path) -> None:
    project = tmp_path / "stopped"
    driver = start(project, *LONG, "sweep.engine=processes", "sweep.workers=2")
    until_it_trains(driver, project, 4)
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=100)
    assert driver.returncode == 130 and "go on with python -m pipeline -m resume=s" in out, out
    assert "Traceback" not in out
    again = start(project, "resume=s")
    out, _ = again.communicate(timeout=200)
    assert again.returncode == 0 and "goes on after the checkpoint" in out, out


def test_a_trial_that_takes_its_process_with_it_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    # kills the process that prepares the split of seed 1
    (site / "sitecustomize.py").write_text(
        "import sys, os, signal\n"
        "if any('engines.processes' in word for word in sys.orig_argv):\n"
        "    from pipeline.program.program import Program\n"
        "    prepare = Program.prepare\n"
        "    def killed(self, **given):\n"
        "        if self.config.seed == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return prepare(self, **given)\n"
        "    Program.prepare = killed\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{site}")
    small = ("architecture=mlp_small", "training.epochs=2", "tracking=none", "seed=0,1,2", "sweep.engine=processes", "sweep.workers=1")
    made = run(tmp_path / "project", monkeypatch, *small)
    out, err = capsys.readouterr()
    assert made["code"] == 3 and "sweep" in out and "2 of 3 jobs done" in out
    assert "job 1: seed=1: error: the process that trained it died 3 times; give it more memory, or a machine of its own\n" in err
    assert "this one again: python -m pipeline architecture=mlp_small training.epochs=2 tracking=none seed=1\n" in err
