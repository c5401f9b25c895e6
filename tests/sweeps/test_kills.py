"""Nothing is lost: kill -9 of whoever takes part in a sweep, at any moment, and a tracking server that goes and comes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pipeline.sweeps.journal import FILE
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import run_folders
from tests.sweeps.test_engines import start, workers
from tests.sweeps.test_going_on import lines, shown
from tests.sweeps.test_stacks import told_of_runs

GRID = ("architecture=mlp_small", "optimizer.learning_rate=0.1,0.01")
SMALL = (*GRID, "training.epochs=3,60", "seed=0,1")
LARGE = (*GRID, "training.epochs=3,30,80,200", "seed=range(0,8)")  # 64 trials


def senders(driver: int) -> list[int]:
    """The processes that write MLflow for a driver."""
    found = []
    for pid in Path(f"/proc/{driver}/task/{driver}/children").read_text().split():
        with contextlib.suppress(OSError):
            found += [int(pid)] if b"pipeline.tracking.sender" in Path(f"/proc/{pid}/cmdline").read_bytes() else []
    return found


def kill(driver: subprocess.Popen[str], who: str) -> bool:
    """kill -9 of the driver, a worker or the sender -> whether there was one."""
    try:
        found = {"driver": lambda: [driver.pid], "worker": lambda: workers(driver.pid), "sender": lambda: senders(driver.pid)}[who]()
    except OSError:  # the driver has ended by itself
        return False
    for pid in found[:1] if driver.poll() is None else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def in_mlflow(database: Path) -> dict[str, Any]:
    """Name -> status, parameters and metrics of each run, each of which is there once; times are not compared."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        runs = connection.execute("SELECT run_uuid, name, status FROM runs").fetchall()
        names = [name for _, name, _ in runs]
        assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
        told = {}
        for uid, name, status in runs:
            if name.startswith("sweep: "):
                told[name] = status
                continue
            metrics = connection.execute("SELECT key, step, value FROM metrics WHERE run_uuid = ? AND key NOT LIKE 'time/%'", [uid])
            params = connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", [uid])
            told[name] = (status, sorted(metrics.fetchall()), sorted(params.fetchall()))
    return told


def until_all_is_sent(project: Path) -> None:
    """Waits for the sender, which outlives the sweep."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if all(read_sent(folder).ended for folder in run_folders(project / "runs")):
            return
        time.sleep(0.2)
    raise AssertionError([folder.name for folder in run_folders(project / "runs") if not read_sent(folder).ended])


def killed(project: Path, asked: tuple[str, ...], kills: int, seed: int, longest: float) -> str:
    """A sweep that is killed so often, then gone on with to its end -> what that said."""
    chance, done = random.Random(seed), 0
    while done < kills:
        words = ("resume=s",) if (project / "s" / FILE).exists() and lines(project / "s") else (*asked, "hydra.sweep.dir=s")
        who = chance.choice(["driver", "worker", "sender"])
        engine = ("sweep.engine=processes", "sweep.workers=2") if who == "worker" else ("sweep.engine=local",)
        driver = start(project, *words, *engine)
        time.sleep(chance.uniform(0.1, longest))
        done += kill(driver, who)
        if who != "driver":  # the driver goes on; until it is killed in its turn
            time.sleep(chance.uniform(0.1, longest))
            done += kill(driver, "driver")
        if driver.poll() is None and not kill(driver, "driver"):
            driver.kill()
        driver.communicate()
    last = start(project, "resume=s", "sweep.engine=local")
    out, _ = last.communicate(timeout=500)
    assert last.returncode == 0, out
    return out


@pytest.mark.parametrize(
    ("asked", "kills", "longest"),
    [
        pytest.param(SMALL, 2, 2.0, id="8 trials, 2 kills"),
        pytest.param(SMALL, 5, 3.0, id="8 trials, 5 kills", marks=pytest.mark.slow),
        pytest.param(LARGE, 20, 8.0, id="64 trials", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_that_is_killed_at_random_moments_is_one_that_never_was(
    asked: tuple[str, ...], kills: int, longest: float, tmp_path: Path
) -> None:
    whole = start(tmp_path / "whole", *asked, "hydra.sweep.dir=s")
    said, _ = whole.communicate(timeout=500)
    assert whole.returncode == 0, said
    again = killed(tmp_path / "killed", asked, kills, seed=kills, longest=longest)
    table = [line for line in shown(again) if "http" not in line]
    assert table == [line for line in shown(said) if "http" not in line]
    trials = told_of_runs(tmp_path / "whole")
    assert told_of_runs(tmp_path / "killed") == trials and len(trials) in (8, 64)
    assert len(list(run_folders(tmp_path / "killed/runs"))) == len(trials) + 1
    for project in ("whole", "killed"):
        until_all_is_sent(tmp_path / project)
    assert in_mlflow(tmp_path / "killed/mlflow.db") == in_mlflow(tmp_path / "whole/mlflow.db")


@pytest.mark.slow
def test_eight_sweeps_started_at_one_moment_in_a_fresh_folder_all_succeed(tmp_path: Path) -> None:
    sweeps = [start(tmp_path / "p", *GRID, "training.epochs=2", f"seed={k},{k + 8}") for k in range(8)]
    said = [sweep.communicate(timeout=500)[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0] * 8, said
    assert all("4 of 4 jobs done" in text for text in said)
    until_all_is_sent(tmp_path / "p")
    runs = in_mlflow(tmp_path / "p/mlflow.db")
    assert len(runs) == 8 * 4 + 8 and {told if isinstance(told, str) else told[0] for told in runs.values()} == {"FINISHED"}


class Server:
    """A tracking server of MLflow that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self.start()

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db", "--artifacts-destination", f"{self._folder}/artifacts"]
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1", *store]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, cwd=self._folder, env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload]  # the two above
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2):
                return
            time.sleep(0.2)
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.mark.slow
def test_a_tracking_server_that_is_killed_in_mid_sweep_holds_up_no_step_and_gets_each_point_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    project = tmp_path / "p"
    try:
        epochs = ("training.epochs=200,1500", "sweep.stack=false")  # one after the other
        asked = (*GRID, *epochs, "seed=0,1", f"tracking.uri=http://127.0.0.1:{server.port}", "hydra.sweep.dir=s")
        driver = start(project, *asked)
        end = time.monotonic() + 100
        while not any((folder / "mlflow.json").exists() for folder in run_folders(project / "runs")) and time.monotonic() < end:
            time.sleep(0.05)
        server.kill()
        gone, ended = time.monotonic(), 0
        while ended < 3:  # they train to their ends while nobody answers
            assert driver.poll() is None and time.monotonic() - gone < 100
            ended = sum(line["event"] == "end" for line in lines(project / "s"))
            time.sleep(0.05)
        server.start()
        out, _ = driver.communicate(timeout=300)
        assert driver.returncode == 0 and "8 of 8 jobs done" in out, out
        until_all_is_sent(project)
        runs = in_mlflow(tmp_path / "server.db")
    finally:
        server.kill()
    assert len(runs) == 9
    for name, told in runs.items():
        if isinstance(told, tuple):
            status, metrics, _ = told
            count = 200 if "epochs=200" in name else 1500
            losses = [step for key, step, _ in metrics if key == "loss/train"]
            assert status == "FINISHED" and losses == list(range(1, count + 1)), name  # each once
