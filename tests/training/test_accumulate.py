"""Gradient accumulation: the bits of the large batch where nothing depends on the batch, its memory, its clock, its stops."""

# S steps
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.errors import DataError, DivergedError
from pipeline.graph.values import Array
from pipeline.program.make import compile_stack
from pipeline.program.program import Program
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.training import checkpoint
from tests.program.configs import CLASSES, config, data, order, program
from tests.refusal import refused

IMAGES = DataShape(input_shape=(8, 7, 3), classes=4, targets=None)
TALL = DataShape(input_shape=(32, 32, 2), classes=4, targets=None)  # sums over so many rows are cut into blocks
CONVS = [{"kind": "conv", "channels": 5}, {"kind": "max_pool"}, {"kind": "conv_transpose", "channels": 6, "stride": 2}]
CASES: dict[str, dict[str, Any]] = {
    "an MLP": {},
    "penalties and clipping": {"regularization": {"l2": 0.1, "l1": 0.01, "clip_norm": 0.5, "clip_value": 0.3}},
    "layer norm": {"normalization": {"kind": "layer"}, "activation": "gelu", "optimizer": {"kind": "adamw"}},
    "smoothed labels": {"regularization": {"label_smoothing": 0.1, "weight_decay": 0.1}, "optimizer": {"kind": "momentum"}},
    "learned slopes": {"activation": {"kind": "prelu"}},
    "class weights": {"loss": {"kind": "softmax_cross_entropy", "class_weights": [1.0, 2.0, 0.5]}},
    "averages": {"averaging": {"kind": "ema"}},
    "convolutions": {"architecture": {"layers": CONVS}, "shape": IMAGES},
    "sums in blocks": {"architecture": {"layers": [{"kind": "conv", "channels": 16}]}, "shape": TALL},
}
ROWS = 16


def made(times: int, backend: str = "numpy", rows: int = ROWS, **changes: Any) -> Program:
    groups = {"precision": "float32", **changes}
    shape = groups.pop("shape", CLASSES)
    units = () if "architecture" in groups else (33, 17)
    training = {"batch_size": rows // times, "accumulate": times}
    return program(*units, shape=shape, backend={"kind": backend}, training=training, **groups)


def after(one: Program, steps: int = 3, **given: Any) -> tuple[Array, dict[str, Array]]:
    shape = one.structure.shape
    x, y = data(64, shape)
    return one.run(x, y, order(steps, rows=64, batch=one.batch_size), **given), one.state()


@pytest.mark.parametrize(("case", "times"), [*((case, 4) for case in CASES), ("an MLP", 2), ("convolutions", 16)])
def test_the_bits_are_those_of_the_large_batch(case: str, times: int) -> None:
    parts = made(times, **CASES[case])
    assert parts.structure.accumulation.endswith(f"the bits of batches of {ROWS}"), parts.structure.accumulation
    (losses, state), (own, found) = after(made(1, **CASES[case])), after(parts)
    np.testing.assert_array_equal(own, losses)
    assert state.keys() == found.keys()
    assert [name for name in state if not np.array_equal(state[name], found[name])] == []


def test_rows_with_weights_and_a_step_of_other_rows_than_the_micro_batches_fill() -> None:
    weight = np.linspace(0.1, 2, 64)
    for rows in (13, 3):  # 4, 4, 4 and 1; one each
        results = []
        for times in (1, 4):
            one, (x, y) = made(times), data(64)
            results.append((one.run(x, y, order(3, rows=64, batch=rows), weight), one.state()))
        np.testing.assert_array_equal(results[0][0], results[1][0])
        assert all(np.array_equal(value, results[1][1][name]) for name, value in results[0][1].items())


@pytest.mark.parametrize("backend", ["numpy", "reference"])
def test_what_depends_on_the_batch_is_that_of_a_micro_batch(backend: str) -> None:
    """Batch norm: its gradient is the mean of those of the micro-batches, its statistics go on from one to the next."""
    one = made(2, backend, normalization={"kind": "batch"}, optimizer={"kind": "sgd", "learning_rate": 0.1}, precision="float64")
    halves = [made(1, backend, 8, normalization={"kind": "batch"}, precision="float64") for _ in range(2)]
    (x, y), rows = data(64), order(1, rows=64, batch=ROWS)[0]
    start = one.parameters()
    for half in halves:
        half.load_parameters(start)
    gradients = [half.gradients(x[part], y[part]) for half, part in zip(halves, (rows[:8], rows[8:]), strict=True)]
    one.run(x, y, rows[None])
    for name, value in one.parameters().items():
        np.testing.assert_allclose(value, start[name] - 0.1 * (gradients[0][name] + gradients[1][name]) / 2, rtol=1e-12, atol=1e-15)
    first = [(x[part] @ start["fc1.weight"]).mean(0) for part in (rows[:8], rows[8:])]
    np.testing.assert_allclose(one.state()["bn1.running_mean"], 0.9 * 0.1 * first[0] + 0.1 * first[1], rtol=1e-12)
    assert "batch norm (bn1, bn2) has the statistics of a micro-batch" in one.structure.accumulation


def test_the_reference_agrees() -> None:
    for case in ("an MLP", "convolutions"):
        found = [after(made(4, backend, precision="float64", **CASES[case])) for backend in ("numpy", "reference")]
        np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-10)
        for name, value in found[1][1].items():
            np.testing.assert_allclose(found[0][1][name], value, rtol=1e-6, atol=1e-9)


