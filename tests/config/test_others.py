"""Config files of others describe experiments: whatever else they would set is refused before Hydra obeys it, however it is led there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline import cli, text

SMALL = ("data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=1", "tracking=none", "output=run")
HYDRA = "a config file would set up Hydra itself, not an experiment"
BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVIAR_SECRET", "s3cr3t-of-the-environment")
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    return tmp_path / "mine"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


E = "experiment/e.yaml"
HEAD = "# @package _global_\n"
REFUSED = {
    "logging": ({E: f"{HEAD}hydra:\n  job_logging:\n    root: {{level: DEBUG}}\n"}, "hydra.job_logging.root.level", HYDRA),
    "folder": ({E: f"{HEAD}hydra: {{run: {{dir: elsewhere}}}}\n"}, "hydra.run.dir = elsewhere", HYDRA),
    "variables": ({E: f"{HEAD}hydra: {{job: {{env_set: {{PATH: x}}}}}}\n"}, "hydra.job.env_set.PATH = x", HYDRA),
    "callbacks": ({E: f"{HEAD}hydra: {{callbacks: {{a: {{_target_: os.system}}}}}}\n"}, "hydra.callbacks.a._target_ = os.system", HYDRA),
    "launcher": ({E: f"{HEAD}hydra: {{launcher: {{_target_: os.system}}}}\n"}, "hydra.launcher._target_ = os.system", HYDRA),
    "sweeper": ({E: f"{HEAD}hydra: {{sweeper: {{max_batch_size: 3}}}}\n"}, "hydra.sweeper.max_batch_size = 3", HYDRA),
    "chdir": ({E: f"{HEAD}hydra: {{job: {{chdir: true}}}}\n"}, "hydra.job.chdir = true", HYDRA),
    "searchpath": ({E: f"{HEAD}hydra: {{searchpath: ['file:///elsewhere']}}\n"},
                   "config: In 'experiment/e': Overriding hydra.searchpath", "only supported from the primary config"),
    "package": ({E: "# @package hydra.run\ndir: elsewhere\n"}, "hydra.run.dir = elsewhere", HYDRA),

     "package of a default": ({E: f"{HEAD}defaults: [{{/own@hydra.job: x}}]\n", "own/x.yaml": "chdir: true\n"},
     "hydra.job.chdir = true", HYDRA),
    "relative default": ({E: "defaults: [../own/x@_global_.hydra.job]\n", "own/x.yaml": "chdir: true\n"}, "hydra.job.chdir = true", HYDRA),
    "target": ({E: f"{HEAD}optimizer: {{_target_: os.system}}\n"}, "optimizer._target_ = os.system", "a config file makes no objects"),
    "store": ({E: f"{HEAD}tracking: {{uri: 'http://elsewhere'}}\n"}, "tracking.uri = http://elsewhere", "is named on the command line"),

     "store of an option": ({E: f"{HEAD}defaults: [{{override /tracking: own}}]\n",
                            "tracking/own.yaml": "kind: mlflow\nuri: http://elsewhere\n"},
                           "tracking.uri = http://elsewhere", "is named on the command line"),
    "store of an arm": ({E: f"{HEAD}arms: {{a: {{tracking: {{uri: 'http://elsewhere'}}}}}}\n"},
     "arms.a.tracking.uri", "is named on the command"),
    "output": ({E: f"{HEAD}output: ../elsewhere\n"}, "output = ../elsewhere", "is named on the command line"),
    "cluster": ({E: f"{HEAD}sweep: {{engine: ray, address: 'ray://elsewhere:10001'}}\n"}, "sweep.engine = ray", "is named on the command"),
    "jobs": ({E: f"{HEAD}sweep: {{options: {{slurm_setup: [date]}}}}\n"}, "sweep.options.slurm_setup.0", "is named on the command"),
    "cluster of an arm": ({E: f"{HEAD}arms: {{a: {{sweep.engine: slurm}}}}\n"}, "arms.a.sweep.engine", "is named on the command"),
    "run": ({E: f"{HEAD}defaults: [{{override /task: evaluate}}]\nrun: elsewhere\n"}, "run = elsewhere", "is named on the command line"),
    "resume": ({E: f"{HEAD}resume: elsewhere\n"}, "resume = elsewhere", "is named on the command line"),
    "rebuild": ({E: f"{HEAD}defaults: [{{override /task: sync}}]\nrebuild: true\n"}, "rebuild = true", "is named on the command line"),
    "a word": ({E: "5\n"}, "config: a file of it is one word or number", "write NAME: VALUE in each line"),
    "variable": ({E: f"{HEAD}data: {{path: '${{oc.env:CAVIAR_SECRET}}'}}\n"},
     "data.path", "give --allow-env CAVIAR_SECRET if that is meant"),
    "variable in a name": ({E: f"{HEAD}tracking: {{experiment: 'x-${{oc.env:CAVIAR_SECRET}}'}}\n"},
     "tracking.experiment", "--allow-env CAVIAR"),
    "variable with a default": ({E: f"{HEAD}seed: ${{oc.env:CAVIAR_SECRET,3}}\n"}, "seed", "--allow-env CAVIAR_SECRET"),
    "nested": ({E: f"{HEAD}seed: ${{oc.decode:${{oc.env:CAVIAR_SECRET}}}}\n"}, "seed", "oc.decode"),
    "made name": ({E: f"{HEAD}keep: [oc.env]\nseed: ${{${{keep.0}}:CAVIAR_SECRET}}\n"}, "seed", "asks the resolver ${keep.0}"),
    "hydra's own": ({E: f"{HEAD}data: {{path: '${{hydra:runtime.cwd}}'}}\n"}, "data.path", "asks the resolver hydra"),
    "clock": ({E: f"{HEAD}tracking: {{experiment: '${{now:%Y}}'}}\n"}, "tracking.experiment", "asks the resolver now"),
    "defaults list": ({E: f"{HEAD}defaults: [{{override /data: '${{oc.env:CAVIAR_SECRET}}'}}]\n"},
     "experiment/e.yaml: defaults", "asks no resolver"),
    "sweep": ({E: f"{HEAD}hydra: {{mode: MULTIRUN, sweeper: {{params: {{++tracking.experiment: '${{oc.env:CAVIAR_SECRET}},b'}}}}}}\n"},
              "hydra.sweeper.params.++tracking.experiment", "the values of a sweep are written out"),
    "aliases": ({E: BOMB}, "experiment/e.yaml", "stands for more than 100,000 values"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_experiment_is_refused_and_nothing_is_done(folder: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    files, at, rule = REFUSED[kind]
    write(folder, files)
    asked = [text for text in SMALL if not (kind == "output" and text.startswith("output"))]
    if kind.startswith("store"):
        asked.remove("tracking=none")
    assert cli.main(["--config-dir", "mine", "+experiment=e", *asked]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {at}") and rule in said and len(said.splitlines()) == 1, said
    assert "s3cr3t" not in said
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mine"]


def test_a_launcher_of_a_defaults_list_is_refused_unless_the_command_line_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hydra keeps the one of the main config, and says nothing of the other."""
    write(folder, {E: f"{HEAD}defaults: [{{override /hydra/launcher: mine}}]\n", "hydra/launcher/mine.yaml": "_target_: os.system\n"})
    alone = [text for text in SMALL if not text.startswith("output")]
    asked = ["-m", "--config-dir", "mine", "+experiment=e", *alone, "seed=0,1"]
    assert cli.main(asked) == 2
    assert capsys.readouterr().err == (
        "error: hydra/launcher = mine: a config file would set up Hydra itself, not an experiment; "
        "give hydra/launcher=mine on the command line if that is meant\n"
    )
    assert cli.main([*asked, "hydra/launcher=stacked"]) == 0, capsys.readouterr().err
    assert "2 trials train together, as one program" in capsys.readouterr().out


