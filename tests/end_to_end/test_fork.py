"""task=fork: the exact state of a checkpoint, other values, a new run that says what it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import Start, read_journal, start_of
from pipeline.training import checkpoint
from tests.end_to_end.conftest import Command

RUN = ("data=digits", "architecture=mlp_small", "training=fixed", "training.batch_size=64", "training.epochs=4")
KEEPING = ("training.checkpoints.keep=9", "training.checkpoints.every_steps=11")


@pytest.fixture
def origin(work: Path, pipeline_command: Command) -> Path:
    assert pipeline_command(*RUN, *KEEPING, "output=runs/a").returncode == 0
    return work / "runs" / "a"


def same_state(first: Path, second: Path) -> bool:
    one, two = (checkpoint.load(folder / "checkpoints").state for folder in (first, second))
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def test_a_fork_without_other_values_comes_to_the_bits_of_its_origin(origin: Path, pipeline_command: Command) -> None:
    """From the end of an epoch, and from within one."""
    for step in (44, 55):
        done = pipeline_command("task=fork", "tracking=none", "run=runs/a", f"step={step}", f"output=runs/{step}")
        assert (done.returncode, done.stderr) == (0, "")
        assert same_state(origin, origin.parent / str(step))
    told = [values["loss/train"] for values in checkpoint.load(origin / "checkpoints").progress.history]
    assert [values["loss/train"] for values in checkpoint.load(origin.parent / "55" / "checkpoints").progress.history] == told


def test_the_origin_and_what_was_taken_stand_in_the_run_and_its_tags(origin: Path, pipeline_command: Command) -> None:
    done = pipeline_command("task=fork", "tracking=none", "run=runs/a", "step=44", "optimizer.learning_rate=0.01", "output=runs/b")
    taken = (
        "fork of runs/a at step 44 (epoch 2): the whole state is taken, the optimizer's too, and epochs count on; "
        "optimizer.learning_rate 0.001 -> 0.01"
    )
    assert taken in " ".join(done.stdout.split())
    info = read_info(origin.parent / "b")
    assert info.origin is not None and (info.origin.uid, info.origin.step, info.origin.taken) == (read_info(origin).uid, 44, taken)
    start = next(event for event in read_journal(origin.parent / "b") if isinstance(event, Start))
    assert start.tags["pipeline.origin"] == "runs/a step 44" and start.tags["pipeline.origin_taken"] == taken
    assert not same_state(origin, origin.parent / "b")
    assert f"recipe {taken}" in pipeline_command("task=explain", "run=runs/b").stdout
    again = pipeline_command("resume=runs/b", "training.epochs=5")
    assert again.returncode == 0 and read_info(origin.parent / "b").origin == info.origin


def test_a_fork_is_found_beside_its_origin_by_a_name_that_says_of_what_it_is_one(origin: Path, pipeline_command: Command) -> None:
    config = origin / "config.yaml"
    config.write_text(config.read_text().replace("experiment: default", "experiment: bn"))
    assert pipeline_command("task=fork", "tracking=none", "run=runs/a", "optimizer.learning_rate=0.01", "training.epochs=5").returncode == 0
    (folder,) = (origin.parent).glob("*_bn-fork")
    assert read_info(folder).experiment == "bn"
    assert start_of(read_journal(folder)).name == "bn fork of a learning_rate=0.01 epochs=5 seed=0"
    asked = ("tracking=none", "tracking.experiment=other", "training.epochs=4", "step=44", "output=runs/b")
    assert pipeline_command("task=fork", "run=runs/a", *asked).returncode == 0
    assert start_of(read_journal(origin.parent / "b")).name == "other fork of a epochs=4 step=44 seed=0"


def test_another_optimizer_takes_the_network_alone_and_says_so(origin: Path, pipeline_command: Command) -> None:
    done = pipeline_command("task=fork", "tracking=none", "run=runs/a", "step=88", "optimizer=sgd", "training.epochs=1", "output=runs/b")
    assert (done.returncode, done.stderr) == (0, "")
    said = "at step 88: the weights and statistics of the network are taken, nothing else, as its optimizer is another: epochs count from 1"
    assert said in " ".join(done.stdout.split())
    assert int(checkpoint.load(origin.parent / "b" / "checkpoints").state["step"]) == 22


def test_more_epochs_plan_a_schedule_anew_and_it_is_said(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command(*RUN, "schedule=cosine", "training.epochs=2", "output=runs/c").returncode == 0
    done = pipeline_command("task=fork", "tracking=none", "run=runs/c", "training.epochs=3", "output=runs/d")
    assert "schedule cosine is planned anew over the whole of the training: the rate may jump here" in " ".join(done.stdout.split())
    done = pipeline_command("resume=runs/c", "training.epochs=3")
    assert "schedule cosine is planned anew over the longer training" in " ".join(done.stdout.split())


def test_a_sweep_of_forks_branches_off_one_checkpoint(origin: Path, pipeline_command: Command) -> None:
    done = pipeline_command("-m", "task=fork", "tracking=none", "run=runs/a", "step=77", "optimizer.learning_rate=0.01,0.001")
    assert (done.returncode, done.stderr) == (0, "")
    folders = [path.parent for path in origin.parent.glob("*/checkpoints") if path.parent != origin]
    assert sorted(same_state(origin, folder) for folder in folders) == [False, True]
    assert {read_info(folder).origin.step for folder in folders if read_info(folder).origin} == {77}  # type: ignore[union-attr]  # it is there


def test_a_value_of_the_origins_optimizer_is_known(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command(*RUN, "optimizer=momentum", "training.epochs=1", "output=runs/a").returncode == 0
    done = pipeline_command("task=fork", "tracking=none", "run=runs/a", "optimizer.momentum=0.5", "training.epochs=2", "output=runs/b")
    assert (done.returncode, done.stderr) == (0, "") and "optimizer.momentum 0.9 -> 0.5" in done.stdout


REFUSED = [
    (("step=45",), "step = 45: the run has checkpoints of step 11, 22, 33, 44, 55, 66, 77, 88; give one of these "
     "(training.checkpoints.keep and training.checkpoints.every_steps keep more of a run)"),
    (("architecture.layers.0.units=30",), "run = runs/a: fc1.bias is [32] there and [30] here; fc1.weight is [64, 32] there and [64, 30] "
     "here; fc2.weight is [32, 32] there and [30, 32] here; a fork has the network of its origin: leave out what changes it, or train a "
     "new one"),
    (("seed=3",), "seed = 3: would part the rows anew, so that validation and test hold rows that the origin was trained on; "
     "leave it out: the origin has seed = 0"),
    ((), "training.epochs = 4: the fork begins after 88 steps, and this is 88; give more"),
    (("experiment=bn",), "experiment = bn: a fork has the config of its origin; give single values and options: "
     "optimizer=sgd optimizer.learning_rate=0.1"),
    (("data=iris",), "run = runs/a: fc1.weight is [64, 32] there and [4, 32] here; fc3.bias is [10] there and [3] here; fc3.weight is "
     "[32, 10] there and [32, 3] here; a fork has the network of its origin: leave out what changes it, or train a new one"),
]  # fmt: skip


def test_what_cannot_be_forked_is_refused_before_a_folder_is_made(origin: Path, pipeline_command: Command) -> None:
    for asked, sentence in REFUSED:
        done = pipeline_command("task=fork", "tracking=none", "run=runs/a", *asked, "output=runs/b")
        assert (done.returncode, done.stderr) == (2, f"error: {sentence}\n")
    assert [path.name for path in origin.parent.iterdir()] == ["a"]
    done = pipeline_command("task=evaluate", "run=runs/a", "step=44")
    assert done.stderr == "error: step = 44: only task=fork reads it; leave it out\n"


def test_a_fork_that_never_saved_its_beginning_is_not_trained_from_the_start(origin: Path, pipeline_command: Command) -> None:
    assert pipeline_command("task=fork", "tracking=none", "run=runs/a", "step=66", "output=runs/b").returncode == 0
    for path in (origin.parent / "b" / "checkpoints").iterdir():
        path.unlink()
    done = pipeline_command("resume=runs/b", "training.epochs=5")
    sentence = "resume = runs/b: the fork was stopped before its first checkpoint; make it again with task=fork run=runs/a step=66"
    assert (done.returncode, done.stderr) == (2, f"error: {sentence}\n")
    assert json.loads((origin.parent / "b" / "run.json").read_text())["origin"]["step"] == 66