def test_the_memory_of_a_step_is_that_of_a_micro_batch() -> None:
    """Of 512-512 units and 1,024 rows: an eighth of the activations, and the gathered gradients."""
    shape = DataShape(input_shape=(64,), classes=10, targets=None)
    whole, parts = (
        program(512, 512, shape=shape, backend={"kind": "numpy"}, precision="float32", training={"batch_size": 1024 // n, "accumulate": n})
        for n in (1, 8)
    )
    work = [max(one.structure.compiled(*form).plan.work_bytes for form in one.structure.training) for one in (whole, parts)]
    assert work[1] < work[0] / 6
    gathered = sum(b.bytes for b in parts.structure.compiled("first", 128).plan.state if b.name.startswith("gathered/"))
    assert gathered == 4 * sum(value.size for value in parts.parameters().values())
    assert "first,    batch  128: state" in parts.explain(["memory"])
    assert not any(name.startswith("gathered/") for name in parts.state()), "what is gathered is no state of the training"


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    one, (x, y) = made(4, normalization={"kind": "batch"}), data(64)
    x[40] = 3e38  # a finite row that overflows
    rows = order(4, rows=40, batch=ROWS)
    rows[2, 9] = 40  # in the third step, and there in the third micro-batch
    other = made(4, normalization={"kind": "batch"})
    other.run(x, y, rows[:2])
    with pytest.raises(DivergedError, match="training diverged at step 3: the loss is not finite"):
        one.run(x, y, rows)
    state = other.state()
    assert all(np.array_equal(value, state[name]) for name, value in one.state().items())


def test_trials_of_a_stack_are_the_trials_alone_also_where_one_stops() -> None:
    def of(rate: float) -> Experiment:
        changes = {"optimizer": {"kind": "sgd", "learning_rate": rate}, "regularization": {"dropout": "inverted"}}
        return config(9, backend={"kind": "numpy"}, precision="float32", training={"batch_size": 4, "accumulate": 3}, **changes)

    rates = (0.1, 1e30, 0.01)
    stack = compile_stack([of(rate) for rate in rates], CLASSES)
    (x, y), rows = data(), order(6, batch=12)
    losses = stack.run(x, y, np.stack([rows] * 3))
    assert np.isnan(losses[1]).any() and np.isfinite(losses[[0, 2]]).all()
    for trial, rate in zip(stack.programs, rates, strict=True):
        alone = compile_stack([of(rate)], CLASSES)
        alone.run(x, y, rows[None])
        state = alone.programs[0].state()
        assert all(np.array_equal(value, state[name]) for name, value in trial.state().items())


RUN = ("data=iris", "architecture=mlp_small", "training=fixed", "training.batch_size=8", "training.accumulate=3", "tracking=none")


def test_steps_schedules_and_budgets_count_updates_and_a_run_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (*RUN, "schedule=cosine", "regularization=dropout", "normalization=batch")
    assert cli.main([*words, "training.epochs=null", "budget.steps=15", "output=whole"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a step is 3 micro-batches of 8 rows, in the memory of one: not the bits of batches of 24, as batch norm" in told
    assert "each epoch leaves out" not in told  # 120 rows are five steps of 24
    assert cli.main([*words, "training.epochs=3", "training.checkpoints.every_steps=7", "training.checkpoints.keep=9", "output=fork"]) == 0
    assert cli.main(["task=fork", "run=fork", "step=7", "output=again", "tracking=none"]) == 0
    whole, again = (checkpoint.load(tmp_path / name / CHECKPOINTS) for name in ("whole", "again"))
    assert int(whole.state["step"]) == 15
    assert all(np.array_equal(value, again.state[name]) for name, value in whole.state.items())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["training.accumulate=40"],
            "training.accumulate = 40: 40 micro-batches of 8 rows are more than the 120 rows of the training part; use at most 15",
        ),
    ],
)
def test_mistakes(words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with refused(sentence, DataError):
        pipeline.train(pipeline.compose([*RUN, *words]), quiet=True)
