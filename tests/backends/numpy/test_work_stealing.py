"""Threads take the tiles of a call piece by piece: one that is late leaves its own to the others, and no bit depends on who does what."""

# K trials
from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

import numpy as np
import pytest

import pipeline
from backends.contract import Array, Feed, Plan
from backends.numpy import NumpyBackend, executor
from backends.numpy.executor import NumpyExecutable
from backends.numpy.machine.memory import Arenas
from backends.numpy.step import stolen
from backends.numpy.threads.pool import Choice, pool
from pipeline.graph.ir import Graph
from tests.ops.running import builder, plan_for

STEPS = 3
# rows, terms and columns of the first product, columns of the second; a sum of more than 1,023 terms is taken in blocks
SHAPES = [(96, 200, 160, 70), (37, 90, 1100, 130), (128, 1500, 300, 33)]


def _graph(shape: tuple[int, int, int, int]) -> Graph:
    """(a b) c, and the transposed first factor with the product: every way in which a product packs its factors."""
    rows, terms, middle, columns = shape
    b = builder("float32")
    one, two, three = b.input("a", (rows, terms), "state"), b.input("b", (terms, middle), "state"), b.input("c", (columns, middle), "state")
    y = b.add("matmul", one, two)
    b.outputs = {"y": y, "z": b.add("matmul", y, three, transpose_b=True), "w": b.add("matmul", one, y, transpose_a=True)}
    return b.graph()


def _loaded(threads: int, graph: Graph) -> tuple[Plan, NumpyExecutable, Any, Feed]:
    backend = NumpyBackend(threads=threads)
    plan = plan_for(backend, graph)
    memory, executable = backend.allocate(plan.state, 1), backend.load(plan)
    executable.threads = threads  # also where they do not pay
    for buffer in plan.state:
        memory.write(0, buffer.name, np.random.default_rng(buffer.offset).standard_normal(buffer.shape))
    nothing, order = np.zeros((1, 1), np.float32), np.zeros((1, STEPS, 1), np.int64)
    values, words = np.zeros((1, STEPS, 0)), np.zeros((1, STEPS, 0), np.uint32)
    return plan, executable, memory, Feed(x=nothing, y=nothing, order=order, values=values, words=words)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(shape: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyExecutable, "_members", lambda self, steps: self.threads)
    results: list[dict[str, Array]] = []
    for threads in (1, 2, 3, 7):
        plan, executable, memory, feed = _loaded(threads, _graph(shape))
        assert len(stolen(plan, executable.kernels)) == 3, "the products are too small to be stolen"
        results.append(dict(executable.run(memory, feed).outputs))
    for other in results[1:]:
        assert all(other[name].tobytes() == value.tobytes() for name, value in results[0].items())


class _LatePool:
    """Does part 0 on another thread, and part 1 when the first product is whole, or after `patience` seconds."""

    def __init__(self, executable: NumpyExecutable, plan: Plan, product: Array, patience: float = 20) -> None:
        self.executable, self.plan, self.product, self.patience = executable, plan, product, patience
        self.whole = False

    def run(self, function: int, argument: int, parts: Any) -> None:
        native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)(function)
        buffer = next(b for c in self.plan.calls if c.phase == self.plan.calls[0].phase for b in c.outputs)
        made = self.executable.arenas._arenas[0].work[buffer.offset : buffer.offset + buffer.bytes].view(np.float32).reshape(buffer.shape)
        made.fill(np.nan)
        first = threading.Thread(target=native, args=(argument, *parts[0]))
        first.start()
        end = time.monotonic() + self.patience
        while not self.whole and time.monotonic() < end:
            self.whole = np.allclose(made, self.product, rtol=1e-3, atol=1e-3)
            time.sleep(0.001)
        native(argument, *parts[1])
        first.join()


