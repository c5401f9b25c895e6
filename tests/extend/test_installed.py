"""A package of somebody else, outside this repository, installed by pip: commands, sweeps, both backends, a resumption after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.extend.kinds import KINDS, SLOTS

ROOT = Path(__file__).parents[2]
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "their-kinds"
version = "1.2"
"""
BACKEND = '''
"""A build backend that needs no other package: the wheel of one folder."""
import pathlib, zipfile

INFO = "their_kinds-1.2.dist-info"
FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: their-kinds\\nVersion: 1.2\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "entry_points.txt": "[caviar]\\ntheirs = their_kinds.kinds\\n",
}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "their_kinds-1.2-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        found = {str(path): path.read_text() for path in pathlib.Path("their_kinds").glob("*.py")}
        found |= {f"{INFO}/{path}": text for path, text in FILES.items()}
        for path, text in {**found, f"{INFO}/RECORD": "".join(f"{path},,\\n" for path in [*found, f"{INFO}/RECORD"])}.items():
            wheel.writestr(path, text)
    return name
'''
SLOW = '''

@extend.callback("slow")
class Slow(extend.Callback):
    """Waits after each epoch, and notes how many there were."""

    every_steps = 3
    seconds: float = extend.setting(0.0, least=0)

    def __post_init__(self):
        self.epochs = self.chunks = 0

    def on_step_chunk(self, state):
        self.chunks += 1

    def on_epoch_end(self, state):
        import pathlib, time
        self.epochs += 1
        pathlib.Path("epochs").write_text(str(state.epoch))
        time.sleep(self.seconds)

    def state(self):
        return [self.epochs, self.chunks]

    def restore(self, saved):
        self.epochs, self.chunks = saved
'''
SMALL = (
    "data=spirals", "preprocessing=squash", "architecture.layers=[{kind: dense, units: 8}, {kind: gate, slope: 2}]",
    "training.metrics=[accuracy,surprise]", "training.batch_size=16", "training.epochs=6", "tracking=none",
    "training.checkpoints.every_steps=4",
)  # fmt: skip
WAITS = "callbacks=[{kind: slow, seconds: %s}, {kind: enough, loss: 0.1}]"


class Installed:
    """The package in a folder of its own, and commands that find it there."""

    def __init__(self, place: Path) -> None:
        package, self.target, self.work = place / "package", place / "target", place / "work"
        (package / "their_kinds").mkdir(parents=True)
        self.work.mkdir()
        (package / "pyproject.toml").write_text(PROJECT)
        (package / "backend.py").write_text(BACKEND)
        (package / "their_kinds/__init__.py").write_text('__version__ = "1.2"\n')
        (package / "their_kinds/kinds.py").write_text(KINDS + SLOW + SLOTS.partition("import extend")[2])
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--target", str(self.target), str(package)], check=True, capture_output=True, timeout=300)
        self.env = {**os.environ, "PYTHONPATH": f"{ROOT}:{self.target}"}

    def begin(self, *argv: str) -> subprocess.Popen[str]:
        """A command that goes on by itself."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *argv],
            cwd=self.work, env=self.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *argv: str, code: int = 0) -> str:
        """What a command says."""
        with self.begin(*argv) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == code, f"{argv}: {out}{err}"
        return out + err

    def kept(self, run: str) -> dict[str, object]:
        """Of the checkpoint of a run what does not depend on the clock."""
        manifest = json.loads((self.work / run / "checkpoints/checkpoint.json").read_text())
        lines = (self.work / run / "checkpoints/history.jsonl").read_text().splitlines()
        history = [{k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in lines]
        return {"callbacks": manifest["progress"]["callbacks"], "history": history, "weights": manifest["last"]["sha256"]}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.mark.integration
def test_an_installed_package_is_found_and_its_contract_holds(installed: Installed) -> None:
    told = installed.run("--help")
    assert "layer gate (their_kinds.kinds): open=1.0, slope=1.0, y = x * sigmoid(slope (x W + b))" in told
    assert "rings, spirals, sql" in told
    assert "all 8 checks passed" in installed.run("task=check", "extension=theirs")


@pytest.mark.integration
def test_both_backends_and_every_task(installed: Installed) -> None:
    for backend in ("numpy", "reference"):
        installed.run(*SMALL, WAITS % 0, f"backend={backend}", f"output={backend}", "precision=float64")
    native, oracle = (installed.kept(name)["history"] for name in ("numpy", "reference"))
    assert isinstance(native, list) and isinstance(oracle, list) and len(native) == 6
    for one, other in zip(native, oracle, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    needs = "needs the extension their_kinds.kinds, which can run any code, so nothing of it was imported"
    assert needs in installed.run("task=evaluate", "run=numpy", code=2)
    allow = "extensions=[their_kinds.kinds]"
    assert "surprise" in installed.run("task=evaluate", "run=numpy", allow)
    (installed.work / "new.csv").write_text("a,b\n0.1,0.2\n0.3,-0.4\n")
    installed.run("task=predict", "run=numpy", allow, "data.path=new.csv", "output=predicted.csv")
    assert len((installed.work / "predicted.csv").read_text().splitlines()) == 3
    assert "gate1" in installed.run("task=explain", "run=numpy", "extensions=[theirs]")
    assert "fork of numpy" in installed.run("task=fork", "run=numpy", "training.epochs=7", allow)
    begun = (installed.work / "numpy/journal.jsonl").read_text()
    assert "their_kinds.kinds 1.2 (sha256 " in begun


@pytest.mark.integration
@pytest.mark.parametrize("engine", ["local", "processes", "ray"])
def test_sweeps_train_in_stacks_and_in_other_processes(installed: Installed, engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    swept = "architecture.layers.1.slope=1,2,3"
    told = installed.run("-m", *SMALL, WAITS % 0, swept, f"sweep.engine={engine}", f"hydra.sweep.dir=sweep-{engine}")
    assert "3 of 3 jobs done" in told
    assert engine != "local" or "3 trials train together, as one program" in told
    alone = max((installed.work / "runs").glob("*slope-2*"), key=lambda path: path.stat().st_mtime)
    installed.run(*SMALL, WAITS % 0, f"output=alone-{engine}")
    ours, theirs = installed.kept(str(alone)), installed.kept(f"alone-{engine}")
    assert ours["history"] == theirs["history"] and ours["callbacks"] == theirs["callbacks"]


@pytest.mark.integration
def test_a_run_that_was_killed_goes_on_to_the_same_end(installed: Installed) -> None:
    installed.run(*SMALL, WAITS % 0, "output=whole")
    epochs = installed.work / "epochs"
    epochs.unlink(missing_ok=True)
    with installed.begin(*SMALL, WAITS % 0.7, "output=killed") as process:
        deadline = time.monotonic() + 120
        while not (epochs.exists() and epochs.read_text() == "3") and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert "give extensions=[their_kinds.kinds]" in installed.run("resume=killed", code=2)
    told = installed.run("resume=killed", "extensions=[theirs]")
    assert "goes on after the checkpoint of epoch" in told and "trained 6 epochs" in told
    assert installed.kept("killed") == installed.kept("whole")
