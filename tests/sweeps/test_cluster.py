"""Beyond one machine: a local Ray cluster of two nodes, and submitit's local executor; the runs are those of one machine, bit for bit."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.sweeps.journal import ORDERS
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import run_folders
from pipeline.training.checkpoint import exists
from tests.sweeps.test_engines import LONG, start, until_it_trains
from tests.sweeps.test_going_on import lines
from tests.sweeps.test_stacks import SWEEPS, run, told_of_runs

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # Ray leaves sockets open
LONGER = tuple(word.replace("epochs=300", "epochs=1500") for word in LONG)
ray_is_here = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
submitit_is_here = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each."""
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()
    gc.collect()  # sockets that Ray leaves open are told of here, and not in a test of something else


@pytest.fixture(autouse=True)
def own_connection() -> Iterator[None]:
    """A command has the connection to its cluster until its process ends, and here that lives on."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
        gc.collect()


@ray_is_here
@pytest.mark.parametrize(("name", "shared"), [("one diverges", "null"), ("values", "null"), ("one diverges", "false"), ("cnn", "false")])
def test_each_trial_of_a_ray_cluster_is_the_trial_of_this_process(
    name: str, shared: str, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(tmp_path / "here", monkeypatch, *SWEEPS[name])
    capsys.readouterr()
    asked = (*SWEEPS[name], "sweep.engine=ray", f"sweep.address={cluster.address}", f"sweep.shared={shared}")
    there = run(tmp_path / "there", monkeypatch, *asked)
    assert there == here, capsys.readouterr()
    assert len(list(run_folders(tmp_path / "there/runs"))) == len(here)  # those of the trials, and the summary for the exit code
    assert not list(tmp_path.glob(f"there/runs/sweeps/*/{ORDERS}")) and not list(tmp_path.glob("there/runs/.arriving*"))


@ray_is_here
@pytest.mark.parametrize("shared", ["null", "false"])
def test_mlflow_is_written_by_the_driver_alone(
    shared: str, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["-m", "architecture=mlp_small", "training.epochs=2", "seed=0,1", "sweep.engine=ray", f"sweep.address={cluster.address}"]
    assert cli.main([*asked, f"sweep.shared={shared}"]) == 0
    assert "MLflow      http" in capsys.readouterr().out
    folders, end = list(run_folders(Path("runs"))), time.monotonic() + 60
    while not all(read_sent(folder).ended for folder in folders) and time.monotonic() < end:
        time.sleep(0.1)  # the model and the figures of the best are sent when the command is over
    sent = [read_sent(folder) for folder in folders]
    assert len(sent) == 3 and all(one.run_id and one.ended for one in sent), sent
    assert (tmp_path / "mlflow.db").exists()


@ray_is_here
def test_a_node_that_is_lost_in_mid_sweep_costs_no_trial(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    project = tmp_path / "lost"
    driver = start(project, *LONGER, "sweep.engine=ray", f"sweep.address={cluster.address}", "sweep.workers=3")
    until_it_trains(driver, project, 4)
    time.sleep(0.2)
    cluster.remove_node(node, allow_graceful=False)
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0 and "4 of 4 jobs done" in out, out
    whole = start(tmp_path / "whole", *LONGER)
    whole.communicate(timeout=300)
    assert told_of_runs(project) == told_of_runs(tmp_path / "whole")
    assert len(list(run_folders(project / "runs"))) == 5


@ray_is_here
def test_what_is_finished_comes_home_at_once_and_a_lost_node_costs_what_was_not_sent(cluster: Any, tmp_path: Path) -> None:
    node, project = cluster.add_node(num_cpus=1, resources={"apart": 1}), tmp_path / "apart"
    words = ("architecture=mlp_small", "tracking=none", "hydra.sweep.dir=s", "training.epochs=2,3,30000")
    asked = ("sweep.engine=ray", f"sweep.address={cluster.address}", "sweep.shared=false", "+sweep.options.resources={apart: 0.1}")
    driver = start(project, *words, *asked, "sweep.workers=1")
    until(driver, lambda: sum(line["event"] == "end" for line in lines(project / "s")) == 2, project)
    until(driver, lambda: any(exists(folder / CHECKPOINTS) for folder in run_folders(project / "runs") if "30000" in folder.name), project)
    assert driver.poll() is None
    cluster.add_node(num_cpus=1, resources={"apart": 1})
    cluster.remove_node(node, allow_graceful=False)
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0 and "3 of 3 jobs done" in out and out.count("was lost (Ray says") == 1, out
    assert "job 2" in out.split("was lost (Ray says")[0].splitlines()[-1] and "goes on after the checkpoint" in out, out
    begun = [line["job"] for line in lines(project / "s") if line["event"] == "run"]
    assert begun.count(0) == begun.count(1) == 1
    whole = start(tmp_path / "whole", *words)
    whole.communicate(timeout=300)
    assert told_of_runs(project) == told_of_runs(tmp_path / "whole")
    assert len(list(run_folders(project / "runs"))) == 4


def until(driver: subprocess.Popen[str], holds: Callable[[], bool], project: Path) -> None:
    """Waits for what becomes of the sweep in `project`."""
    until_it_trains(driver, project)
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@ray_is_here
@pytest.mark.parametrize("shared", ["null", "false"])
def test_ctrl_c_saves_what_trains_on_the_cluster(shared: str, cluster: Any, tmp_path: Path) -> None:
    project = tmp_path / "stopped"
    driver = start(project, *LONGER, "sweep.engine=ray", f"sweep.address={cluster.address}", f"sweep.shared={shared}")
    until_it_trains(driver, project, 4)
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 130 and "go on with python -m pipeline -m resume=s" in out and "Traceback" not in out, out
    again = start(project, "resume=s", "sweep.engine=local")
    out, _ = again.communicate(timeout=300)
    assert again.returncode == 0 and "goes on after the checkpoint" in out, out


@ray_is_here
def test_a_cluster_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "seed=0,1", "tracking=none", "sweep.engine=ray", "sweep.address=127.0.0.1:1"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: sweep.address = 127.0.0.1:1: no Ray cluster answers there (") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@ray_is_here
def test_without_an_address_the_cluster_is_one_of_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of one that is gone: Ray would wait for it
    here = run(tmp_path / "here", monkeypatch, *SWEEPS["one diverges"])
    there = run(tmp_path / "there", monkeypatch, *SWEEPS["one diverges"], "sweep.engine=ray")
    assert there == here, capsys.readouterr()


@submitit_is_here
@pytest.mark.parametrize("name", ["one diverges", "early stopping"])
def test_each_trial_of_a_submitit_job_is_the_trial_of_this_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(tmp_path / "here", monkeypatch, *SWEEPS[name])
    there = run(tmp_path / "there", monkeypatch, *SWEEPS[name], "sweep.engine=slurm", "sweep.address=local", "sweep.workers=2")
    assert there == here, capsys.readouterr()


def trainers(parent: int) -> list[int]:
    """The processes of submitit that train, among the children of the children of a process."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"submitit.local._local" in Path(f"/proc/{child}/cmdline").read_bytes():
            found += [int(pid) for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split()]
    return found


