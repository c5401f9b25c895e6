"""The sender process: training neither imports MLflow nor waits for it, and the status is right however the training ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info, write_info
from pipeline.tracking.outbox import open_sender
from pipeline.tracking.process import Process, this_process
from pipeline.tracking.sender import sync
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker, start

TRAINING = """
    import sys, time
    from pathlib import Path
    from pipeline.tracking.settings import Tracking
    from pipeline.tracking.tracker import start

    with start(Tracking(experiment="bn"), name="bn", config={"seed": 0}, project=Path.cwd(), seed=0) as tracker:
        for epoch in range(%d):
            tracker.metrics(epoch, {"loss/train": 1 / (epoch + 1)})
            print(epoch, flush=True)
            time.sleep(%f)
    print(tracker.finish("FINISHED"))
    print([name for name in ("mlflow", "matplotlib", "pandas") if name in sys.modules])
"""


def training(project: Path, epochs: int, pause: float) -> subprocess.Popen[str]:
    code = textwrap.dedent(TRAINING) % (epochs, pause)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives it: signals of the terminal go to all of it
    )


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return found


def only_run(project: Path) -> Path:
    (folder,) = (project / "runs").iterdir()
    return folder


def status(store: Store, folder: Path) -> str:
    return str(connect(store)[0].get_run(read_sent(folder).run_id).info.status)


def test_training_imports_no_mlflow_and_the_link_comes_with_the_status(project: Path, store: Store) -> None:
    with training(project, epochs=3, pause=0.01) as process:
        out, errors = process.communicate()
    lines = out.splitlines()
    folder = only_run(project)
    run_id = read_sent(folder).run_id
    assert (process.returncode, errors, lines[-1]) == (0, "", "[]")
    assert lines[-2] == (
        f"http://127.0.0.1:5000/#/experiments/1/runs/{run_id}?workflowType=machine_learning"
        "   (after: mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000)"
    )
    assert status(store, folder) == "FINISHED"
    assert not (folder / "sender.log").exists()


def test_kill_9_is_seen_at_once(project: Path, store: Store) -> None:
    with training(project, epochs=1000, pause=0.05) as process:
        folder = until(lambda: (project / "runs").exists() and list((project / "runs").iterdir()))[0]
        until(lambda: read_sent(folder).offset > 0)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    before = time.monotonic()
    until(lambda: read_sent(folder).ended)
    assert time.monotonic() - before < 3
    assert status(store, folder) == "KILLED"


def test_ctrl_c_of_the_terminal_reaches_the_training_only(project: Path, store: Store) -> None:
    with training(project, epochs=1000, pause=0.05) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "2":
            pass
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
    assert status(store, only_run(project)) == "KILLED"


def test_one_sender_serves_many_runs_and_is_replaced_when_it_is_killed(project: Path, store: Store) -> None:
    settings = Tracking(experiment="bn")
    with open_sender(settings, project) as sender:
        trackers = [start(settings, name=f"t{job}", config={"seed": job}, project=project, job=job, sender=sender) for job in range(3)]
        until(lambda: read_sent(trackers[2].folder).run_id)
        assert sender._process is not None
        sender._process.kill()
        sender._process.wait()
        for tracker in trackers:
            tracker.metrics(0, {"loss/train": 1.0})
            assert tracker.finish("FINISHED", wait=15).note == ""
    assert [status(store, tracker.folder) for tracker in trackers] == ["FINISHED"] * 3
    assert sender._process.returncode == 0
    client, experiment_id = connect(store)
    assert len(client.search_runs([experiment_id])) == 3


def test_the_next_start_marks_a_trial_that_died_in_an_earlier_sweep(begin: Callable[..., Tracker], project: Path, store: Store) -> None:
    before = begin(output="runs/sweeps/earlier/0")
    before.lock.release()
    lost = before.folder
    gone = Process(host=this_process().host, pid=2**22 + 1, started=0)
    write_info(lost, replace(read_info(lost), process=gone))
    with start(Tracking(experiment="bn"), name="next", config={"seed": 0}, project=project):
        until(lambda: read_sent(lost).ended)
    assert status(store, lost) == "KILLED"


def test_a_fault_before_the_run_leaves_nothing_behind(project: Path) -> None:
    with pytest.raises(ValueError), open_sender(Tracking(experiment="bn"), project):
        raise ValueError("a CSV without the target column")
    assert [path.name for path in project.iterdir()] == ["mlflow.db"]


def test_a_server_that_goes_away_costs_a_note_and_the_run_can_be_sent_later(project: Path, store: Store) -> None:
    class Broken(BaseHTTPRequestHandler):
        """Answers that it is well, and fails at everything else."""

        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 400)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        tracker = start(Tracking(uri=uri, experiment="bn"), name="bn", config={"seed": 0}, project=project)
        tracker.metrics(0, {"loss/train": 1.0})
        until(lambda: read_sent(tracker.folder).note, 60)
        before = time.monotonic()
        receipt = tracker.finish("FINISHED", wait=0.5)
        assert time.monotonic() - before < 2
        assert tracker._sender._process is not None
        os.kill(tracker._sender._process.pid, signal.SIGKILL)  # it would go on trying for some seconds
        until(lambda: not tracker._sender._keeper.is_alive())  # has waited for it
        server.shutdown()
    assert receipt.link is None
    assert receipt.note.startswith(f"tracking.uri = {uri}: ")
    way_out = f"send the rest with task=sync run={tracker.folder} tracking.uri={uri}"
    assert receipt.note.endswith(f"; the run is whole in {tracker.folder}, {way_out}")
    assert "\n" not in receipt.note
    sync(tracker.folder, store=store)
    assert status(store, tracker.folder) == "FINISHED"


@pytest.mark.slow
def test_eight_processes_start_at_once_on_a_database_that_is_not_there(tmp_path: Path) -> None:
    def run(index: int) -> tuple[int, str]:
        with training(tmp_path, epochs=3, pause=2.0) as process:
            _, errors = process.communicate()
            return process.returncode, errors

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == [(0, "")] * 8
    store = Store(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="bn")
    folders = list((tmp_path / "runs").iterdir())
    until(lambda: all(read_sent(folder).complete for folder in folders), 60)
    client, experiment_id = connect(store)
    runs = client.search_runs([experiment_id])
    assert len(runs) == 8 and {run.info.status for run in runs} == {"FINISHED"}
    assert all(len(client.get_metric_history(run.info.run_id, "loss/train")) == 3 for run in runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlruns", "runs"]