def test_the_others_do_what_a_late_thread_has_not_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyExecutable, "_members", lambda self, steps: self.threads)
    graph = _graph(SHAPES[0])
    _, alone, memory, feed = _loaded(1, graph)
    expected = alone.run(memory, feed).outputs
    plan, executable, memory, feed = _loaded(2, graph)
    late = _LatePool(executable, plan, memory.read(0, "a") @ memory.read(0, "b"))
    monkeypatch.setattr(executor, "pool", lambda: late)
    outputs = executable.run(memory, feed).outputs
    assert late.whole, "a thread that waits did not do the other's tiles"
    assert all(outputs[name].tobytes() == value.tobytes() for name, value in expected.items())


class _LateTeam:
    """Lets team 1 do all that it finds before team 0 begins; `idle`: whether that one then found nothing to do."""

    def __init__(self, arenas: Arenas) -> None:
        self.arenas, self.idle = arenas, False

    def run(self, function: int, argument: int, parts: Any) -> None:
        native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)(function)
        native(argument, *parts[1])
        work = self.arenas._arenas[0].work
        before = work.copy()
        native(argument, *parts[0])
        self.idle = work.tobytes() == before.tobytes()


TRIALS = [{"optimizer": {"kind": "sgd", "learning_rate": rate}, "seed": seed} for rate in (1e-2, 1e20) for seed in (0, 1)]
NETWORK = {"architecture": {"layers": [{"kind": "dense", "units": 256}] * 2}, "data": {"input_shape": [200], "classes": 10}}


def _losses() -> Array:
    """Of a stack of four, two of which diverge."""
    rng = np.random.default_rng(0)
    x, y, orders = rng.random((256, 200), np.float32), rng.integers(0, 10, 256), rng.integers(0, 256, (len(TRIALS), 20, 64))
    backend = {"kind": "numpy", "threads": 2}
    return pipeline.stack([{**NETWORK, **trial, "training": {"batch_size": 64}, "backend": backend} for trial in TRIALS]).run(x, y, orders)


@pytest.mark.parametrize("shares", [False, True])
def test_threads_that_share_each_trial_give_the_bits_of_threads_that_take_trials(shares: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, teams = _losses(), []
    monkeypatch.setattr(Choice, "together", lambda self: shares)
    monkeypatch.setattr(
        executor, "_parts", lambda members, count, made=executor._parts: teams.append((members, count)) or made(members, count)
    )
    assert _losses().tobytes() == expected.tobytes()
    assert set(teams) == {(2, 1) if shares else (1, 2)}


def test_a_late_team_leaves_its_trials_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Choice, "together", lambda self: False)
    expected, late = _losses(), []
    made = pool()

    def run(self: NumpyExecutable, memory: Any, feed: Feed) -> Any:
        late.append(_LateTeam(self.arenas))
        return whole(self, memory, feed)

    whole = NumpyExecutable.run
    monkeypatch.setattr(NumpyExecutable, "run", run)
    monkeypatch.setattr(executor, "pool", lambda: late[-1] if late else made)
    assert _losses().tobytes() == expected.tobytes()
    assert late and all(team.idle for team in late)


def test_a_step_that_is_not_taken_leaves_no_tile_taken() -> None:
    common = {"architecture": {"layers": [{"kind": "dense", "units": 256}] * 2}, "training": {"batch_size": 128}, "seed": 1}
    rng = np.random.default_rng(0)
    x, y, orders = rng.random((256, 200), np.float32), rng.integers(0, 10, 256), rng.integers(0, 256, (2, 40, 128))
    losses = []
    for threads in (1, 3):  # with more threads than trials these share each trial, one after another
        backend = {"kind": "numpy", "threads": threads}
        rates = [{"optimizer": {"kind": "sgd", "learning_rate": rate}} for rate in (1e20, 1e-2)]
        stack = pipeline.stack([{**common, "backend": backend, "data": {"input_shape": [200], "classes": 10}, **rate} for rate in rates])
        losses.append(stack.run(x, y, orders))
    assert np.isnan(losses[0][0, -1]), "the first trial does not diverge"
    assert np.isfinite(losses[0][1]).all()
    assert losses[0].tobytes() == losses[1].tobytes()
