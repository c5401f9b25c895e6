"""A training that diverges: the step, the layer and the op are named, also where the loss is still finite; it stops, or goes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.training import checkpoint
from pipeline.training.blocks import Feed
from pipeline.training.checkpoint import Progress
from pipeline.training.sound import Watch
from tests.end_to_end.conftest import Command, pipeline_command, work

__all__ = ["pipeline_command", "work"]
STEEP = ("data=diabetes", "architecture=mlp_small", "training=fixed", "training.epochs=4", "optimizer=sgd", "regularization=none")
RATE = "optimizer.learning_rate=1e38"
BACK = ("training.on_divergence=restore", "training.restore.factor=1e-40")


def said(text: str) -> str:
    return " ".join(text.split())


def same(first: Path, second: Path) -> bool:
    one, two = (checkpoint.load(folder / "checkpoints").state for folder in (first, second))
    return all(np.array_equal(one[name], two[name]) for name in one)


def test_an_update_that_overflows_is_named_and_its_step_is_not_taken(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command(*STEEP, RATE, "output=run")
    assert done.returncode == 1
    assert done.stderr == (
        "error: training diverged at step 1: the loss is finite, and fc3.weight would not be; the first non-finite value is in the update "
        "of fc3.weight (op mul); lower optimizer.learning_rate = 1e+38; the state before that step is kept in run\n"
    )
    found = checkpoint.load(work / "run" / "checkpoints")
    assert int(found.state["step"]) == 0 and all(np.isfinite(value).all() for value in found.state.values())


def test_a_gradient_that_overflows_after_sound_steps_is_named_with_layer_op_and_step() -> None:
    """With tanh at 0 the output is 0 whatever the later weights are, and the gradient of the first layer is their product."""
    program = pipeline.compile(pipeline.compose(["data=iris", "architecture=mlp_small", "activation=tanh", "training=fixed"]))
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(80, 4)).astype(np.float32), np.arange(80, dtype=np.int32) % 3
    order = np.arange(80).reshape(5, 16)
    program.run(x, y, order[:2])
    watch = Watch(program, lambda progress: None)
    watch.began()
    program.run(x, y, order[2:3])
    assert watch.took(Feed(x=x, y=y, weight=None, order=order[2:3]), 1, Progress(step=2), 0.0) is None and watch.look() is None
    steep = {"fc1.weight": 0.0, "fc1.bias": 0.0, "fc2.weight": 1e30, "fc3.weight": 1e30, "fc2.bias": 0.0, "fc3.bias": 0.0}
    program.load_parameters({name: np.full(value.shape, steep[name]) for name, value in program.parameters().items()})
    watch.began()
    program.run(x, y, order[3:4])
    found = watch.took(Feed(x=x, y=y, weight=None, order=order[3:4]), 1, Progress(step=3), 0.0) or watch.look()
    assert found is not None and found.progress.step == 3 and int(program.state()["step"]) == 3
    assert str(found.error).startswith("training diverged at step 4: the loss is finite, and ")
    assert "the first non-finite value is in the gradient of layer fc2 (op matmul)" in str(found.error)


def test_it_goes_back_with_a_lower_rate_and_says_so(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command(*STEEP, RATE, *BACK, "output=run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "goes back to the start (time 1 of 3), with 1e-40 times the learning rate that is asked for" in said(done.stdout)
    progress = checkpoint.load(work / "run" / "checkpoints").progress
    assert (progress.epoch, progress.restored, progress.slowed, len(progress.history)) == (4, 1, 1e-40, 4)
    assert progress.history[-1]["learning_rate"] == pytest.approx(0.01)


def test_it_stops_after_as_many_times_as_are_allowed(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command(*STEEP, RATE, "training.on_divergence=restore", "training.restore.times=2", "output=run")
    assert done.returncode == 1 and "(time 2 of 2)" in said(done.stdout)
    assert "which went down to 0.01 times that already (2 times); the state before that step is kept in run" in done.stderr


def test_after_going_back_a_resumption_and_a_stack_come_to_the_same_bits(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command(*STEEP, RATE, *BACK, "output=whole").returncode == 0
    assert pipeline_command(*STEEP, RATE, *BACK, "training.epochs=2", "output=half").returncode == 0
    assert pipeline_command("resume=half", "training.epochs=4").returncode == 0
    assert same(work / "whole", work / "half")
    done = pipeline_command("-m", *STEEP, "optimizer.learning_rate=0.001,1e38", *BACK)
    assert (
        done.returncode == 0 and "2 trials train together, as one program" in done.stdout and "goes back to the start" in said(done.stdout)
    )
    (folder,) = (path.parent for path in work.glob("runs/*/checkpoints") if checkpoint.load(path).progress.restored == 1)
    assert same(work / "whole", folder)


def test_the_best_epoch_is_gone_back_to(work: Path, pipeline_command: Command) -> None:
    """A rate that rises for thirty steps: the first epoch is sound."""
    done = pipeline_command(
        *STEEP, "schedule.warmup=30", "optimizer.learning_rate=3000", *BACK[:1], "training.restore.factor=1e-5", "output=run"
    )
    assert done.returncode == 0, done.stderr
    assert "goes back to the end of epoch " in said(done.stdout) and "the best by loss/validation (time 1 of 3)" in said(done.stdout)
    history = checkpoint.load(work / "run" / "checkpoints").progress.history
    assert len(history) == 4 and all(np.isfinite(values["loss/train"]) for values in history)
