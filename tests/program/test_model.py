"""Programs take numbers and give numbers; a model carries what stands before and behind one.  Nobody sets a field of either."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.errors import DataError
from pipeline.preprocessing import Preprocessing, fit
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.program.stack import Stack
from pipeline.recipe.course import Course
from tests.refusal import refused

ROOT = Path(__file__).parents[2]
# what a training, a stack and a check ask of a program alone
OWN = {
    "needs_fold",
    "was_folded",
    "feed",
    "prepare",
    "count_in",
    "access",
    "moved",
    "diverged",
    "config",
    "seed",
    "fold",
    "own_memory",
    "tables",
    "reestimate",
    "reestimates",
}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(5, 3, size=(64, 3)), RNG.normal(100, 10, size=(64, 1))
ORDER = np.arange(64).reshape(4, 16)


def program() -> Program:
    return pipeline.compile(pipeline.compose(["data.input_shape=[3]", "data.targets=1", "data.kind=diabetes", "architecture=mlp_small"]))


def model() -> Model:
    return Model(program=program(), fitted=fit(Preprocessing(), X), target_scale=TargetScale.fit(Y))


def fields() -> set[str]:
    """What the classes assign to themselves, and what their records declare."""
    found = {"preprocessing", "target_scale", "total_steps", "steps_per_epoch", "plateau", "course", *Model.__slots__}
    for kind in (Program, Stack):
        tree = ast.parse((ROOT / f"{kind.__module__.replace('.', '/')}.py").read_text())
        found |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    return found


def assigned(path: Path) -> Iterator[str]:
    """Attributes that a module assigns to anything but `self`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")).endswith("setattr"):
            yield ast.unparse(node)


@pytest.mark.parametrize("folder", ["pipeline", "benchmarks"])
def test_no_field_of_a_program_is_set_from_outside(folder: str) -> None:
    own = fields()
    assert {"steps_done", "tables", "program", "fitted"} <= own
    wrong = {str(path.relative_to(ROOT)): sorted(set(assigned(path)) & own) for path in (ROOT / folder).rglob("*.py")}
    assert not {path: names for path, names in wrong.items() if names}


def test_a_model_has_the_interface_of_a_program() -> None:
    made = model()
    names = {name for name in (*vars(Program), *vars(made.program)) if not name.startswith("_")} - OWN
    assert {"parameters", "predict", "run", "explain", "steps_done"} <= names
    assert not [name for name in names if not hasattr(made, name)]


def test_a_model_is_its_program_between_the_preprocessing_and_the_units_of_the_targets() -> None:
    whole, inner = model(), program()
    x, y = whole.fitted.apply(X), whole.target_scale.apply(Y)  # type: ignore[union-attr]
    assert whole.loss(X, Y) == inner.loss(x, y) and whole.penalty() == inner.penalty()
    assert whole.loss(X, Y, training=True) == inner.loss(x, y, training=True)
    for name, gradient in inner.gradients(x, y).items():
        np.testing.assert_array_equal(whole.gradients(X, Y)[name], gradient)
    for name, value in inner.layer_values(x).items():
        np.testing.assert_array_equal(whole.layer_values(X)[name], value)
    for one in (whole, inner):
        one.follow(Course(total_steps=5, steps_per_epoch=4))
    assert whole.step(X, Y) == inner.step(x, y)
    np.testing.assert_array_equal(whole.run(X, Y, ORDER), inner.run(x, y, ORDER))
    np.testing.assert_array_equal(whole.predict(X), whole.target_scale.undo(inner.predict(x)))  # type: ignore[union-attr]
    prediction, row_loss = whole.evaluate(X, Y, np.ones(64))
    np.testing.assert_array_equal(prediction, whole.predict(X))
    np.testing.assert_array_equal(row_loss, inner.evaluate(x, y)[1])
    assert (whole.digest, whole.layers, whole.backend, whole.steps_done) == (inner.digest, inner.layers, inner.backend, 5)
    assert (whole.explain(), repr(whole), whole.learning_rate(3)) == (inner.explain(), repr(inner), inner.learning_rate(3))
    state = whole.state()
    whole.load_parameters(program().parameters())
    assert not np.array_equal(whole.predict(X), prediction)
    whole.load_state(state)
    np.testing.assert_array_equal(whole.predict(X), prediction)


def test_what_is_wrong_with_rows_and_targets_is_told_of_those_that_were_given() -> None:
    whole = model()
    with refused("x = rows of shape [2]: preprocessing was fitted on rows of shape [3]; give rows of that shape", DataError):
        whole.predict(X[:, :2])
    with refused("y has shape [64, 2]: must be [64, 1]; give one row of targets for each row of x", DataError):
        whole.run(X, np.ones((64, 2)), ORDER)
    assert whole.loss(X, Y[:, 0]) == whole.loss(X, Y)
