"""Averages of the weights: their sums by hand, what they leave alone, the statistics that belong to them, and what is said."""

# S steps
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.graph.values import Array
from pipeline.program.make import compile_stack
from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.training import checkpoint
from tests.program.configs import CLASSES, config, data, order, program
from tests.refusal import refused

BACKENDS = ("reference", "numpy")
STEPS = 12
NORM = {"normalization": {"kind": "batch"}, "regularization": {"l2": 0.1}}
RUN = ("data=iris", "architecture=mlp_small", "training=fixed", "training.batch_size=16", "training.epochs=6", "tracking=none")


def averaged(averaging: dict[str, Any], backend: str = "numpy", **changes: Any) -> Program:
    return program(5, 7, averaging=averaging, backend={"kind": backend}, **NORM, **changes)


def trained(averaging: dict[str, Any], backend: str) -> tuple[Program, dict[str, list[Array]]]:
    """After 12 steps, and what each tensor was after each."""
    made, after = averaged(averaging, backend), {}
    made.follow(Course(total_steps=STEPS, steps_per_epoch=4))
    x, y = data()
    for rows in order(STEPS):
        made.run(x, y, rows[None])
        for name, value in made.state().items():
            after.setdefault(name, []).append(value)
    return made, after


def shares(*numbers: float) -> Array:
    return np.array(numbers) / sum(numbers)