def test_what_the_command_line_says_itself_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, {E: f"{HEAD}tracking: {{uri: 'http://elsewhere'}}\nhydra: {{job: {{chdir: true}}}}\n"})
    own = ("hydra.job.chdir=false", "tracking.uri=sqlite:///own.db")
    assert cli.main(["--config-dir", "mine", "+experiment=e", *own, *SMALL]) == 0, capsys.readouterr().err
    write(folder, {E: f"{HEAD}seed: 3\n"})
    assert (
        cli.main(["--config-dir", "mine", "+experiment=e", "tracking.experiment=${oc.env:CAVIAR_SECRET}", *SMALL[:-1], "output=two"]) == 0
    )


def test_an_allowed_variable_gives_a_path_and_stands_nowhere(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text._concealed.clear()
    place = folder.parent / os.environ["CAVIAR_SECRET"]
    place.mkdir()
    rows = "".join(f"{n % 7},{n % 5},{'ab'[n % 2]}\n" for n in range(80))
    (place / "t.csv").write_text(f"x,y,kind\n{rows}")
    write(folder, {E: f"{HEAD}defaults: [{{override /data: table}}]\ndata: {{path: '${{oc.env:CAVIAR_SECRET}}/t.csv', target: kind}}\n"})
    asked = [text for text in SMALL if not text.startswith("data")]
    try:
        assert cli.main(["--config-dir", "mine", "--allow-env", "CAVIAR_SECRET", "+experiment=e", *asked]) == 0, capfd.readouterr().err
        said = capfd.readouterr()
        assert "s3cr3t" not in said.out + said.err
        for path in (folder.parent / "run").rglob("*"):
            assert path.is_dir() or b"s3cr3t" not in path.read_bytes(), path
        assert "path: '***/t.csv'" in (folder.parent / "run" / "config.yaml").read_text()
        write(folder, {E: f"{HEAD}tracking: {{experiment: '${{oc.env:CAVIAR_SECRET}}'}}\n"})
        assert cli.main(["--config-dir", "mine", "--allow-env", "CAVIAR_SECRET", "+experiment=e", *asked[:-1]]) == 2
        assert "what a config file reads from the environment stands in no name or number" in capfd.readouterr().err
    finally:
        text._concealed.clear()


def test_each_job_of_a_sweep_is_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, {E: f"{HEAD}seed: 1\n", "experiment/f.yaml": f"{HEAD}tracking: {{experiment: '${{oc.env:CAVIAR_SECRET}}'}}\n"})
    assert cli.main(["-m", "--config-dir", "mine", "+experiment=e,f", *SMALL[:-1]]) != 0
    assert "tracking.experiment = ${oc.env:CAVIAR_SECRET}: a config file reads the environment" in capsys.readouterr().err


def test_a_folder_of_experiments_works_as_before(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, {E: f"{HEAD}seed: 3\noptimizer: {{learning_rate: 0.01}}\nkeep: []\ntraining: {{batch_size: '${{oc.select:none,16}}'}}\n"})
    assert cli.main(["--config-dir", "mine", "+experiment=e", *SMALL]) == 0, capsys.readouterr().err
    write(folder, {E: f"{HEAD}hydra: {{mode: MULTIRUN, sweeper: {{params: {{++seed: '1,2'}}}}}}\n"})
    assert cli.main(["--config-dir", "mine", "+experiment=e", *SMALL[:-1]]) == 0, capsys.readouterr().err
