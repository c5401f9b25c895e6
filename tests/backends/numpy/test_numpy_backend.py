"""The native backend: bits that repeat, trials in a stack, processors, the object cache."""

# K trials, S steps, B batch rows
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from llvmlite import ir

from backends.contract import Array, Feed, Plan
from backends.numpy import NumpyBackend
from backends.numpy.executor import NumpyExecutable
from backends.numpy.kernels import kernel_of
from backends.numpy.machine import processor
from backends.numpy.machine.cache import ObjectCache
from pipeline.passes import compile_passes
from pipeline.plan import make_plan, state_layout
from tests.networks import VALUES, training_graph

SHAPES = [
    {"B": 8, "D": 6, "H": 5, "C": 3},
    {"B": 33, "D": 17, "H": 130, "C": 11},
    {"B": 16, "D": 40, "H": 64, "C": 10},
    {"B": 10, "D": 10, "H": 10, "C": 10},
    {"B": 128, "D": 96, "H": 256, "C": 10},
    {"B": 1, "D": 3, "H": 64, "C": 2},
]


def _plan(backend: NumpyBackend, shape: dict[str, int], precision: str = "float32") -> Plan:
    graph = training_graph(**shape, precision=precision)
    compiled, _ = compile_passes(graph, backend.target)
    return make_plan(compiled, name="train", batch=shape["B"], state=state_layout([graph]))


def _train(
    backend: NumpyBackend, shape: dict[str, int], rates: list[float], *, steps: int = 12, precision: str = "float32"
) -> tuple[Array, Array, list[dict[str, Array]]]:
    """Trains a trial a learning rate -> losses [K, S], steps done [K], final states."""
    plan = _plan(backend, shape, precision)
    executable, memory = backend.load(plan), backend.allocate(plan.state, len(rates))
    rng = np.random.default_rng(0)
    rows = 4 * shape["B"] + 3
    x, y = rng.normal(size=(rows, shape["D"])), rng.integers(0, shape["C"], rows)
    start = {b.name: rng.normal(size=b.shape) * (0.0 if "velocity" in b.name else 0.3) for b in plan.state}
    order = rng.integers(0, rows, (1, steps, shape["B"])).repeat(len(rates), axis=0)
    values = np.array([[[VALUES[n] if n != "learning_rate" else rate for n in plan.values]] * steps for rate in rates])
    words = np.array([[[{"seed": 3, "step_low": s, "step_high": 0}[n] for n in plan.words] for s in range(steps)]] * len(rates))
    for trial in range(len(rates)):
        for name, value in start.items():
            memory.write(trial, name, value)
    results = executable.run(memory, Feed(x=x, y=y.astype(np.int32), order=order, values=values, words=words))
    states = [{b.name: memory.read(trial, b.name) for b in plan.state} for trial in range(len(rates))]
    return results.outputs["loss"], results.done, states


def _same(one: dict[str, Array], other: dict[str, Array]) -> bool:
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


class _Threaded(NumpyBackend):
    """Takes its threads also where they do not pay, so that small nets test them."""

    def load(self, plan: Plan) -> NumpyExecutable:
        executable = super().load(plan)
        executable.threads, executable.gain = self.threads, float("inf")
        return executable


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(shape: dict[str, int], precision: str) -> None:
    losses, _, states = _train(_Threaded(threads=1), shape, [0.05], precision=precision)
    for threads in (2, 3):
        again, _, other = _train(_Threaded(threads=threads), shape, [0.05], precision=precision)
        assert again.tobytes() == losses.tobytes() and _same(states[0], other[0]), f"{threads} threads differ from one"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_trial_in_a_stack_has_the_bits_it_has_alone(threads: int) -> None:
    rates = [0.01, 0.05, 0.2, 0.1, 0.03]
    losses, done, states = _train(_Threaded(threads=threads), SHAPES[1], rates)
    assert (done == 12).all()
    for trial, rate in enumerate(rates):
        alone, _, state = _train(_Threaded(threads=threads), SHAPES[1], [rate])
        assert alone[0].tobytes() == losses[trial].tobytes() and _same(state[0], states[trial])


def test_a_diverging_trial_is_frozen_before_its_state_is_touched_and_leaves_the_others_alone() -> None:
    losses, done, states = _train(NumpyBackend(threads=2), SHAPES[1], [0.05, 1e30, 0.05])
    assert done[0] == done[2] == 12 and done[1] < 12
    assert not np.isfinite(losses[1, done[1]]) and np.isnan(losses[1, done[1] + 1 :]).all()
    assert losses[0].tobytes() == losses[2].tobytes() and _same(states[0], states[2])
    _, _, before = _train(NumpyBackend(threads=2), SHAPES[1], [1e30], steps=int(done[1]))
    assert _same(before[0], states[1])


