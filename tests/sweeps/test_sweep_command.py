"""Multirun: every job runs, failures are told at once, the end is told once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.config.overrides import groups
from pipeline.errors import ConfigError, DivergedError
from pipeline.sweeps import run
from pipeline.sweeps.expected import of_the_rest
from tests import recorder

Command = Callable[..., int]


def test_the_jobs_of_a_sweep_share_an_id_and_are_numbered_and_their_values_come_back(command: Command, tmp_path: Path) -> None:
    assert command("-m", "+experiment=bn", "optimizer.learning_rate=0.1,0.01", "seed=0,1") == 0
    (sweep,) = recorder.sweeps
    contexts = [context for _, _, context in recorder.calls]
    assert [job.context.label for job in sweep.jobs] == [context.label for context in contexts]
    assert {context.sweep for context in contexts} == {sweep.id}
    assert [context.job for context in contexts] == [0, 1, 2, 3]
    assert contexts[1].overrides == ("experiment=bn", "optimizer.learning_rate=0.1", "seed=1")
    assert contexts[1].varied == ("optimizer.learning_rate=0.1", "seed=1")
    assert [job.value for job in sweep.jobs] == [0.0, 0.1, 0.0, 0.1]
    assert [job.experiment.optimizer.learning_rate for job in sweep.jobs] == [0.1, 0.1, 0.01, 0.01]
    assert not sweep.stopped
    assert sweep.folder == Path("runs/sweeps") / sweep.id
    assert sorted(path.name for path in (tmp_path / sweep.folder).iterdir()) == ["multirun.yaml", "sweep.jsonl"]


def test_two_sweeps_have_two_ids(command: Command) -> None:
    assert command("-m", "seed=0") == 0
    assert command("-m", "seed=0") == 0
    assert len({sweep.id for sweep in recorder.sweeps}) == 2


def test_a_sweep_of_groups_and_a_search_space_by_name(command: Command) -> None:
    assert command("-m", "optimizer=sgd,adam") == 0
    assert [type(e.optimizer).__name__ for e, _, _ in recorder.calls] == ["SGD", "Adam"]
    assert command("-m", "sweep=seeds", "seed=7,8") == 0
    assert [e.seed for e, _, _ in recorder.calls[2:]] == [7, 8]


def test_one_failing_job_is_told_and_does_not_stop_the_others(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1,2", train="diverge_at_seed_1") == 3
    out, err = capsys.readouterr()
    assert out == f"sweep {recorder.sweeps[0].id}: 3 jobs\n"  # what a training says of itself it says itself
    assert err == "job 1: seed=1: error: step 7: fc1 holds a NaN; lower the learning rate\nthis one again: python -m pipeline seed=1\n"
    errors = [type(job.error) for job in recorder.sweeps[0].jobs]
    assert errors == [type(None), DivergedError, type(None)]


def test_jobs_of_other_tasks_are_announced(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "task=explain", "architecture=mlp_small", "seed=0,1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("job")] == ["job 0: seed=0", "job 1: seed=1"]


def test_a_refused_job_does_not_stop_the_others(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "optimizer.learning_rate=-1,0.1") == 3
    line = "job 0: learning_rate=-1: error: optimizer.learning_rate = -1: must be above 0\n"
    assert capsys.readouterr().err == f"{line}this one again: python -m pipeline optimizer.learning_rate=-1\n"
    first, second = recorder.sweeps[0].jobs
    assert isinstance(first.error, ConfigError)
    assert first.experiment is None
    assert second.error is None


def test_a_sweep_whose_jobs_are_all_refused_leaves_nothing_behind(command: Command, tmp_path: Path) -> None:
    assert command("-m", "optimizer.learning_rate=-1", "seed=0,1") == 2
    assert recorder.sweeps == []
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_whose_jobs_all_fail_ends_with_code_1(command: Command) -> None:
    assert command("-m", "seed=1", train="diverge_at_seed_1") == 1
    assert len(recorder.sweeps) == 1


@pytest.mark.parametrize(
    ("train", "line"),
    [
        ("break_at_seed_1", "job 1: seed=1: error: AssertionError: a mistake of ours\n"),
        ("leave_at_seed_1", "job 1: seed=1: error: SystemExit: 5\n"),
    ],
)
def test_a_job_that_breaks_or_exits_does_not_stop_the_others(
    command: Command, capsys: pytest.CaptureFixture[str], train: str, line: str
) -> None:
    assert command("-m", "seed=0,1,2", train=train) == 3
    assert capsys.readouterr().err.endswith(f"{line}this one again: python -m pipeline seed=1\n")
    assert [e.seed for e, _, _ in recorder.calls] == [0, 2]


def test_ctrl_c_ends_the_sweep_and_its_end_is_still_told(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1,2", train="interrupt_at_seed_1") == 130
    (sweep,) = recorder.sweeps
    assert sweep.stopped
    assert [(job.value, type(job.error)) for job in sweep.jobs] == [(0.0, type(None)), (None, KeyboardInterrupt)]
    assert capsys.readouterr().err == "stopped by Ctrl-C\n"


def test_an_error_at_the_end_of_a_sweep_is_not_swallowed(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "sweep_finished", recorder.finished_badly)
    assert command("-m", "seed=0") == 2
    assert capsys.readouterr().err == "error: the summary cannot be written\n"


def test_the_jobs_that_a_stopped_sweep_leaves_are_counted(command: Command) -> None:
    assert command("-m", "seed=1,2,3", "optimizer=glob([sgd,adam*],exclude=*x)", "training.epochs=3", train="interrupt_at_seed_1") == 130
    (sweep,) = recorder.sweeps
    assert (len(sweep.jobs), len(sweep.planned)) == (1, 9)  # sgd, adam, adamw


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("+experiment=bn_learning_rate", "arm=plane", "seed=0"), "arm = plane: no arm of the experiment; did you mean plain?"),
        (("+experiment=bn_learning_rate", "arm=plain,plane", "seed=0"), "arm = plane: no arm of the experiment; did you mean plain?"),
        (("-m", "arm=plain", "seed=0,1"), "arm = plain: the experiment declares no arms; leave it out"),
    ],
)
def test_an_arm_that_is_none_is_refused_once_before_any_job(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...], line: str
) -> None:
    assert command(*argv) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {line}\n")
    assert recorder.calls == [] and list(tmp_path.iterdir()) == []


def test_a_sweep_may_be_given_its_folder(command: Command) -> None:
    assert command("-m", "seed=0", "hydra.sweep.dir=here/mine") == 0
    assert recorder.sweeps[0].folder == Path("here/mine") and recorder.sweeps[0].id.startswith("mine-")


def test_two_folders_that_end_in_one_word_are_two_sweeps(command: Command) -> None:
    assert command("-m", "seed=0", "hydra.sweep.dir=a/out") == 0
    assert command("-m", "seed=0", "hydra.sweep.dir=b/out") == 0
    assert len({sweep.id for sweep in recorder.sweeps}) == 2


@pytest.mark.parametrize("values", ["seed=0,1,0", "seed=1,0,0,1,0"])
def test_a_trial_that_is_asked_for_twice_is_told_and_run_once(command: Command, capsys: pytest.CaptureFixture[str], values: str) -> None:
    assert command("-m", values) == 0
    assert sorted(e.seed for e, _, _ in recorder.calls) == [0, 1]
    assert "seed=0 has the values of job" in capsys.readouterr().err


def test_values_that_are_written_in_two_ways_are_one_trial(command: Command) -> None:
    assert command("-m", "optimizer.learning_rate=0.1,1e-1") == 0
    assert len(recorder.calls) == 1


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("-m", "training.batch_size=glob(*)"), "training.batch_size = glob(*): matches nothing; a glob finds the options of a group"),
        (
            ("-m", "seed=0,1", "hydra.sweep.subdir=x"),
            "hydra.sweep.subdir = x: each run makes a folder of its own in runs/; leave it out; output=... gives one run a folder",
        ),
        (("-m", "seed=0,1", "sweep.stacks=false"), "sweep.stacks = false: unknown key; did you mean stack?"),
    ],
)
def test_what_no_sweep_can_be_is_refused_once(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...], line: str
) -> None:
    assert command(*argv) == 2
    assert line in capsys.readouterr().err
    assert recorder.calls == [] and list(tmp_path.iterdir()) == []


def test_a_mistake_that_jobs_share_is_told_once(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "seed=0,1,2,3", "optimizer.learning_rate=-1,0.1") == 3
    line = "job 0: seed=0 learning_rate=-1: error: optimizer.learning_rate = -1: must be above 0\n"
    again = "this one again: python -m pipeline seed=0 optimizer.learning_rate=-1\n"
    assert capsys.readouterr().err == f"{line}{again}3 more jobs: the same error\n"


def test_a_sweep_of_mistakes_alone_ends_as_one_of_them_does(command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command("-m", "+experiment=bn", "optimizer.learning_rte=0.1,0.2") == 2
    assert capsys.readouterr().err.count("unknown key; did you mean learning_rate?") == 2
    assert recorder.calls == [] and list(tmp_path.iterdir()) == []


def test_the_group_of_sweeps_asks_for_one(command: Command) -> None:
    assert command("+sweep=seeds") == 0
    assert len(recorder.calls) == 5


def test_a_sweep_of_one_job_that_only_chooses_options_has_them(command: Command) -> None:
    assert command("-m", "+experiment=bn", "tracking=none") == 0
    assert command("+experiment=bn", "tracking=none") == 0
    (swept, _, _), (alone, _, _) = recorder.calls
    assert swept == alone


def test_a_sweep_over_every_fold_has_as_many_as_there_are(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "+sweep=folds", "data.split.folds=3") == 0
    assert [(e.data.split.folds, e.data.split.fold) for e, _, _ in recorder.calls] == [(3, 0), (3, 1), (3, 2)]
    assert command("-m", "+sweep=folds", "data.split.folds=3", "data.split.fold=1,2") == 0 and len(recorder.calls) == 5
    capsys.readouterr()
    assert command("-m", "+sweep=folds", "data.split.folds=3,4") == 2 and len(recorder.calls) == 5
    assert capsys.readouterr().err == (
        "error: data.split.folds = 3,4: the sweep is over every fold of one number; "
        "give data.split.folds=3 or another number, or choose the folds: data.split.fold=0,1,2\n"
    )


def test_the_end_says_what_became_of_a_refused_job_and_where_the_tables_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("data=iris", "architecture=linear", "training=fixed", "regularization=none", "training.epochs=1", "tracking=none")
    assert cli.main(["-m", *small, "optimizer.learning_rate=0.1,zero"]) == 3
    out = capsys.readouterr().out
    assert "not run: job 1: learning_rate=zero: optimizer.learning_rate = zero: must be a number, not a word\n" in out
    assert " learning_rate " in out
    folder = next(line.split()[-1] for line in out.splitlines() if line.startswith("tables"))
    assert (tmp_path / folder / "trials.csv").is_file()
    assert cli.main(["-m", *small, "seed=0,1"]) == 0
    assert "means over the seeds with their 95% intervals\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("seed=range(5,1)",), "seed = range(5,1): is a range without a number; range(0,3) is 0, 1, 2"),
        (("seed=range(0,3,0)",), "seed = range(0,3,0): is a range without a number; range(0,3) is 0, 1, 2"),
        (
            ("seed=0,1", "optimizer.beta1=tag(zip,choice(0.8,0.9))"),
            "optimizer.beta1 = tag(zip,choice(0.8,0.9)): the plain grid has every combination, and this goes together with others; "
            "give hydra/sweeper=search hydra.sweeper.method=grid too",
        ),
        (
            ("seed=0,1", "hydra.sweep.dir=a b,c"),
            "hydra.sweep.dir = a b,c: one sweep takes one value; "
            "give one of them; one word with a comma is quoted twice: 'hydra.sweep.dir=\"...\"'",
        ),
        (
            ("sweep=seeds,folds",),
            "sweep = seeds,folds: one sweep takes one value; give one of them; one word with a comma is quoted twice: 'sweep=\"...\"'",
        ),
        (
            ("seed=0,1", "sweep.metric=loss/validation,loss/train"),
            "sweep.metric = loss/validation,loss/train: one sweep takes one value; write sweep.metric=[loss/validation,loss/train] for a "
            "list, or give one of them; one word with a comma is quoted twice: 'sweep.metric=\"...\"'",
        ),
        (
            ("seed=0,1", "hydra.sweep.dir=${oc.env:NOWHERE}"),
            "config: hydra.sweep.dir: KeyError raised while resolving interpolation: \"Environment variable 'NOWHERE' not found\"",
        ),
        (
            ("optimizer={kind:sgd},adam",),
            "optimizer = {kind:sgd},adam: a group takes the name of an option; write optimizer=OPTION optimizer.KEY=VALUE; the options are "
            + ", ".join(groups()["optimizer"]),
        ),
        (("loss=null,auto",), f"loss = null: a group needs an option; use one of {', '.join(groups()['loss'])}"),
        (("seed=0,1", "hydra.sweep.dir=''"), "hydra.sweep.dir = : names no folder; give one; hydra.sweep.dir=. is this one"),
        (("resume=nowhere",), "resume = nowhere: there is no such folder; give the folder of a sweep, or of a run"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused_in_a_line(
    command: Command, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], line: str
) -> None:
    assert command("-m", *argv) == 2
    assert capsys.readouterr().err == f"error: {line}\n"
    assert not recorder.calls


def test_a_dry_run_names_trials_and_stacks_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "architecture=mlp_small", "seed=0,1", "activation=relu,tanh", "sweep.dry_run=true"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(", trial")[0] for line in out[1:5]] == [
        "job 0: seed=0 activation=relu",
        "job 1: seed=0 activation=tanh",
        "job 2: seed=1 activation=relu",
        "job 3: seed=1 activation=tanh",
    ]
    assert [line.rpartition(": ")[2] for line in out[5:7]] == ["jobs 0, 2", "jobs 1, 3"]
    assert all("MiB; about 0." in line and " s at most: jobs" in line for line in out[5:7])
    assert re.fullmatch(r"time        about \S+ s at most for 4 jobs", out[7]) and len(out) == 8
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("seed=range(0,66)",), r"about \S+ s for the first 64 of 66 jobs, about \S+ s for all of them if the others are like these"),
        (("seed=0,1", "budget.steps=3"), r"about \S+ s for 2 jobs"),
        (("seed=0,1", "sweep.engine=processes", "sweep.workers=1"), r"about \S+ s of one machine like this one, in 1 part"),
        (("seed=0,1", "sweep.stack=false"), None),  # nobody knows before one has trained, and then it is not worth a line
    ],
)
def test_a_sweep_says_once_and_before_it_trains_how_long_it_will_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], line: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "data=iris", "training.epochs=1", "tracking=none", *argv]) == 0
    out = capsys.readouterr().out
    told = [text.removeprefix("time        ") for text in out.splitlines() if text.startswith("time   ")]
    assert len(told) == (line is not None) and (line is None or re.fullmatch(line, told[0]))
    assert line is None or out.index("time   ") < out.index("loss/train")


def test_a_stretch_of_jobs_one_by_one_is_told_after_the_first() -> None:
    assert of_the_rest(3600.0, 5) == "time        about 300 min for 5 jobs more, if each takes as long as this one"
    assert of_the_rest(1.0, 5) == of_the_rest(3600.0, 0) == ""


def test_runs_that_go_on_differ_by_the_run(command: Command) -> None:
    for name in ("a", "b"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "run.json").touch()
    assert command("-m", "resume=runs/a,runs/b", "training.epochs=9") == 0
    assert [e.resume for e, _, _ in recorder.calls] == ["runs/a", "runs/b"]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("sweep.metric=f1/validation",), "f1/validation: is not measured after each epoch; give training.metrics=[accuracy,f1] too"),
        (
            ("sweep.metric=rmse/validation",),
            "rmse/validation: no metric of classification; use one of loss/validation, accuracy/validation",
        ),
        (
            ("sweep.metric=loss/validation", "data.split.validation=0"),
            "loss/validation: there is no validation part; give data.split.validation=0.1, or sweep.metric=loss/train",
        ),
    ],
)
@pytest.mark.parametrize("engine", ["local", "processes"])
def test_what_the_trials_will_not_measure_is_told_before_any_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], line: str, engine: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "data=iris", "training.epochs=1", "tracking=none", "seed=0,1", f"sweep.engine={engine}", *argv]) == 2
    assert capsys.readouterr().err == f"error: sweep.metric = {line}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_in_a_folder_of_any_name_says_how_it_goes_on_in_words_that_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["-m", "data=iris", "training.epochs=1", "tracking=none"]
    assert cli.main([*small, "activation='relu','tanh'", "hydra.sweep.dir='a b/ü,x=1'"]) == 0
    assert re.search(r"\n +1 +tanh +\d", capsys.readouterr().out)  # no quotes in a cell
    assert cli.main([*small, "seed=0,1", "hydra.sweep.dir='a b/ü,x=1'"]) == 2
    assert capsys.readouterr().err.endswith("or go on with 'resume=a b/ü,x=1'\n")
    assert cli.main(["-m", "resume=a b/ü,x=1"]) == 0
    capsys.readouterr()
    assert cli.main([*small, "seed=0,1", "hydra.sweep.dir=."]) == 0
    assert capsys.readouterr().out.startswith(f"sweep {tmp_path.name}: 2 jobs\n")


def test_trials_that_do_not_tell_what_ranks_the_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "data=iris,diabetes", "training.epochs=1", "tracking=none", "seed=0,1"]) == 0
    assert "note: no accuracy/validation is told by job 2, 3: not ranked\n" in capsys.readouterr().out


def test_a_dry_run_fails_where_its_jobs_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "data=iris", "training.batch_size=128", "seed=0,1", "sweep.dry_run=true"]) == 1
    err = capsys.readouterr().err
    assert "training.batch_size = 128: larger than the 120 rows of the training part" in err and "1 more job: the same error\n" in err
    assert list(tmp_path.iterdir()) == []
    assert (
        cli.main(
            ["-m", "hydra/sweeper=search", "hydra.sweeper.trials=2", "hydra.sweeper.repeats=2", "seed=3", "optimizer.beta1=linear(0,0.9)"]
        )
        == 2
    )
    assert capsys.readouterr().err == "error: hydra.sweeper.repeats = 2: seed = 3 is given too; leave one out\n"
