"""Programs: state, rows of any number, errors, divergence, digests, stacks."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError, DivergedError
from pipeline.program.make import compile_stack
from pipeline.rows import Streamed
from tests.program.configs import CLASSES, config, data, order, program
from tests.refusal import refused

NATIVE: dict[str, Any] = {"precision": "float32", "backend": {"kind": "numpy"}}
FULL: dict[str, Any] = {
    "normalization": {"kind": "batch"},
    "regularization": {"dropout": "inverted", "keep_prob": 0.8, "l2": 0.01, "weight_decay": 0.02},
}
X, Y = data()


def test_a_program_is_printed_in_one_line() -> None:
    made = program(6)
    count = sum(value.size for value in made.parameters().values())
    shown = f"<Program {made.digest}: {len(made.layers)} layers, {count:,} parameters, 0 steps done, {made.structure.backend.name}>"
    assert repr(made) == shown
    made.run(X, Y, order(5))
    assert "5 steps done" in repr(made)
    stack = compile_stack([config(6), config(6, seed=1)], CLASSES)
    assert repr(stack) == f"<Stack of 2: {shown}, ...>"


def test_the_python_of_the_readme_runs_as_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the training, which the end-to-end tests run."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").partition("## From Python")[2].partition("    result =")[0]
    names: dict[str, Any] = {}
    exec(textwrap.dedent("\n".join(line for line in text.splitlines() if line.startswith("    "))), names)
    assert names["losses"].shape == (10,) and names["stack"].programs[1].steps_done == 10


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_many_steps_in_one_call_are_the_steps_one_by_one(backend: str) -> None:
    many, single = (program(6, backend={"kind": backend}, **FULL) for _ in range(2))
    losses = many.run(X, Y, order(5))
    assert [single.step(X[rows], Y[rows]) for rows in order(5)] == losses.tolist()
    for name, value in many.state().items():
        np.testing.assert_array_equal(single.state()[name], value)
    assert many.steps_done == 5


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_ten_steps_agree_with_the_reference(optimizer: str, precision: str, tolerance: float) -> None:
    changes: dict[str, Any] = {"optimizer": {"kind": optimizer, "learning_rate": 0.01}, "precision": precision}
    made = [program(16, 12, backend={"kind": kind}, normalization={"kind": "batch"}, **changes) for kind in ("reference", "numpy")]
    losses = [each.run(X, Y, order(10)) for each in made]
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    expected, got = (each.state() for each in made)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * float(np.abs(value).max()), err_msg=name)
    np.testing.assert_allclose(made[1].predict(X), made[0].predict(X), rtol=tolerance, atol=tolerance)


def test_predictions_do_not_depend_on_the_rows_around_them() -> None:
    made = program(6, **FULL, **NATIVE)
    x, _ = data(600)
    whole = made.predict(x)
    assert whole.shape == (600, 3) and whole.dtype == np.float32
    np.testing.assert_array_equal(made.predict(x[250:270]), whole[250:270])
    assert made.predict(x[:0]).shape == (0, 3)


@pytest.mark.parametrize("count", [1, 2, 32, 33, 300])
def test_a_row_is_evaluated_to_the_same_bits_with_any_number_of_others(count: int) -> None:
    made = program(16, 12, **NATIVE, **FULL)
    made.run(X, Y, order(2))
    x, y = np.resize(X, (300, X.shape[1])), np.resize(Y, 300)
    whole, losses = made.evaluate(x, y)
    prediction, row_loss = made.evaluate(x[:count], y[:count])
    np.testing.assert_array_equal(prediction, whole[:count])
    np.testing.assert_array_equal(row_loss, losses[:count])


@pytest.mark.parametrize("change", ["run", "load_parameters", "load_state", "stack"])
def test_folded_weights_follow_every_change_of_the_parameters(change: str) -> None:
    made = program(16, **NATIVE, **FULL)
    before = made.predict(X)
    start = made.state()
    made.run(X, Y, order(3))
    after = made.predict(X)
    assert not np.array_equal(before, after)
    if change == "load_state":
        made.load_state(start)
        np.testing.assert_array_equal(made.predict(X), before)
    elif change == "load_parameters":
        made.load_parameters({name: 2 * value for name, value in made.parameters().items()})
        assert not np.array_equal(made.predict(X), after)
    elif change == "stack":
        stack = compile_stack([config(16, seed=seed, **NATIVE, **FULL) for seed in (0, 1)], CLASSES)
        first = stack.programs[0].predict(X)
        stack.run(X, Y, np.stack([order(2)] * 2))
        assert not np.array_equal(stack.programs[0].predict(X), first)


def test_gradients_take_any_number_of_rows() -> None:
    made = program(6)
    parts = [made.gradients(X[:3], Y[:3]), made.gradients(X[3:10], Y[3:10])]
    for name, value in made.gradients(X[:10], Y[:10]).items():
        np.testing.assert_allclose(value, 0.3 * parts[0][name] + 0.7 * parts[1][name], rtol=1e-10, atol=1e-14)


def test_going_back_to_a_state_repeats_the_same_bits() -> None:
    made = program(6, **FULL, **NATIVE)
    made.run(X, Y, order(3))
    state = made.state()
    first = made.run(X, Y, order(4))
    made.load_state(state)
    assert made.steps_done == 3
    np.testing.assert_array_equal(made.run(X, Y, order(4)), first)


def test_reading_leaves_the_state_as_it_is() -> None:
    made = program(6, **FULL)
    before = made.state()
    made.loss(X, Y), made.loss(X, Y, training=True), made.gradients(X, Y), made.evaluate(X, Y), made.penalty()
    for name, value in made.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_parameters_are_copies_and_can_be_loaded_again() -> None:
    made, other = program(6, seed=1), program(6, seed=2)
    other.load_parameters(made.parameters())
    np.testing.assert_array_equal(other.predict(X), made.predict(X))
    made.parameters()["fc1.weight"][:] = 0
    assert made.parameters()["fc1.weight"].any()


def test_parameters_that_do_not_fit_are_refused_with_every_difference() -> None:
    made = program(6)
    given = made.parameters()
    given["fc9.weight"] = given.pop("fc1.bias")
    given["fc2.weight"] = given["fc2.weight"].T
    before = made.parameters()["fc1.weight"]
    given["fc1.weight"] = given["fc1.weight"] + 1
    with pytest.raises(DataError) as caught:
        made.load_parameters(given)
    expected = "parameters do not fit the program: fc1.bias is missing; fc9.weight is unknown; fc2.weight has shape [3, 6], not [6, 3]"
    assert str(caught.value) == expected
    np.testing.assert_array_equal(made.parameters()["fc1.weight"], before)


def test_a_state_of_complex_numbers_is_refused() -> None:
    made = program()
    with refused("state tensors do not fit the program: step holds complex numbers", DataError):
        made.load_state({**made.state(), "step": np.array(1j)})


REJECTED = [
    (X[:, :3], Y, order(1), "x has shape [40, 3]: must be [N, 4]; give rows as the data declares them"),
    (X.astype(str), Y, order(1), "x has dtype <U32: must hold real numbers; turn text into numbers first"),
    (X, Y[:5], order(1), "y has shape [5]: must be [40]; give one class for each row of x"),
    (X, Y + 0.5, order(1), "y has dtype float64: must be whole numbers, the classes 0 to 2; use y.astype('int32')"),
    (X, np.where(np.arange(40) == 7, 3, Y), order(1), "y[7] = 3: must be a class, 0 to 2; the network has 3 classes"),
    (X, Y, order(1)[0], "order has shape [8]: must be [steps, batch]; give the row numbers of every step"),
    (X, Y, order(1) * 1.0, "order has dtype float64: must be whole numbers, the row numbers of every step; use order.astype('int64')"),
    (X, Y, np.array([[0, 1], [40, 2]]), "order[1, 0] = 40: must be a row number, 0 to 39; x has 40 rows"),
    (X, Y, np.array([[0, -1]]), "order[0, 1] = -1: must be a row number, 0 to 39; x has 40 rows"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y", "rows", "sentence"), REJECTED, ids=[sentence for *_, sentence in REJECTED])
def test_rows_that_do_not_fit_are_refused_in_one_sentence(x: Any, y: Any, rows: Any, sentence: str) -> None:
    with refused(sentence, DataError):
        program(6).run(x, y, rows)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_a_diverging_training_names_the_step_and_the_first_layer_and_keeps_the_state_before_it(backend: str) -> None:
    changes: dict[str, Any] = {"precision": "float32", "backend": {"kind": backend}, "optimizer": {"kind": "sgd", "learning_rate": 1e300}}
    if backend == "numpy":
        changes["optimizer"]["learning_rate"] = 1e30
    made = program(6, 5, **changes)
    with pytest.raises(DivergedError) as caught:
        made.run(X, Y, order(5))
    rate = "1e+300" if backend == "reference" else "1e+30"
    assert str(caught.value).startswith("training diverged at step 2: the loss is not finite; the first non-finite value is in layer fc")
    assert str(caught.value).endswith(f"; lower optimizer.learning_rate = {rate}")
    assert (caught.value.step, len(caught.value.losses), made.steps_done, caught.value.exit_code) == (1, 1, 1, 1)
    once = program(6, 5, **changes)
    once.run(X, Y, order(5)[:1])
    for name, value in made.state().items():
        np.testing.assert_array_equal(once.state()[name], value)


def test_a_parameter_that_is_not_finite_is_named() -> None:
    made = program(6, 5)
    parameters = made.parameters()
    parameters["fc2.bias"][1] = np.nan
    made.load_parameters(parameters)
    with pytest.raises(DivergedError, match=r"at step 1: .* is in layer fc2 \(fc2\.bias\); lower"):
        made.step(X[:8], Y[:8])


VALUES: list[dict[str, Any]] = [
    {"optimizer": {"kind": "adam", "learning_rate": 0.5, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}},
    {"schedule": {"kind": "cosine"}},
    {"regularization": {"dropout": "inverted", "keep_prob": 0.5, "l2": 0.1, "weight_decay": 0.1}},
    {"normalization": {"kind": "batch", "momentum": 0.5, "epsilon": 1e-3}},
    {"initialization": {"kind": "zeros"}},
    {"seed": 7},
    {"backend": {"kind": "numpy"}},
]
STRUCTURE: list[dict[str, Any]] = [
    {"optimizer": {"kind": "sgd"}},
    {"regularization": {"dropout": "inverted", "keep_prob": 0.8}},
    {"normalization": {"kind": "none"}},
    {"activation": {"kind": "tanh"}},
    {"training": {"batch_size": 9}},
    {"precision": "float32"},
]


@pytest.mark.parametrize("changes", VALUES, ids=lambda changes: next(iter(changes)))
def test_values_leave_the_digest_as_it_is(changes: dict[str, Any]) -> None:
    assert program(6, **{**FULL, **changes}).digest == program(6, **FULL).digest


@pytest.mark.parametrize("changes", STRUCTURE, ids=lambda changes: next(iter(changes)))
def test_structure_changes_the_digest(changes: dict[str, Any]) -> None:
    assert program(6, **{**FULL, **changes}).digest != program(6, **FULL).digest


def test_momentum_conventions_share_a_structure() -> None:
    classic, ema = ({"kind": "momentum", "convention": name} for name in ("classic", "ema"))
    assert program(6, optimizer=classic).digest == program(6, optimizer=ema).digest


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_a_trial_in_a_stack_has_the_bits_it_has_alone(backend: str) -> None:
    rates = (0.1, 1e300 if backend == "reference" else 1e30, 0.01)
    changes = [{**FULL, "seed": k, "optimizer": {"kind": "sgd", "learning_rate": rate}} for k, rate in enumerate(rates)]
    configs = [config(6, precision="float32", backend={"kind": backend}, **change) for change in changes]
    stack = compile_stack(configs, CLASSES)
    orders = np.stack([order(4, seed=k) for k in range(3)])
    losses = stack.run(X, Y, orders)
    for k in (0, 2):
        alone = program(6, precision="float32", backend={"kind": backend}, **changes[k])
        np.testing.assert_array_equal(losses[k], alone.run(X, Y, orders[k]))
        np.testing.assert_array_equal(stack.programs[k].predict(X), alone.predict(X))
        assert stack.programs[k].step(X[:8], Y[:8]) == alone.step(X[:8], Y[:8])
        for name, value in alone.state().items():
            np.testing.assert_array_equal(stack.programs[k].state()[name], value)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_trials_of_a_stack_may_differ_in_the_values_of_their_layers(backend: str) -> None:
    values = [
        {"regularization": {"dropout": "inverted", "keep_prob": 0.9, "l2": 0.1}, "initialization": {"kind": "normal", "std": 0.5}},
        {"regularization": {"dropout": "inverted", "keep_prob": 0.5, "l2": 0.3}, "initialization": {"kind": "normal", "std": 0.1}},
    ]
    configs = [config(6, backend={"kind": backend}, **change) for change in values]
    losses = compile_stack(configs, CLASSES).run(X, Y, np.stack([order(4), order(4)]))
    for k, change in enumerate(values):
        np.testing.assert_array_equal(losses[k], program(6, backend={"kind": backend}, **change).run(X, Y, order(4)))


def test_a_trial_that_diverges_stops_alone() -> None:
    rates = (0.1, 1e30)
    configs = [config(6, **NATIVE, optimizer={"kind": "sgd", "learning_rate": rate}) for rate in rates]
    stack = compile_stack(configs, CLASSES)
    losses = stack.run(X, Y, np.stack([order(4)] * 2))
    assert np.isfinite(losses[0]).all() and np.isfinite(losses[1]).tolist() == [True, False, False, False]
    assert [p.steps_done for p in stack.programs] == [4, 1]


DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": {"kind": "sgd"}, "seed": 3}, "optimizer.kind = sgd"),
    ({"seed": 3, "training": {"batch_size": 9, "epochs": 3}}, "training.batch_size = 9"),
    ({"architecture": {"layers": [{"kind": "dense", "units": 7}]}}, "architecture.layers[0].units = 7"),
]


@pytest.mark.parametrize(("changes", "where"), DIFFERENT, ids=[where for _, where in DIFFERENT])
def test_a_stack_refuses_another_structure_and_names_the_path(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_stack([config(6), config(6, **changes)], CLASSES)
    assert str(caught.value) == f"{where}: config 1 has another structure than config 0; stack configs that differ in values only"


def test_layers_lists_names_kinds_shapes_and_counts() -> None:
    assert program(6).layers == (("fc1", "dense", (6,), 30), ("relu1", "relu", (6,), 0), ("fc2", "dense", (3,), 21))


def test_explain_shows_every_stage() -> None:
    text = program(6, **FULL, **NATIVE).explain(["all"])
    assert text.startswith("backend numpy (asked for by name), float32, structure ")
    assert "bias of fc1 removed: batch norm follows, its gradient is zero" in text
    titles = ["layers", "train: op graph, batch 8", "train: plan", "train: program", "evaluate: plan", "evaluate: program"]
    assert [title for title in titles if f"== {title} ==" not in text] == []
    assert "train: after pass prune" in text and "train: after pass fuse" in text


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_layer_values_are_what_the_layers_make_of_x_in_evaluation(backend: str) -> None:
    made = program(6, normalization="batch", regularization={"dropout": "inverted", "keep_prob": 0.5}, backend={"kind": backend})
    x, y = data()
    made.run(x, y, order(5))
    state, values = made.state(), made.layer_values(x)
    assert list(values) == ["fc1", "bn1", "relu1", "dropout1", "fc2"]
    z = x @ state["fc1.weight"]
    scale = state["bn1.gamma"] / np.sqrt(state["bn1.running_variance"] + 1e-5)
    normal = (z - state["bn1.running_mean"]) * scale + state["bn1.beta"]
    for name, expected in (("fc1", z), ("bn1", normal), ("relu1", np.maximum(normal, 0)), ("dropout1", np.maximum(normal, 0))):
        np.testing.assert_allclose(values[name], expected, rtol=1e-10, atol=1e-12)
    logits = values["fc2"] - values["fc2"].max(axis=1, keepdims=True)
    np.testing.assert_allclose(made.predict(x), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-10)


def test_streamed_rows_give_what_rows_in_memory_give() -> None:
    x, y = data()
    weight = np.linspace(0.5, 2, len(x))
    streamed = Streamed(store=x, rows=None, stored_shape=(4,), row_shape=(4,), dtype=x.dtype)
    one, other = program(5), program(5)
    assert np.array_equal(one.run(x, y, order(6), weight), other.run(streamed, y, order(6), weight))
    assert np.array_equal(one.predict(x), other.predict(streamed))
    assert one.loss(x, y) == other.loss(streamed, y)
