"""What every backend makes of a plan: gathers, tables, trials, state, the guard."""

# K trials, S steps, B batch rows, N data rows
from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Backend, Feed
from pipeline.graph.ir import Graph
from tests.ops.running import builder, plan_for

N, B, C = 11, 5, 3


def _feed(steps: int, trials: int, *, values: Array | None = None, x: Array | None = None) -> Feed:
    rng = np.random.default_rng(3)
    return Feed(
        x=rng.normal(size=(N, C)) if x is None else x,
        y=rng.integers(0, C, N).astype(np.int32),
        order=rng.integers(0, N, (trials, steps, B)),
        values=np.zeros((trials, steps, 0)) if values is None else values,
        words=np.zeros((trials, steps, 0), np.uint32),
    )


def _descent() -> Graph:
    """w <- w - rate * gradient of half the squared norm of x w, guarded by its loss."""
    b = builder("float64")
    x, w, rate = b.input("x", (B, C), "data"), b.input("w", (C, 2), "state"), b.value("rate")
    y = b.add("matmul", x, w)
    b.outputs["loss"] = b.guard = b.add("sum", b.add("mul", y, y), axes=(0, 1))
    gradient = b.add("matmul", x, y, transpose_a=True)
    b.updates["w"] = b.add("sub", w, b.add("mul", rate, gradient))
    return b.graph()


def _descend(backend: Backend, feed: Feed, start: Array) -> tuple[Array, Array, Array]:
    """Losses [K, S], completed steps [K] and the last weights [K, C, 2] from the weights `start` [K, C, 2]."""
    plan = plan_for(backend, _descent(), batch=B)
    memory = backend.allocate(plan.state, len(start))
    for trial, w in enumerate(start):
        memory.write(trial, "w", w)
    results = backend.load(plan).run(memory, feed)
    return results.outputs["loss"], results.done, np.stack([memory.read(trial, "w") for trial in range(len(start))])


def _alone(feed: Feed, trial: int) -> Feed:
    one = slice(trial, trial + 1)
    return Feed(x=feed.x, y=feed.y, order=feed.order[one], values=feed.values[one], words=feed.words[one])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_gather_takes_the_rows_of_each_step_and_trial(backend: Backend, dtype: str) -> None:
    b = builder("float64")
    x, y = b.input("x", (B, C), "data"), b.input("y", (B,), "data", "int32")
    b.outputs["x"] = b.add("mul", x, b.constant(2.0))
    b.outputs["y"] = b.add("cast", y, dtype="float64")
    plan = plan_for(backend, b.graph(), batch=B)
    feed = _feed(4, 3, x=np.arange(N * C).reshape(N, C).astype(dtype))
    results = backend.load(plan).run(backend.allocate(plan.state, 3), feed)
    assert np.array_equal(results.outputs["x"], 2.0 * feed.x[feed.order])
    assert np.array_equal(results.outputs["y"], feed.y[feed.order])
    assert results.done.tolist() == [4, 4, 4]


def test_values_change_with_the_step_and_the_trial(backend: Backend) -> None:
    b = builder("float64")
    w, rate, scale = b.input("w", (C,), "state"), b.value("rate"), b.value("scale")
    b.outputs["y"] = b.add("add", b.add("mul", w, rate), scale)
    plan = plan_for(backend, b.graph(), batch=B)
    assert plan.values == ("rate", "scale")
    memory = backend.allocate(plan.state, 2)
    weights = np.arange(2.0 * C).reshape(2, C)
    for trial in range(2):
        memory.write(trial, "w", weights[trial])
    values = np.random.default_rng(1).normal(size=(2, 3, 2))
    y = backend.load(plan).run(memory, _feed(3, 2, values=values)).outputs["y"]
    assert y == pytest.approx(weights[:, None] * values[..., :1] + values[..., 1:], rel=1e-15)


def test_a_state_update_is_what_the_next_step_reads(backend: Backend) -> None:
    feed = _feed(6, 1, values=np.full((1, 6, 1), 0.01))
    start = np.random.default_rng(5).normal(size=(1, C, 2))
    losses, done, last = _descend(backend, feed, start)
    w, expected = start[0], []
    for rows in feed.order[0]:
        y = feed.x[rows] @ w
        expected.append(np.sum(y * y))
        w = w - 0.01 * feed.x[rows].T @ y
    assert done.tolist() == [6]
    assert losses[0] == pytest.approx(expected, rel=1e-12)
    assert last[0] == pytest.approx(w, rel=1e-12)


def test_a_run_cut_in_two_ends_with_the_same_bits(backend: Backend) -> None:
    feed = _feed(6, 1, values=np.full((1, 6, 1), 0.01))
    start = np.random.default_rng(5).normal(size=(1, C, 2))
    _, _, whole = _descend(backend, feed, start)
    halves = [
        Feed(x=feed.x, y=feed.y, order=feed.order[:, p], values=feed.values[:, p], words=feed.words[:, p]) for p in (slice(2), slice(2, 6))
    ]
    for half in halves:
        _, _, start = _descend(backend, half, start)
    assert np.array_equal(start, whole)


def test_a_diverging_trial_stops_with_its_state_as_before_the_step_and_leaves_the_others_alone(backend: Backend) -> None:
    values = np.full((3, 8, 1), 0.01)
    values[1] = 1e200  # the first update overflows the loss of the second step
    feed = _feed(8, 3, values=values)
    start = np.random.default_rng(5).normal(size=(3, C, 2))
    losses, done, last = _descend(backend, feed, start)
    assert done.tolist() == [8, 1, 8]
    assert np.isfinite(losses[1, 0]) and not np.isfinite(losses[1, 1]) and np.isnan(losses[1, 2:]).all()
    for trial in (0, 2):
        alone = _descend(backend, _alone(feed, trial), start[trial : trial + 1])
        assert np.array_equal(losses[trial], alone[0][0]) and np.array_equal(last[trial], alone[2][0])
    one_step = Feed(x=feed.x, y=feed.y, order=feed.order[1:2, :1], values=values[1:2, :1], words=feed.words[1:2, :1])
    _, _, before = _descend(backend, one_step, start[1:2])
    assert np.array_equal(last[1], before[0])


def test_plans_of_one_network_share_its_state(backend: Backend) -> None:
    b = builder("float64")
    b.outputs["total"] = b.add("sum", b.input("w", (C, 2), "state"), axes=(0, 1))
    train = plan_for(backend, _descent(), batch=B)
    total = plan_for(backend, b.graph(), batch=B, state=train.state)
    memory = backend.allocate(train.state, 1)
    memory.write(0, "w", np.ones((C, 2)))
    backend.load(train).run(memory, _feed(3, 1, values=np.full((1, 3, 1), 0.01)))
    results = backend.load(total).run(memory, _feed(1, 1))
    assert results.outputs["total"][0, 0] == pytest.approx(memory.read(0, "w").sum(), rel=1e-14)
    assert memory.read(0, "w").sum() != 2.0 * C


def test_memory_starts_at_zero_and_gives_copies(backend: Backend) -> None:
    plan = plan_for(backend, _descent(), batch=B)
    memory = backend.allocate(plan.state, 2)
    assert memory.trials == 2 and not memory.read(0, "w").any()
    memory.write(1, "w", np.ones((C, 2)))
    copy = memory.read(1, "w")
    copy[:] = 7.0
    assert (memory.read(1, "w") == 1.0).all() and not memory.read(0, "w").any()


def test_the_source_is_text_for_a_reader(backend: Backend) -> None:
    text = backend.load(plan_for(backend, _descent(), batch=B)).source()
    assert len(text.splitlines()) > 3 and "matmul" in text
