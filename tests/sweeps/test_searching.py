"""A search as a sweep: its jobs, its journal, going on, rungs, and what its trials are judged by."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.config.sweep_settings import SweepSettings
from pipeline.search.parameters import parameter
from pipeline.search.points import ask
from pipeline.search.settings import read_search
from pipeline.sweeps import stacks
from pipeline.sweeps.journal import FILE
from pipeline.sweeps.objective import objectives
from pipeline.sweeps.table import Sweep, summarize_sweep
from pipeline.tracking.folder import run_folders
from tests import recorder

Command = Callable[..., int]
SEARCH = ("-m", "hydra/sweeper=search")
RATE = "optimizer.learning_rate=tag(log,interval(1e-4,1))"
SMALL = ("architecture=linear", "data=iris", "training=fixed", "regularization=none", "training.batch_size=32", "tracking=none")


def test_the_jobs_of_a_search_are_its_points_with_every_seed(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (RATE, "optimizer.beta1=tag(one_minus,interval(0.9,0.999))", "activation=choice(relu,tanh,elu)", "seed=0,1,0")
    assert command(*SEARCH, "hydra.sweeper.trials=4", *words) == 0
    space = [
        parameter("optimizer.learning_rate", "log(1e-4, 1)", at=""),
        parameter("optimizer.beta1", "one_minus(0.9, 0.999)", at=""),
        parameter("activation", ["relu", "tanh", "elu"], at=""),
    ]
    points = ask(read_search({"trials": 4}), tuple(space), [])
    asked: list[Any] = [experiment for experiment, _, _ in recorder.calls]
    assert [each.optimizer.learning_rate for each in asked] == [p["optimizer.learning_rate"] for p in points for _ in range(2)]
    assert [each.optimizer.beta1 for each in asked] == [p["optimizer.beta1"] for p in points for _ in range(2)]
    assert [type(each.activation).__name__.lower() for each in asked] == [p["activation"] for p in points for _ in range(2)]
    assert [each.seed for each in asked] == [0, 1] * 4
    assert [context.job for _, _, context in recorder.calls] == list(range(8))
    assert (
        recorder.calls[0][2].own
        == f"learning_rate={asked[0].optimizer.learning_rate} beta1={asked[0].optimizer.beta1} activation=tanh seed=0"
    )
    lines = (tmp_path / recorder.sweeps[0].folder / FILE).read_text().splitlines()
    assert json.loads(lines[0])["jobs"] == [] and json.loads(lines[1]) == {
        "event": "points",
        "first": 0,
        "points": [dict(p) for p in points],
    }
    assert "search: random, 4 points, 2 runs of each\n  optimizer.learning_rate: log(0.0001, 1.0)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("optimizer.learning_rate=log(1e-4,1)", "log(0.0001, 1.0)"),
        ("optimizer.learning_rate=interval(0.1,1)", "linear(0.1, 1.0)"),
        ("architecture.layers.0.units=int(interval(8,64))", "integer(8, 64, 1)"),
        ("architecture.layers.0.units=tag(log,int(interval(8,64)))", "log_integer(8, 64)"),
        ("training.batch_size=range(16,65,step=16)", "integer(16, 64, 16)"),
        ("optimizer.beta1=range(0.5,0.95,0.1)", "linear(0.5, 0.9, 0.1)"),
        ("optimizer=glob([sgd,nest*])", "choice(nesterov, sgd)"),
        ("architecture.layers.0.units=8,16", "choice(8, 16)"),
    ],
)
def test_a_space_on_the_command_line(command: Command, capsys: pytest.CaptureFixture[str], word: str, kind: str) -> None:
    assert command(*SEARCH, "hydra.sweeper.trials=3", "architecture=mlp_small", word) == 0
    assert f"  {word.partition('=')[0]}: {kind}\n" in capsys.readouterr().out


def test_values_go_together_and_conditions_are_written_in_yaml(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine" / "sweep").mkdir(parents=True)
    (tmp_path / "mine" / "sweep" / "own.yaml").write_text(
        "# @package _global_\ndefaults:\n- override /hydra/sweeper: search\nhydra:\n  sweeper:\n    method: grid\n    levels: 2\n"
        "    space:\n"
        "      optimizer: [sgd, adam]\n      optimizer.beta1: {kind: one_minus, low: 0.9, high: 0.999, when: {optimizer: adam}}\n"
    )
    pair = ("training.batch_size=tag(zip,choice(16,32))", "optimizer.learning_rate=tag(zip,choice(0.1,0.2))")
    assert command("-m", "--config-dir", str(tmp_path / "mine"), "+sweep=own", *pair) == 0
    found = [(e.training.batch_size, e.optimizer.learning_rate, getattr(e.optimizer, "beta1", None)) for e, _, _ in recorder.calls]
    assert sorted(found, key=str) == sorted(
        [(size, rate, beta) for size, rate in ((16, 0.1), (32, 0.2)) for beta in (None, 0.9, 0.999)], key=str
    )


def test_what_is_fixed_settles_conditions(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine" / "sweep").mkdir(parents=True)
    (tmp_path / "mine" / "sweep" / "own.yaml").write_text(
        "# @package _global_\ndefaults:\n- override /hydra/sweeper: search\nhydra:\n  sweeper:\n    trials: 2\n    space:\n"
        "      optimizer: [sgd, adam]\n      optimizer.learning_rate: log(0.1, 1)\n"
        "      optimizer.beta1: {kind: one_minus, low: 0.9, high: 0.999, when: {optimizer: adam}}\n"
    )
    for optimizer, searched in (("adam", True), ("sgd", False)):
        assert command("-m", "--config-dir", str(tmp_path / "mine"), "+sweep=own", f"optimizer={optimizer}") == 0
        assert ("optimizer.beta1: one_minus(0.9, 0.999)\n" in capsys.readouterr().out) is searched


def test_points_that_are_alike_are_run_once_and_told_in_two_lines(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SEARCH, "hydra.sweeper.trials=20", "activation=relu,tanh,elu") == 0
    assert len(recorder.calls) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("note: job ") and second == "note: 16 more have the values of others, too"


def test_a_sweeper_without_m_is_a_sweep_and_says_so(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("hydra/sweeper=search", "hydra.sweeper.trials=2", RATE) == 0
    assert len(recorder.calls) == 2
    assert capsys.readouterr().out.startswith("note: hydra/sweeper=search asks for several runs: this is a sweep, as with -m\n")


def test_what_the_command_line_fixes_is_not_searched_and_it_is_said(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("+experiment=random_search", "optimizer.momentum=0.8", "hydra.sweeper.trials=2") == 0
    assert {e.optimizer.momentum for e, _, _ in recorder.calls} == {0.8}
    assert "note: optimizer.momentum is given one value and not searched\n" in capsys.readouterr().out


def test_ablation_and_coarse_to_fine_come_ready(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "+sweep=ablate", "normalization=batch,none", "activation=relu,tanh") == 0
    assert len(recorder.calls) == 3 * 5 and [context.job for _, _, context in recorder.calls] == list(range(15))
    recorder.calls.clear()
    assert command("+sweep=coarse_to_fine", "hydra.sweeper.trials=6") == 0
    assert len(recorder.calls) == 6
    out = capsys.readouterr().out
    assert (
        "note: sweep=coarse_to_fine asks for several runs: this is a sweep, as with -m\n" in out
        and "search: sobol, 6 points in 3 stages\n" in out
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            (RATE,),
            "hydra.sweeper.trials = null: random needs to know how many; give hydra.sweeper.trials=64",
        ),
        (
            ("hydra.sweeper.trials=4", "optimizer.learning_rate=tag(lgo,interval(1e-4,1))"),
            "optimizer.learning_rate = tag(lgo,...): no scale; did you mean log?",
        ),
        (
            ("hydra.sweeper.trials=4", "optimizer.learning_rate=tag(log,choice(1e-4,1))"),
            "optimizer.learning_rate = tag(log,...): is no tag of values; scales are for interval(low,high); "
            "values that go together have the tag zip",
        ),
        (
            ("hydra.sweeper.trials=4", "optimizer.learning_rate=loguniform(1e-4,1)"),
            "optimizer.learning_rate = loguniform(1e-4,1): unknown kind of space; did you mean log(1e-4,1)?",
        ),
        (
            ("hydra.sweeper.trials=4", "optimizer.learning_rate=zip(1e-4,1)"),
            "optimizer.learning_rate = zip(1e-4,1): zip is not written here; tag the parameters that go together: "
            "a=tag(zip,choice(1,2)) b=tag(zip,choice(3,4))",
        ),
        (
            ("hydra.sweeper.trials=4", "optimizer.learning_rat=log(1e-4,1)"),
            "optimizer.learning_rat = 0.0001: unknown key; did you mean learning_rate?",
        ),
        (("hydra.sweeper.trails=4", RATE), "hydra.sweeper.trails = (given): unknown key; did you mean trials?"),
        (("hydra.sweeper.trials=4", RATE, "activation=relu,tahn"), "activation = tahn: unknown option; did you mean tanh?"),
        (
            ("hydra.sweeper.trials=4", "seed=interval(0,9)"),
            "seed = linear(0.0, 9.0): each point is run with every seed, which is no range; give seed=0,1,2,3, or hydra.sweeper.repeats=4",
        ),
        (
            ("hydra.sweeper.trials=4", "seed=0,1", "hydra.sweeper.repeats=3", RATE),
            "hydra.sweeper.repeats = 3: seed = 0,1 is given too; leave one out",
        ),
        (
            ("hydra.sweeper.trials=4", RATE, "sweep.metric=acuracy/validation"),
            "sweep.metric = acuracy/validation: no metric of a training; did you mean accuracy/validation?",
        ),
        (
            ("hydra.sweeper.trials=4", RATE, "sweep.metric=f1"),
            "sweep.metric = f1: no metric of a training; give sweep.metric=f1/validation",
        ),
        (
            ("hydra.sweeper.trials=4", RATE, "sweep.metric=accuracy/test"),
            "sweep.metric = accuracy/test: trials are chosen on the validation part, and told on test; "
            "give sweep.metric=accuracy/validation",
        ),
        (
            ("hydra.sweeper.trials=4", RATE, "sweep.metric=[loss/validation,time/epoch_s]", "sweep.direction=[minimize]"),
            "sweep.direction = [minimize]: there are 2 metrics; give one direction for each, or auto",
        ),
        (
            ("hydra.sweeper.method=ablate",),
            "hydra.sweeper.method = ablate: there is nothing to search; give the values of factors, that of the baseline first: "
            "normalization=batch,none activation=relu,tanh",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_sentence(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert command(*SEARCH, *words) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
    assert recorder.calls == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", [RATE, "optimizer.learning_rate=log(1e-4,1)"])
def test_a_range_without_a_search_says_what_to_give(command: Command, capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert command("-m", word) == 2
    assert capsys.readouterr().err.endswith(
        "a grid has values, and this is a range; give hydra/sweeper=search hydra.sweeper.trials=64 too\n"
    )


def test_another_search_in_the_same_folder_is_refused_with_the_difference(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    same = (*SEARCH, "hydra.sweep.dir=s", RATE)
    assert command(*same, "hydra.sweeper.trials=3") == 0
    assert command(*same, "hydra.sweeper.trials=2") == 2
    sentence = "error: hydra.sweep.dir = s: holds another search (trials 3 -> 2); give another folder, or go on with resume=s\n"
    assert capsys.readouterr().err == sentence


def test_more_points_go_on_in_the_same_folder_and_the_first_are_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    same = [*SEARCH, *SMALL, RATE, "training.epochs=1"]
    assert cli.main([*same, "hydra.sweep.dir=s", "hydra.sweeper.trials=2"]) == 0
    capsys.readouterr()
    assert cli.main([*same, "hydra.sweep.dir=s", "hydra.sweeper.trials=3"]) == 0
    assert "sweep s: 3 jobs, 2 of them over; 3 points in place of 2\n" in capsys.readouterr().out
    assert cli.main(["-m", "resume=s", "hydra.sweeper.trials=4"]) == 0
    assert cli.main(["-m", "resume=s"]) == 0
    assert "sweep s: 4 jobs, 4 of them over\n" in capsys.readouterr().out
    assert cli.main([*same, "hydra.sweep.dir=whole", "hydra.sweeper.trials=4"]) == 0
    rates = []
    for name in ("s", "whole"):
        events = [json.loads(line) for line in (Path(name) / FILE).read_text().splitlines()]
        rates.append([point["optimizer.learning_rate"] for event in events if event["event"] == "points" for point in event["points"]])
    assert len(rates[0]) == 4 and rates[0] == rates[1]
    assert cli.main(["task=evaluate", "run=s"]) == 2
    assert "run = s: is a sweep of 4 trials, and this task works on one run; its best, by accuracy/validation, is run=runs/" in (
        capsys.readouterr().err
    )


def test_a_condition_is_written_on_the_command_line(command: Command) -> None:
    beta = "optimizer.beta1={kind:one_minus,low:0.9,high:0.999,when:{optimizer:adam}}"
    assert command(*SEARCH, "hydra.sweeper.trials=6", "optimizer=adam,sgd", beta) == 0
    asked: list[Any] = [(experiment.optimizer, context.own) for experiment, _, context in recorder.calls]
    assert {type(optimizer).__name__ == "Adam" for optimizer, _ in asked} == {True, False}
    assert all(("beta1=" in own) == (type(optimizer).__name__ == "Adam") for optimizer, own in asked)


# with real trainings


def run(project: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Sweep:
    project.mkdir(exist_ok=True)
    monkeypatch.chdir(project)
    cli.main([*SEARCH, *SMALL, "hydra.sweep.dir=s", *words])
    return table(project)


def table(project: Path) -> Sweep:
    folders = [folder for folder in run_folders(project / "runs") if "_sweep" not in folder.name]
    found = summarize_sweep("s", folders)
    return Sweep(
        name="s",
        metric=found.metric,
        params=found.params,
        metrics=found.metrics,
        trials=tuple(sorted(found.trials, key=lambda t: int(t.job))),
    )


HALVING = ("hydra.sweeper.trials=9", "hydra.sweeper.prune=halving", "training.epochs=9", RATE, "activation=relu,tanh")


def test_at_each_rung_a_third_goes_on_and_ends_as_the_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pruned = run(tmp_path / "a", monkeypatch, *HALVING)
    whole = run(tmp_path / "b", monkeypatch, *[word for word in HALVING if "prune" not in word])
    at = {epoch: sorted(whole.trials, key=lambda t: (-t.curve[epoch], int(t.job))) for epoch in (1, 3)}
    best = at[1][:3]
    last = min(best, key=lambda t: (-t.curve[3], int(t.job)))
    assert [t.job for t in pruned.trials if t.status == "FINISHED"] == [last.job]
    assert sorted((t.job, t.rung) for t in pruned.trials if t.rung is not None) == sorted(
        (t.job, 3 if t in best else 1) for t in whole.trials if t is not last
    )
    for one, other in zip(pruned.trials, whole.trials, strict=True):
        known = one.rung or 9
        assert {epoch: value for epoch, value in other.curve.items() if epoch <= known} == dict(one.curve)
    assert pruned.trials[int(last.job)].metrics == {
        **whole.trials[int(last.job)].metrics,
        "time/epoch_s": pruned.trials[int(last.job)].metrics["time/epoch_s"],
    }
    ranked = sorted(pruned.trials, key=pruned.rank)
    assert ranked[0].job == last.job and {t.rung for t in ranked[1:3]} == {3} and {t.rung for t in ranked[3:]} == {1}


@pytest.mark.parametrize("calls", [2, 3, 4])
def test_a_search_that_was_stopped_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    never = run(tmp_path / "a", monkeypatch, *HALVING)
    count, taken = 0, stacks.train_together

    def stopped(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise KeyboardInterrupt
        taken(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(stacks, "train_together", stopped)
        run(tmp_path / "b", patched, *HALVING)
    monkeypatch.chdir(tmp_path / "b")
    assert cli.main(["-m", "resume=s"]) == 0
    again = table(tmp_path / "b")
    assert [(t.job, t.status, t.rung, t.params, t.curve) for t in again.trials] == [
        (t.job, t.status, t.rung, t.params, t.curve) for t in never.trials
    ]
    written = (tmp_path / "b" / "s" / FILE).read_text()
    assert cli.main(["-m", "resume=s"]) == 0  # nothing is left
    assert (tmp_path / "b" / "s" / FILE).read_text() == written


def test_stages_are_decided_by_the_metric_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("hydra.sweeper.trials=8", "hydra.sweeper.stages=2", "hydra.sweeper.zoom=0.1", "training.epochs=2", RATE)
    low = run(tmp_path / "a", monkeypatch, *words, "sweep.metric=loss/train", "sweep.direction=maximize")  # the worst
    high = run(tmp_path / "b", monkeypatch, *words, "sweep.metric=loss/train")
    for sweep, pick in ((low, max), (high, min)):
        rates = [float(t.params["optimizer.learning_rate"]) for t in sweep.trials]
        centre = rates[[t.metrics["loss/train"] for t in sweep.trials[:4]].index(pick(t.metrics["loss/train"] for t in sweep.trials[:4]))]
        assert all(centre / 10**0.41 <= rate <= centre * 10**0.41 for rate in rates[4:])


def test_the_front_of_two_metrics_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    both = "sweep.metric=[accuracy/validation,loss/train]"
    run(tmp_path / "a", monkeypatch, "hydra.sweeper.trials=6", "training.epochs=2", RATE, both)
    out = capsys.readouterr().out
    assert (
        "ranked by accuracy/validation" in out and "best by accuracy/validation and loss/train, none better in all (Pareto front): " in out
    )


def test_the_best_epoch_counts_where_it_is_asked_for() -> None:
    (last,) = objectives(SweepSettings(), ["loss/validation"])
    (best,) = objectives(SweepSettings(value="best"), ["loss/validation"])
    curve = {1: 0.5, 2: 0.2, 3: 0.4}
    assert (last.value({"loss/validation": 0.4}, curve), best.value({"loss/validation": 0.4}, curve)) == (0.4, 0.2)
    (accuracy,) = objectives(SweepSettings(value="best"), ["accuracy/validation", "loss/train"])
    assert accuracy.grows and accuracy.value({}, curve) == 0.5 and accuracy.score(0.5) == -0.5


def test_a_dry_run_of_a_search_names_its_first_points_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("hydra.sweeper.trials=6", "hydra.sweeper.stages=2", RATE, "sweep.dry_run=true")
    assert cli.main([*SEARCH, *SMALL, *words]) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("job ") for line in out.splitlines()) == 3
    assert "note: later points follow from the results of these\n" in out
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_rungs_are_the_same_in_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = run(tmp_path / "a", monkeypatch, *HALVING)
    there = run(tmp_path / "b", monkeypatch, *HALVING, "sweep.engine=processes", "sweep.workers=2")
    assert [(t.job, t.status, t.rung, t.params, t.curve) for t in there.trials] == [
        (t.job, t.status, t.rung, t.params, t.curve) for t in here.trials
    ]


@pytest.mark.integration
@pytest.mark.parametrize("method", ["tpe", "cma_es"])
def test_a_search_by_a_model_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    beta = "optimizer.beta1=tag(one_minus,interval(0.9,0.999))"
    words = (f"hydra.sweeper.method={method}", "hydra.sweeper.batch=4", "hydra.sweeper.trials=12", "training.epochs=2", RATE, beta)
    never = run(tmp_path / "a", monkeypatch, *words)
    count, taken = 0, stacks.train_together

    def stopped(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        taken(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(stacks, "train_together", stopped)
        run(tmp_path / "b", patched, *words)
    monkeypatch.chdir(tmp_path / "b")
    assert cli.main(["-m", "resume=s"]) == 0
    assert [(t.job, t.params, t.curve) for t in table(tmp_path / "b").trials] == [(t.job, t.params, t.curve) for t in never.trials]
    assert len(never.trials) == 12
