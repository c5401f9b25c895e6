"""Every experiment that compares, at a small size: what its header says comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import pipeline
from pipeline import cli
from pipeline.config import spec
from pipeline.config.arms import with_arm
from pipeline.config.compose import compose
from pipeline.config.overrides import CONF
from pipeline.sweeps import jobs, run
from tests.experiments.conftest import Compared

ACCURACY = "accuracy/validation"
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONF / "experiment").glob("*.yaml"))}
COMPARISONS = [name for name, file in FILES.items() if "arms" in file]


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_arm_is_in_the_sweep_and_is_an_experiment(name: str) -> None:
    params = FILES[name]["hydra"]["sweeper"]["params"]
    assert "++seed" in params and "++arm" in params and FILES[name]["hydra"]["mode"] == "MULTIRUN"
    assert params["++arm"].split(",") == list(FILES[name]["arms"])
    config = compose([f"+experiment={name}"])
    assert config["arm"] is None and "arms" not in config
    plain = {**config, "arms": FILES[name]["arms"]}
    made = [spec.experiment(with_arm({**plain, "arm": arm})) for arm in plain["arms"]]
    assert [each.arm for each in made] == list(plain["arms"])
    assert all(one != other for index, one in enumerate(made) for other in made[:index])


def test_weights_of_zero_never_learn_and_large_ones_learn_badly(compared: Compared) -> None:
    arms = compared("init_rings", "seed=0,1")
    assert list(arms) == ["he", "random_x10", "zeros"]
    assert arms["zeros"].values["loss/validation"].mean == pytest.approx(0.6931, abs=1e-3)
    assert arms["zeros"].values[ACCURACY].mean == pytest.approx(0.5, abs=0.1)
    assert arms["he"].values[ACCURACY].mean > 0.95 and arms["he"].values["loss/train"].mean < 0.1
    assert arms["random_x10"].values["loss/train"].mean > 3 * arms["he"].values["loss/train"].mean


def test_batch_norm_widens_the_range_of_learning_rates(compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    arms = compared("bn_learning_rate", "optimizer.learning_rate=0.1,3", "seed=0,1", "training.epochs=4", code=3)
    assert "training diverged" in capsys.readouterr().err
    assert (arms["plain 3.0"].done, arms["plain 3.0"].trials) == (0, 2)
    best = next(iter(arms.values())).values[ACCURACY].mean
    assert all(arms[f"batch_norm {rate}"].values[ACCURACY].mean > best - 0.06 for rate in (0.1, 3.0))


def test_dropout_beside_batch_norm_adds_nothing(compared: Compared) -> None:
    arms = compared("bn_vs_dropout", "arm=batch_norm,both", "seed=0,1,2", "training.epochs=10")
    assert arms["both"].values[ACCURACY].mean <= arms["batch_norm"].values[ACCURACY].mean + 0.01
    assert min(arm.values[ACCURACY].mean for arm in arms.values()) > 0.85


def test_both_dropouts_reach_the_same_accuracy(compared: Compared) -> None:
    arms = compared("dropout_modes", "seed=0,1", "training.epochs=8")
    assert all(arm.values[ACCURACY].mean > 0.9 for arm in arms.values())
    for arm in arms.values():
        if arm.difference is not None:
            assert abs(arm.difference.mean) <= max(arm.difference.half, 0.02)


@pytest.mark.parametrize(("arm", "scaled"), [("inverted", False), ("traditional", True)])
def test_evaluation_has_no_op_of_inverted_dropout_and_one_product_of_traditional(arm: str, scaled: bool) -> None:
    made = pipeline.compile(compose(["+experiment=dropout_modes", "hydra.mode=RUN", f"arm={arm}"]))
    train, evaluate = (made.structure.lowered(form, 64) for form in ("train", "evaluate"))
    assert any(node.op == "uniform" for node in train.nodes)
    assert not any(node.op == "uniform" for node in evaluate.nodes)
    assert any("dropout" in name for node in evaluate.nodes for name in node.outputs) == scaled


def test_pooling_costs_little_and_the_global_average_more(compared: Compared) -> None:
    arms = compared("pooling", "arm=none,max,global_average", "seed=0,1", "training.epochs=12")
    assert arms["max"].values[ACCURACY].mean > arms["none"].values[ACCURACY].mean - 0.03
    assert list(arms)[-1] == "global_average"


def test_sigmoid_is_last_and_relu_is_not(compared: Compared) -> None:
    arms = compared("activation_zoo", "arm=relu,identity,sigmoid", "seed=0,1", "training.epochs=12")
    assert list(arms)[-2:] == ["identity", "sigmoid"]
    assert arms["sigmoid"].values[ACCURACY].mean < 0.75 < 0.85 < arms["relu"].values[ACCURACY].mean


def test_large_batches_learn_less_of_the_same_rows_unless_the_learning_rate_is_scaled(compared: Compared) -> None:
    arms = compared("batch_budget", "arm=b8,b512,b512_scaled", "seed=0,1")
    small, large, scaled = (arms[name].values["loss/train"].mean for name in ("b8", "b512", "b512_scaled"))
    assert large > 10 * small and abs(scaled - small) < 0.3 * small
    assert abs(arms["b512_scaled"].values[ACCURACY].mean - arms["b8"].values[ACCURACY].mean) < 0.02


def test_random_search_finds_the_best_learning_rates_within_the_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["+experiment=random_search", "tracking=none", "training.epochs=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("ranked by"))
    heading, rows = lines[start + 2].split(), [line.split() for line in lines[start + 4 : start + 13]]
    assert heading[:3] == ["job", "learning_rate", "momentum"] and sorted(row[0] for row in rows) == [str(job) for job in range(9)]
    assert len({row[1] for row in rows}) == len({row[2] for row in rows}) == 9
    assert all(0.01 < float(row[1]) < 0.3 for row in rows[:3])


def test_a_second_stage_is_better_than_the_first_and_near_its_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["+experiment=coarse_to_fine", "tracking=none", "training.epochs=3"]) == 0
    out = capsys.readouterr().out
    assert "end of log(" not in out
    lines = out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("ranked by accuracy/validation"))
    rows = {int(line.split()[0]): [float(cell) for cell in line.split()[1:4]] for line in lines[start + 4 : start + 22]}
    coarse, fine = [rows[k] for k in range(9)], [rows[k] for k in range(9, 18)]
    assert sum(row[2] for row in fine) / 9 > sum(row[2] for row in coarse) / 9 + 0.1
    best = max(coarse, key=lambda row: row[2])[0]
    assert all(best / 10**0.51 <= row[0] <= best * 10**0.51 for row in fine)  # half of a quarter of four decades


def test_trials_of_a_search_are_chosen_on_the_command_line(compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+experiment=random_search", "hydra.sweeper.trials=2", "hydra.sweeper.seed=1", "training.epochs=1", "tracking=none"]
    assert cli.main(words) == 0
    assert "2 of 2 jobs done" in capsys.readouterr().out


def test_a_sweep_keeps_of_a_job_its_metrics_and_not_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: Compared
) -> None:
    finished: list[jobs.SweepResult] = []
    monkeypatch.setattr(run, "sweep_finished", finished.append)
    assert cli.main(["-m", "seed=0,1", "architecture=mlp_small", "training.epochs=1", "tracking=none", "data=iris"]) == 0
    (sweep,) = finished
    for job in sweep.jobs:
        assert isinstance(job.value, dict) and all(isinstance(value, float) for value in job.value.values())
        assert "accuracy/validation" in job.value


def test_one_arm_alone_is_one_run(tmp_path: Path, compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["+experiment=init_rings", "hydra.mode=RUN", "arm=he", "training.epochs=1", "tracking=none", "output=one"]
    assert cli.main(arguments) == 0
    stored = yaml.safe_load((tmp_path / "one" / "config.yaml").read_text())
    assert stored["arm"] == "he" and stored["initialization"]["kind"] == "he" and "arms" not in stored
    assert "sweep" not in capsys.readouterr().out


def test_other_tasks_look_at_one_config_of_a_comparison(compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["+experiment=init_rings", "task=explain", "arm=he"]) == 0
    out = capsys.readouterr().out
    assert out.count("97 parameters") == 1 and "sweep" not in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("arm=hee", "hydra.mode=RUN"), "error: arm = hee: no arm of the experiment; did you mean he?\n"),
        (
            ("arm=he", "hydra.mode=RUN", "initialization=xavier"),
            "error: initialization = xavier: arm he of the experiment sets initialization; "
            "choose among the arms with arm=..., or give hydra.mode=RUN for one run without arms\n",
        ),
    ],
)
def test_a_mistake_about_arms_is_one_line(
    compared: Compared, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], line: str
) -> None:
    assert cli.main(["+experiment=init_rings", *arguments]) == 2
    assert capsys.readouterr().err == line


def test_an_experiment_without_arms_takes_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["+experiment=bn", "arm=he"]) == 2
    assert capsys.readouterr().err == "error: arm = he: the experiment declares no arms; leave it out\n"


def test_an_arm_replaces_kinds_and_merges_the_rest() -> None:
    config = {
        "arm": "one",
        "initialization": {"kind": "he", "distribution": "normal"},
        "regularization": {"dropout": "none", "l2": 0.1},
        "arms": {"one": {"initialization": {"kind": "normal", "std": 2}, "regularization": {"l2": 0.2}, "activation": "tanh"}},
    }
    assert with_arm(config) == {
        "arm": "one",
        "initialization": {"kind": "normal", "std": 2},
        "regularization": {"dropout": "none", "l2": 0.2},
        "activation": "tanh",
    }
