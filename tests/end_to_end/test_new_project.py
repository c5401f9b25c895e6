"""A project of one's own, outside the checkout: made by task=new, run at once, also by a wheel in an environment made from nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.tasks.new import PROJECT
from tests.end_to_end.conftest import ROOT, Command

FEW = ("training.epochs=2", "tracking=none")


def test_a_new_project_runs_at_once(work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pipeline_command("task=new", "output=flats")
    assert made.returncode == 0, made.stderr
    assert "next: cd flats && pipeline --config-dir conf +experiment=mine" in made.stdout
    assert {str(path.relative_to("flats")) for path in Path("flats").rglob("*") if path.is_file()} == set(PROJECT)
    monkeypatch.chdir("flats")
    for given in (["data=flats", "task=data"], ["+experiment=mine", *FEW, "output=run"]):
        done = pipeline_command("--config-dir", "conf", *given)
        assert done.returncode == 0, done.stderr
    predicted = pipeline_command("task=predict", "run=run", "data.path=data/flats.csv", "output=predictions.csv", "keep=[flat]")
    assert predicted.returncode == 0, predicted.stderr
    assert Path("predictions.csv").read_text().startswith("flat,price\nF0001,")


def test_an_experiment_of_a_users_own_folder_is_a_sweep_where_its_file_says_so(
    work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only our own folder was looked into: the arms were left out without a word."""
    pipeline_command("task=new")
    done = pipeline_command("--config-dir", "conf", "+experiment=batch_norm_or_not", "training.epochs=1", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert "10 of 10 jobs done" in done.stdout and "arm=batch_norm" in done.stdout


def test_nothing_is_overwritten(work: Path, pipeline_command: Command) -> None:
    (work / "conf/data").mkdir(parents=True)
    (work / "conf/data/flats.yaml").write_text("mine\n")
    done = pipeline_command("task=new")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: output = .: conf/data/flats.yaml is there already and is not overwritten; give output=FOLDER, a new one\n"
    assert [path for path in work.rglob("*") if path.is_file()] == [work / "conf/data/flats.yaml"]


def test_the_package_has_the_products_own_name_too() -> None:
    import caviar
    import pipeline

    assert caviar.__all__ == pipeline.__all__
    assert dir(caviar) == dir(pipeline) == sorted(pipeline.__all__)
    assert all(getattr(caviar, name) is getattr(pipeline, name) for name in pipeline.__all__)
    with pytest.raises(AttributeError, match="module 'caviar' has no attribute 'nope'"):
        caviar.nope  # noqa: B018


@pytest.mark.integration
def test_the_wheel_holds_all_that_is_needed_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"  # building writes beside the source
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "mlruns", "build", "*.egg-info"))
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)], tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    held = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    tops = {name.parts[0] for name in held if not name.parts[0].endswith(".dist-info")}
    assert tops == {"backends", "caviar", "conf", "hydra_plugins", "pipeline"} & tops and {"backends", "caviar", "conf", "pipeline"} <= tops
    options = {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    assert options <= held and {Path("pipeline/project", name) for name in PROJECT.values()} <= held
    assert {Path(top, "py.typed") for top in ("backends", "caviar", "pipeline")} <= held
    python = tmp_path / "env/bin/python"
    _run([sys.executable, "-m", "venv", str(tmp_path / "env")], tmp_path)
    _run([str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)], tmp_path)
    place = tmp_path / "empty"
    place.mkdir()
    command = str(python.with_name("pipeline"))
    _run([command, "task=new", "output=own"], place)
    _run([command, "--config-dir", "conf", "+experiment=mine", *FEW], place / "own")
    _run([str(python), "-m", "caviar", "data=iris", *FEW], place)
    where = "import caviar, pathlib, pipeline; print(pathlib.Path(pipeline.__file__).parents[1])"
    assert "site-packages" in _run([str(python), "-c", where], place)


def _run(command: Sequence[str], folder: Path) -> str:
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=without, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout
