"""Sweeps on GPUs: trials train in stacks there too, and each process has a device of its own; the devices are shims."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.cupy import probe
from pipeline.config.sweep_settings import SweepSettings
from pipeline.sweeps.engines import processes
from pipeline.sweeps.engines.processes import Processes
from tests.cuda.beside import needs_compiler
from tests.sweeps.test_stacks import told_of_runs

ROOT = Path(__file__).resolve().parents[2]
SWEEP = (
    "-m", "architecture=mlp_small", "data=digits", "training.epochs=2", "regularization=dropout", "tracking=none",
    "optimizer.learning_rate=0.001,0.01", "seed=0,1,2",
)  # fmt: skip
# every process that starts a backend says which devices it sees
SITE = """
import os
from pathlib import Path
import backends.cupy as package
from backends.cupy import CupyBackend, probe
from tests.cuda.shim import ShimDevice
probe.available = lambda: (True, "a shim")
def create(**_):
    with Path(os.environ["SEEN"]).open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
    return CupyBackend(ShimDevice())
package.create = create
"""


def _swept(project: Path, *words: str) -> tuple[str, dict[int, str]]:
    """What a sweep prints, and which devices each of its processes sees."""
    site = project / "site"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(SITE)
    seen = project / "seen"
    path = os.pathsep.join((str(site), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, "SEEN": str(seen), "CUDA_VISIBLE_DEVICES": "3,GPU-b"}
    command = [sys.executable, "-m", "pipeline", *SWEEP, *words]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = seen.read_text().split("\n") if seen.exists() else []
    return done.stdout, {int(pid): device for pid, device in (line.split(" ", 1) for line in lines if line)}


def _by_name(project: Path) -> dict[str, Any]:
    """What the runs have come to; a trial of another backend is another trial."""
    return {told["name"]: told for told in told_of_runs(project).values()}


@needs_compiler
@pytest.mark.integration
def test_trials_train_in_one_stack_on_a_gpu_and_are_those_of_the_cpu(tmp_path: Path) -> None:
    out, seen = _swept(tmp_path / "gpu", "backend=cupy")
    assert "6 trials train together, as one program" in out and set(seen.values()) == {"3,GPU-b"}
    _swept(tmp_path / "cpu")
    assert _by_name(tmp_path / "gpu") == _by_name(tmp_path / "cpu")


@needs_compiler
@pytest.mark.integration
def test_each_process_of_a_sweep_has_a_device_of_its_own(tmp_path: Path) -> None:
    _, seen = _swept(tmp_path / "gpus", "backend=cupy", "sweep.engine=processes")
    assert sorted(seen.values()) == ["3", "3,GPU-b", "GPU-b"], "the driver plans, and two processes train"
    _swept(tmp_path / "cpu")
    assert _by_name(tmp_path / "gpus") == _by_name(tmp_path / "cpu")


def test_devices_are_shared_out_evenly_and_by_none_who_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [seat.device for seat in Processes(None, ("0", "1", "2"))._free] == ["0", "1", "2"]
    five = Processes(5, ("0", "1"))
    assert [seat.device for seat in five._free] == ["0", "1", "0", "1", "0"] and five.slots == five.among == 5
    assert len({core for seat in five._free for core in seat.cores}) == 8
    assert [seat.device for seat in Processes(2)._free] == [None, None]


def test_with_auto_each_core_has_a_process_and_each_process_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[tuple[int | None, tuple[str, ...]]]()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(processes, "Processes", lambda workers, devices=(): made.append((workers, devices)))
    monkeypatch.setattr(processes.driver, "run", lambda *_: iter(()))
    for kind in ("numpy", "cupy", "auto"):
        trial = SimpleNamespace(experiment=SimpleNamespace(backend=SimpleNamespace(kind=kind)))
        list(processes.run(None, [trial], SweepSettings()))  # type: ignore[arg-type,list-item]  # what is read of them
    assert made == [(None, ()), (None, ("0", "1")), (8, ("0", "1"))]


def test_the_devices_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5")
    assert probe.devices() == ("2", "GPU-5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert probe.devices() == ()


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_ray_gives_each_stack_a_gpu_and_as_many_at_once_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that says it has three; Ray names them to the tasks and asks no driver."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # Ray keeps in mind for the whole process whether it is on
    import ray

    from pipeline.sweeps.engines.on_ray import Cluster

    ray.init(address="local", num_cpus=4, num_gpus=3, log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        assert Cluster(SweepSettings(), gpus=1).slots == 3
        assert Cluster(SweepSettings()).slots == 4
        assert Cluster(SweepSettings(options={"num_gpus": 0.5}), gpus=1).slots == 4
        assert Cluster(SweepSettings(workers=2), gpus=1).slots == 2
        seen = ray.remote(num_cpus=1, num_gpus=1)(_devices)
        assert sorted(ray.get([seen.remote(1.0) for _ in range(3)])) == [("0",), ("1",), ("2",)]
    finally:
        ray.shutdown()


def _devices(seconds: float) -> tuple[str, ...]:
    import time

    from backends.cupy.probe import devices

    time.sleep(seconds)
    return devices()