# averaging -> what each of the weights after steps 1 to 12 counts
EXPECTED: dict[str, tuple[dict[str, Any], Array]] = {
    "bias": ({"kind": "ema", "decay": 0.9, "correction": "bias"}, shares(*(0.9 ** (STEPS - t) for t in range(1, STEPS + 1)))),
    "none": ({"kind": "ema", "decay": 0.9, "correction": "none"}, np.array([0.9**11, *(0.1 * 0.9 ** (12 - t) for t in range(2, 13))])),
    "warmup": (
        {"kind": "ema", "decay": 0.5, "from_step": 9},  # 2/11 and 3/12 are kept of it
        np.array([*[0.0] * 9, 2 / 11 * 3 / 12, 9 / 11 * 3 / 12, 9 / 12]),
    ),
    "swa": ({"kind": "swa", "from_epoch": 2, "batch_norm": "averaged"}, np.array([*[0.0] * 7, 0.5, *[0.0] * 3, 0.5])),
    "swa of steps": ({"kind": "swa", "from_step": 4, "every_steps": 3}, np.array([0, 0, 0, 1 / 3, 0, 0, 1 / 3, 0, 0, 1 / 3, 0, 0])),
    "swa by itself": ({"kind": "swa", "every_steps": 1}, np.array([*[0.0] * 8, 0.25, 0.25, 0.25, 0.25])),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", EXPECTED)
def test_an_average_is_the_sum_that_its_record_says_and_the_weights_go_their_way(case: str, backend: str) -> None:
    averaging, counted = EXPECTED[case]
    _, after = trained(averaging, backend)
    _, plain = trained({"kind": "none"}, backend)
    for name in plain:
        np.testing.assert_array_equal(after[name][-1], plain[name][-1])
    for name in ("fc1.weight", "bn1.gamma", "fc3.bias", "bn2.running_variance"):
        np.testing.assert_allclose(after[f"average/{name}"][-1], np.tensordot(counted, np.array(after[name]), 1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_evaluates_reads_the_averages(backend: str) -> None:
    made, _ = trained({"kind": "ema", "decay": 0.7}, backend)
    state, x = made.state(), data()[0]
    other = program(5, 7, backend={"kind": backend}, **NORM)
    other.load_state({name: state.get(f"average/{name}", value) for name, value in state.items() if not name.startswith("average/")})
    np.testing.assert_array_equal(made.predict(x), other.predict(x))
    assert made.penalty() == other.penalty()
    np.testing.assert_array_equal(made.layer_values(x)["fc3"], other.layer_values(x)["fc3"])
    made.load_parameters(made.parameters())  # given weights are predicted with
    assert all(np.array_equal(made.state()[f"average/{name}"], value) for name, value in made.parameters().items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_statistics_are_estimated_at_the_averages(backend: str) -> None:
    """They are the means over the batches of their means and variances: those of the first norm by hand."""
    made, _ = trained({"kind": "swa", "every_steps": 1}, backend)
    x, batches = data()[0], order(5)
    before = made.state()
    made.reestimate(x, batches)
    after = made.state()
    first = [x[rows] @ after["average/fc1.weight"] for rows in batches]
    np.testing.assert_allclose(after["average/bn1.running_mean"], np.mean([h.mean(0) for h in first], 0), rtol=1e-12)
    np.testing.assert_allclose(after["average/bn1.running_variance"], np.mean([h.var(0) for h in first], 0), rtol=1e-12)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {f"average/{norm}.running_{what}" for norm in ("bn1", "bn2") for what in ("mean", "variance")}
    made.reestimate(x, batches)
    assert all(np.array_equal(made.state()[name], after[name]) for name in after)


def test_kinds_and_decays_are_one_structure_and_a_trial_of_a_stack_is_the_trial_alone() -> None:
    asked = [
        {"kind": "ema", "decay": 0.9},
        {"kind": "ema", "decay": 0.5, "correction": "bias"},
        {"kind": "swa", "every_steps": 3, "from_step": 3},
    ]
    stack = compile_stack([config(5, 7, averaging=a, backend={"kind": "numpy"}, **NORM) for a in asked], CLASSES)
    (x, y), batches = data(), order(STEPS)
    stack.run(x, y, np.stack([batches] * len(asked)))
    for averaging, trial in zip(asked, stack.programs, strict=True):
        alone = averaged(averaging)
        alone.run(x, y, batches)
        assert alone.digest == stack.programs[0].digest
        own = alone.state()
        assert all(np.array_equal(value, own[name]) for name, value in trial.state().items())
        np.testing.assert_array_equal(trial.predict(x), alone.predict(x))


def test_without_an_average_the_graph_has_nothing_of_it() -> None:
    made = program(5, 7, **NORM)
    assert not made.measured and not any("averag" in b.name for b in made.structure.state)


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_a_training_measures_keeps_and_predicts_with_the_averages(
    averaging: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it stops in the middle and goes on: the same bits, and the same metrics; a run that begins with it has the averages."""
    monkeypatch.chdir(tmp_path)
    words = (*RUN, "normalization=batch", f"averaging={averaging}", *([] if averaging == "ema" else ["averaging.from_epoch=4"]))
    assert cli.main([*words, "output=whole"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        f"averaging {averaging}: validation, test and predictions are of the averages of the weights, loss/train is of the weights" in told
    )
    assert f"what is measured and kept are averages of the weights ({averaging} of {42 if averaging == 'ema' else 3})" in told
    assert cli.main([*words, "training.epochs=null", "budget.steps=31", "output=parts"]) == 0  # within an epoch
    assert cli.main(["resume=parts", "budget.steps=42"]) == 0
    capsys.readouterr()
    whole, parts = (checkpoint.load(tmp_path / name / CHECKPOINTS) for name in ("whole", "parts"))
    assert whole.state.keys() == parts.state.keys() and all(np.array_equal(whole.state[n], parts.state[n]) for n in whole.state)
    ends = [{k: v for k, v in found.progress.history[5].items() if not k.startswith("time/")} for found in (whole, parts)]
    assert ends[0] == ends[1]
    loaded = pipeline.load("whole")
    assert "are averages of the weights" in loaded.measured or "are of the averages of the weights" in loaded.measured
    assert cli.main(["task=evaluate", "run=whole", "tracking=none"]) == 0
    evaluated = " ".join(capsys.readouterr().out.split())
    assert "averages of the weights" in evaluated
    assert (
        cli.main([*RUN, "normalization=batch", "initialization.from_run=whole", "training.epochs=1", "optimizer=sgd", "output=next"]) == 0
    )
    assert "tensors are those of whole, the averages of its weights, at step 42" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["task=export", "run=whole", "format=npz"]) == 0
    arrays = dict(np.load(tmp_path / "whole" / "model.npz"))
    np.testing.assert_array_equal(arrays["fc3.bias"], whole.state["average/fc3.bias"])


def test_a_fork_with_another_average_begins_with_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*RUN, "output=plain"]) == 0
    assert cli.main(["task=fork", "run=plain", "averaging=ema", "averaging.from_step=5", "output=fork", "tracking=none"]) == 0
    assert "as its averages of the weights are others: epochs count from 1" in " ".join(capsys.readouterr().out.split())
    first = checkpoint.load(tmp_path / "fork" / CHECKPOINTS)
    assert first.progress.epoch == 6


def test_it_is_said_which_weights_are_measured_before_an_average_begins() -> None:
    made = averaged({"kind": "swa", "from_step": 99, "every_steps": 1})
    made.run(*data(), order(3))
    assert made.measured == "averaging swa had not begun, so what is measured are the weights themselves"
    assert "averaging swa: validation, test and predictions are of the averages of the weights" in made.explain(["layers"])


@pytest.mark.parametrize(
    ("averaging", "training", "sentence"),
    [
        (
            {"kind": "swa", "from_epoch": 9},
            {"epochs": 8},
            "averaging.from_epoch = 9: the training has 8 epochs, and the average would never begin; give at most training.epochs",
        ),
        (
            {"kind": "swa", "from_epoch": 2, "from_step": 5},
            {},
            "averaging.from_step = 5: averaging.from_epoch says already when it begins; give one",
        ),
        ({"kind": "ema", "decay": 1.0}, {}, "averaging.decay = 1.0: must be below 1"),
        ({"kind": "ema", "every_steps": 3}, {}, "averaging.every_steps = 3: ema has no such key; it belongs to swa"),
        ({"kind": "emma"}, {}, "averaging.kind = emma: unknown kind; did you mean ema?"),
    ],
)
def test_mistakes(averaging: dict[str, Any], training: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        config(5, averaging=averaging, training=training)


def test_an_average_that_begins_by_the_clock_asks_for_a_place() -> None:
    with refused(
        "averaging.from_epoch = null: begins after 3/4 of the training, and only budget.seconds ends it; "
        "give averaging.from_epoch or averaging.from_step"
    ):
        config(5, averaging={"kind": "swa"}, training={"epochs": None}, budget={"seconds": 3})
    hint = "give averaging.from_step and averaging.every_steps, or call program.follow(Course(...)) of pipeline.recipe.course"
    with refused(f"averaging.every_steps = null: needs to know how many steps an epoch has; {hint}"):
        averaged({"kind": "swa"}).run(*data(), order(1))