@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_avx2_code_has_the_bits_of_the_widest_code(shape: dict[str, int]) -> None:
    if processor.host().name not in ("AVX-512", "AVX2"):
        pytest.skip(f"this processor ({processor.host().name}) runs no AVX2 code")
    wide, _, states = _train(NumpyBackend(threads=1), shape, [0.05])
    narrow, _, others = _train(NumpyBackend(threads=1, processor=processor.avx2()), shape, [0.05])
    assert wide.tobytes() == narrow.tobytes() and _same(states[0], others[0])


def test_plain_code_trains_alike() -> None:
    if not processor.host().triple.startswith("x86_64"):
        pytest.skip("this processor runs no x86-64 code")
    for shape in SHAPES[:4]:
        wide, _, _ = _train(NumpyBackend(threads=1), shape, [0.05], steps=3)
        plain, _, _ = _train(NumpyBackend(threads=1, processor=processor.plain()), shape, [0.05], steps=3)
        np.testing.assert_allclose(plain, wide, rtol=1e-5)


def test_two_objects_that_were_exchanged_and_a_folder_that_others_write_are_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, here = ObjectCache(tmp_path), processor.host()
    plan = _plan(NumpyBackend(threads=1), {"B": 5, "D": 4, "H": 9, "C": 3})
    first = NumpyBackend(threads=1, processor=processor.avx2(), cache=cache)
    kernels = {kernel.symbol: kernel for kernel in first.load(plan).kernels.values()}
    (one, kernel), (other, _) = list(kernels.items())[:2]
    good, wrong = (tmp_path / f"{one}.o").read_bytes(), (tmp_path / f"{other}.o").read_bytes()
    (tmp_path / f"{one}.o").write_bytes(wrong)
    assert cache.get(one, processor.avx2(), kernel.build) == good[32:] and "was damaged" in capsys.readouterr().err
    made = []

    def build() -> ir.Module:
        made.append(here)
        return kernel.build()

    tmp_path.chmod(0o777)
    assert cache.get(one, processor.avx2(), build) == good[32:] and len(made) == 1  # and made safe, as it is ours
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    (tmp_path / f"{one}.o").chmod(0o666)
    assert cache.get(one, processor.avx2(), build) == good[32:] and len(made) == 2
    assert (tmp_path / f"{one}.o").stat().st_mode & 0o022 == 0
    assert cache.get(one, processor.avx2(), build) == good[32:] and len(made) == 2


def test_a_damaged_cache_entry_is_made_anew_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = ObjectCache(tmp_path)
    shape = {"B": 4, "D": 3, "H": 7, "C": 2}
    plan = _plan(NumpyBackend(threads=1), shape)
    # another processor record, so that this process has not loaded the objects yet
    first = NumpyBackend(threads=1, processor=processor.avx2(), cache=cache)
    kernel = next(iter(first.load(plan).kernels.values()))
    path = tmp_path / f"{kernel.symbol}.o"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert cache.get(kernel.symbol, first.processor, kernel.build) == good[32:]
    assert capsys.readouterr().err == f"note: the cached kernel {path} was damaged and is made anew\n"
    assert path.read_bytes() == good


def test_the_cache_stays_within_its_limit(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, limit=50)
    for number in range(5):
        (tmp_path / f"{number}.o").write_bytes(bytes(20))
    cache.prune()
    assert len(list(tmp_path.glob("*.o"))) == 2


def test_a_new_object_pushes_old_ones_out(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.o").write_bytes(bytes(20))
    backend = NumpyBackend(threads=1, processor=processor.avx2(), cache=ObjectCache(tmp_path, limit=50))
    kernel = next(iter(kernel_of(call, "float32", backend.processor) for call in _plan(backend, SHAPES[0]).calls if call.op != "gather"))
    backend.cache.get(kernel.symbol, backend.processor, kernel.build)
    assert not list(tmp_path.glob("[0-4].o"))


def test_a_folder_that_cannot_be_written_costs_the_cache_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    shape = {"B": 4, "D": 3, "H": 9, "C": 2}
    losses, _, _ = _train(NumpyBackend(threads=1, cache=ObjectCache(blocked / "kernels")), shape, [0.05], steps=2)
    assert np.isfinite(losses).all()
