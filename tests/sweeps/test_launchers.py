"""Other launchers and sweepers of Hydra: the same runs, table, link, exit code, also where a job fails or is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.sweeps.engines import hydra_jobs
from pipeline.sweeps.journal import ORDERS
from tests.sweeps.test_stacks import told_of_runs

ROOT = Path(__file__).resolve().parents[2]
GRID = ("architecture=mlp_small", "training.epochs=2", "optimizer=sgd", "optimizer.learning_rate=0.1,1e30", "seed=0,1,2")

TINY = """
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

class Tiny(Sweeper):
    # Goes on about the better of two points, batch after batch, as Ax and Nevergrad do with more thought.

    def __init__(self, batches):
        self.batches = batches

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments):
        parsed = OverridesParser.create().parse_overrides(arguments)
        fixed = [o.input_line for o in parsed if not o.is_sweep_override()]
        (wanted,) = [o for o in parsed if o.is_sweep_override()]
        low, high = wanted.value().start, wanted.value().end
        number = 0
        for _ in range(self.batches):
            middle = (low * high) ** 0.5
            points = [(low * middle) ** 0.5, (middle * high) ** 0.5]
            batch = [(*fixed, f"{wanted.get_key_element()}={point!r}") for point in points]
            returns = [made.return_value for made in self.launcher.launch(batch, initial_job_idx=number)]
            number += 2
            low, high = (low, middle) if returns[0] <= returns[1] else (middle, high)
            print("values", returns, flush=True)

ConfigStore.instance().store(
    group="hydra/sweeper", name="tiny", node={"_target_": "hydra_plugins.tiny.tiny.Tiny", "batches": 3}, provider="tiny")
"""

# In the process of a job, not in the command: one trial takes it with it.
KILLER = """
import os, signal, sys
if not any(word == "pipeline" for word in sys.orig_argv[:4]):
    try:
        from pipeline.program.program import Program
    except Exception:
        pass
    else:
        prepare = Program.prepare
        def killed(self, **given):
            if self.config.seed == 1 and self.config.optimizer.learning_rate == 0.1:
                os.kill(os.getpid(), signal.SIGKILL)
            return prepare(self, **given)
        Program.prepare = killed