@submitit_is_here
def test_a_preempted_job_saves_is_queued_again_and_goes_on(tmp_path: Path) -> None:
    project = tmp_path / "preempted"
    driver = start(project, *LONGER, "sweep.engine=slurm", "sweep.address=local", "sweep.workers=1")
    until_it_trains(driver, project, 4)
    time.sleep(0.2)
    (job,) = trainers(driver.pid)
    os.kill(job, signal.SIGUSR2)  # what SLURM sends before it takes the node away
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0 and "4 of 4 jobs done" in out and "was lost" not in out, out
    assert "goes on after the checkpoint" in out
    (told,) = (project / "s/.submitit").glob("*_0_log.err")
    assert "Requeued job" in told.read_text() or "Requeued job" in told.with_suffix(".out").read_text()
    whole = start(tmp_path / "whole", *LONGER)
    whole.communicate(timeout=300)
    assert told_of_runs(project) == told_of_runs(tmp_path / "whole")


@submitit_is_here
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("sweep.options.timeout=60", "sweep.address=local"),
            "sweep.options = {'timeout': 60}: submitit does not take it (",
        ),
        ((), "sweep.address = null: submitit does not take it ("),
    ],
)
def test_what_submitit_does_not_take_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "seed=0,1", "tracking=none", "sweep.engine=slurm", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {line}") and err.count("\n") == 1, err
    assert list(tmp_path.iterdir()) == []
