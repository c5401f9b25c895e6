"""Multirun: every job runs, failures are told at once, the end is told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DivergedError
from pipeline.sweeps import run
from tests import recorder

Command = Callable[..., int]


def test_the_jobs_of_a_sweep_share_an_id_and_are_numbered_and_their_values_come_back(command: Command, tmp_path: Path) -> None:
    assert command("-m", "+experiment=bn", "optimizer.learning_rate=0.1,0.01", "seed=0,1") == 0
    (sweep,) = recorder.sweeps
    contexts = [context for _, _, context in recorder.calls]
    assert [job.context for job in sweep.jobs] == contexts
    assert {context.sweep for context in contexts} == {sweep.id}
    assert [context.job for context in contexts] == [0, 1, 2, 3]
    assert contexts[1].overrides == ("experiment=bn", "optimizer.learning_rate=0.1", "seed=1")
    assert contexts[1].varied == ("optimizer.learning_rate=0.1", "seed=1")
    assert [job.value for job in sweep.jobs] == [0.0, 0.1, 0.0, 0.1]
    assert [job.experiment.optimizer.learning_rate for job in sweep.jobs] == [0.1, 0.1, 0.01, 0.01]
    assert not sweep.stopped
    assert sweep.folder == Path("runs/sweeps") / sweep.id
    assert [path.name for path in (tmp_path / sweep.folder).iterdir()] == ["multirun.yaml"]


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
    assert err == "job 1: seed=1: error: step 7: fc1 holds a NaN; lower the learning rate\n"
    errors = [type(job.error) for job in recorder.sweeps[0].jobs]
    assert errors == [type(None), DivergedError, type(None)]


def test_jobs_of_other_tasks_are_announced(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "task=explain", "architecture=mlp_small", "seed=0,1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("job")] == ["job 0: seed=0", "job 1: seed=1"]


def test_a_refused_job_does_not_stop_the_others(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", "optimizer.learning_rate=-1,0.1") == 3
    assert capsys.readouterr().err == "job 0: learning_rate=-1: error: optimizer.learning_rate = -1: must be above 0\n"
    first, second = recorder.sweeps[0].jobs
    assert isinstance(first.error, ConfigError)
    assert first.experiment is None
    assert second.error is None


def test_a_sweep_whose_jobs_are_all_refused_leaves_nothing_behind(command: Command, tmp_path: Path) -> None:
    assert command("-m", "optimizer.learning_rate=-1", "seed=0,1") == 1
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
    assert capsys.readouterr().err.endswith(line)
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
    assert command("-m", "seed=1,2,3", "optimizer=glob([sgd,ada*],exclude=ad*g*)", "training.epochs=3", train="interrupt_at_seed_1") == 130
    (sweep,) = recorder.sweeps
    assert (len(sweep.jobs), sweep.planned) == (1, 12)  # sgd, adadelta, adam, adamw


@pytest.mark.parametrize("argv", [("trial=range(0,2)",), ("-m", "trial=0,1"), ("++trial=range(0,2)",)])
def test_the_trials_of_a_search_are_chosen_on_the_command_line(command: Command, argv: tuple[str, ...]) -> None:
    assert command("+experiment=random_search", *argv) == 0
    assert len(recorder.calls) == recorder.sweeps[0].planned == 2
    assert len({e.optimizer.learning_rate for e, _, _ in recorder.calls}) == 2


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
    assert (recorder.sweeps[0].id, recorder.sweeps[0].folder) == ("mine", Path("here/mine"))