"""


def command(project: Path, *words: str, kills: bool = False) -> tuple[int, str]:
    """A sweep of its own process, beside the sweeper above -> exit code, what it said."""
    project.mkdir(exist_ok=True)
    plugin = project.parent / "plugins/hydra_plugins/tiny"
    plugin.mkdir(parents=True, exist_ok=True)
    (plugin / "__init__.py").touch()
    (plugin / "tiny.py").write_text(TINY)
    if kills:
        (project.parent / "plugins/sitecustomize.py").write_text(KILLER)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{project.parent / 'plugins'}", "RAY_AUTH_MODE": "disabled"}
    asked = [sys.executable, "-m", "pipeline", "-m", *words]
    done = subprocess.run(asked, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500)
    return done.returncode, done.stdout


def table(said: str) -> list[str]:
    """The count of jobs, and the two tables."""
    rows = said[said.index("ranked by") : said.index("best run")].splitlines()
    return [*re.findall(r"\d+ of \d+ jobs done", said), *(row.rstrip() for row in rows)]


def needs(plugin: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec("hydra_plugins") is not None and importlib.util.find_spec(f"hydra_plugins.{plugin}") is not None
    return pytest.mark.skipif(not found, reason=f"{plugin} is not installed")


OTHERS = [
    pytest.param("basic", (), id="basic"),
    pytest.param("joblib", ("hydra.launcher.n_jobs=2",), marks=[pytest.mark.integration, needs("hydra_joblib_launcher")], id="joblib"),
    pytest.param("submitit_local", (), marks=[pytest.mark.integration, needs("hydra_submitit_launcher")], id="submitit"),
    pytest.param("ray", ("+hydra.launcher.ray.init.num_cpus=2",), marks=[pytest.mark.integration, needs("hydra_ray_launcher")], id="ray"),
]


@pytest.mark.parametrize(("name", "more"), OTHERS)
def test_a_launcher_of_others_gives_the_runs_the_table_the_link_and_the_exit_code_of_ours(
    name: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    code, said = command(ours, *GRID, "hydra.sweep.dir=s")
    assert code == 3
    code, told = command(other, *GRID, "hydra.sweep.dir=s", f"hydra/launcher={name}", *more)
    assert code == 3, told
    assert table(told) == table(said)
    assert told_of_runs(other) == told_of_runs(ours)  # weights, journals, ends: bit for bit
    assert re.search("^MLflow +http.*viewStateShareKey", told, re.MULTILINE)
    assert told.count(": error: training diverged") == 3 and told.count("this one again: python -m pipeline") == 3
    assert not (other / "s" / ORDERS).exists()
    code, again = command(other, "resume=s")
    assert code == 3 and "6 jobs, 6 of them over" in again and table(again) == table(said)


@pytest.mark.parametrize(("name", "more"), OTHERS[1:])
def test_a_job_that_is_killed_under_a_launcher_of_others_fails_alone(name: str, more: tuple[str, ...], tmp_path: Path) -> None:
    code, told = command(tmp_path / "project", *GRID, "tracking=none", f"hydra/launcher={name}", *more, kills=True)
    assert code == 3, told
    assert "2 of 6 jobs done" in told, told
    assert "job 1: learning_rate=0.1 seed=1: error: the process that trained it died 3 times" in told
    assert "this one again: python -m pipeline" in told


@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_a_sweeper_of_others_chooses_trials_by_what_they_give_back(launcher: str, tmp_path: Path) -> None:
    asked = ("architecture=mlp_small", "training.epochs=2", "hydra/sweeper=tiny", "optimizer.learning_rate=interval(1e-5,0.1)")
    code, said = command(tmp_path / "p", *asked, f"hydra/launcher={launcher}", "hydra.sweep.dir=s")
    assert code == 0, said
    assert "hydra/sweeper=tiny chooses its jobs" in said and "6 of 6 jobs done" in said
    assert re.search("^MLflow +http.*viewStateShareKey", said, re.MULTILINE) and "learning_rate" in table(said)[3]
    values = [json.loads(line.removeprefix("values ")) for line in said.splitlines() if line.startswith("values ")]
    assert len(values) == 3 and all(-1 <= value < 0 for pair in values for value in pair)  # minus the accuracy: less is better
    assert max(values[0]) > max(values[-1])  # it went to where the better ones are
    assert ("2 trials train together" in said) == (launcher == "stacked")
    runs = told_of_runs(tmp_path / "p")
    code, again = command(tmp_path / "p", *asked, f"hydra/launcher={launcher}", "hydra.sweep.dir=s")
    assert code == 0 and table(again) == table(said), again
    assert told_of_runs(tmp_path / "p") == runs and len(runs) == 6  # the same points are over: none is run again
    code, other = command(tmp_path / "p", *asked[:-1], "optimizer.learning_rate=interval(1e-5,1)", "hydra.sweep.dir=s")
    assert code == 2 and "holds another search (optimizer.learning_rate interval(1e-5,0.1) -> interval(1e-5,1))" in other


def test_a_trial_that_fails_is_a_bad_one_to_a_sweeper_of_others(tmp_path: Path) -> None:
    asked = ("architecture=mlp_small", "training.epochs=1", "optimizer=sgd", "hydra/sweeper=tiny", "hydra.sweeper.batches=1")
    code, said = command(tmp_path / "p", *asked, "optimizer.learning_rate=interval(1e-9,1e15)", "tracking=none")
    assert code == 3 and ", inf]" in said and "1 of 2 jobs done" in said, said


def test_a_launcher_that_does_nothing_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*given: Any, **more: Any) -> None:
        raise ValueError("no such partition")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hydra_jobs, "launch", broken)
    assert cli.main(["-m", "seed=0,1", "tracking=none", "hydra/launcher=basic", "hydra.sweep.dir=s"]) == 2
    told = capsys.readouterr().err
    assert told == "error: hydra/launcher = basic: ValueError: no such partition; mend it, or leave it out\n"
    assert list(tmp_path.iterdir()) == []


def test_two_who_are_asked_to_train_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "seed=0,1", "hydra/launcher=basic", "sweep.engine=processes"]) == 2
    line = "error: sweep.engine = processes: hydra/launcher = basic is asked to run the trials too; leave one of them out\n"
    assert capsys.readouterr().err == line and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("hydra.run.dir=out",),
            "hydra.run.dir = out: each run makes a folder of its own in runs/; leave it out; output=... gives one run a folder",
        ),
        (
            ("-m", 'hydra.sweeper.params={seed: "0,1"}'),
            'hydra.sweeper.params = {seed: "0,1"}: is read in config files; write seed=... on the command line',
        ),
        (
            ("-m", '+hydra.sweeper.params.seed="0,1"'),
            'hydra.sweeper.params.seed = "0,1": is read in config files; write seed=... on the command line',
        ),
    ],
)
def test_what_hydra_would_do_elsewhere_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(list(words)) == 2
    assert capsys.readouterr().err == f"error: {line}\n" and list(tmp_path.iterdir()) == []


def test_the_launcher_is_part_of_what_is_installed() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert "hydra_plugins*" in found and not (ROOT / "hydra_plugins/__init__.py").exists()
