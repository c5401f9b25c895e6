"""Rows, predictions and parameters that stay on the device; data that do not fit there pass through in parts."""

# N rows
from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pipeline
from backends.contract import Array, Feed, Resident
from backends.cupy import CupyBackend
from backends.cupy.data import Passing
from backends.cupy.executor import GRAPH_STEPS
from pipeline.errors import BackendError, DataError
from pipeline.preprocessing import Preprocessing, fit
from pipeline.program import resident
from pipeline.program.model import Model
from pipeline.program.program import Program
from tests.cuda.beside import needs_compiler, on
from tests.cuda.recording import RecordingDevice
from tests.cuda.shim import ShimDevice
from tests.cuda.test_launches import _feed, _plans, _steps

NETWORK = (
    "architecture.layers=[{kind: dense, units: 24}, {kind: dense, units: 16}]", "normalization=batch", "data=npz", "data.input_shape=[7]",
    "data.classes=5", "tracking=none", "training.batch_size=16",
)  # fmt: skip


class Lent:
    """An array of another library, on a device: for the shim, whose device is the host, `numbers` hold it."""

    def __init__(self, numbers: Array, address: int | None = None) -> None:
        self.numbers, self.address = numbers, numbers.ctypes.data if address is None else address

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.numbers.shape, "typestr": self.numbers.dtype.str, "data": (self.address, False), "version": 3}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The library that `Lent` is of: it takes what has the interface, without a copy."""
    module = ModuleType("lending")
    module.asarray = _taken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lending", module)
    monkeypatch.setattr(Lent, "__module__", "lending.arrays")
    return module


def _taken(x: Resident) -> Lent:
    told = x.__cuda_array_interface__
    made = Lent(np.zeros(told["shape"], told["typestr"]), told["data"][0])
    made.owner = x  # type: ignore[attr-defined]
    return made


def _program(device: Any, *more: str) -> Program:
    with on(CupyBackend(device)):
        return pipeline.compile(pipeline.compose([*NETWORK, *more]))


class Counting(ShimDevice):
    """A shim that counts the bytes that come and go."""

    came = went = 0

    def upload(self, address: int, array: Array) -> None:
        """Counted."""
        self.came += array.nbytes
        super().upload(address, array)

    def download(self, address: int, array: Array) -> None:
        """Counted."""
        self.went += array.nbytes
        super().download(address, array)


def _numbers(made: Lent) -> Array:
    found = np.zeros(made.numbers.shape, made.numbers.dtype)
    ShimDevice().download(made.address, found)
    return found


@needs_compiler
@pytest.mark.integration
@pytest.mark.parametrize("count", [1, 31, 300])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_rows_on_the_device_have_the_bits_of_rows_on_the_host(count: int, dtype: str) -> None:
    x = np.random.default_rng(0).uniform(0, 255, (count, 7)).astype(dtype)
    here, there = pipeline.compile(pipeline.compose([*NETWORK])), _program(ShimDevice())
    made = there.predict(Lent(x))
    assert isinstance(made, Lent)
    assert _numbers(made).tobytes() == here.predict(x).tobytes() == there.predict(x).tobytes()


@needs_compiler
@pytest.mark.integration
def test_a_preprocessing_of_shifts_and_factors_is_done_there_too() -> None:
    x = np.random.default_rng(0).normal(3, 2, (50, 7)).astype(np.float32)
    fitted = fit(Preprocessing(steps=("standardize",)), x, precision="float32")
    here, there = (
        Model(program=program, fitted=fitted, target_scale=None)
        for program in (pipeline.compile(pipeline.compose([*NETWORK])), _program(ShimDevice()))
    )
    assert _numbers(there.predict(Lent(x))).tobytes() == here.predict(x).tobytes()


@needs_compiler
@pytest.mark.integration
def test_what_does_not_fit_is_refused_there_as_here() -> None:
    made = _program(ShimDevice())
    x = np.zeros((4, 7), np.float32)
    x[2, 5] = np.nan
    with pytest.raises(DataError, match=r"^x: \[2, 5\] is not finite; every number must be finite$"):
        made.predict(Lent(x))
    with pytest.raises(DataError, match=r"^x has shape \[4, 6\]: must be \[N, 7\]; give rows as the data declares them$"):
        made.predict(Lent(np.zeros((4, 6), np.float32)))


def test_no_row_and_no_prediction_passes_the_host() -> None:
    """Beside the rows' numbers, 8 bytes each, and the tables that are sent to every program; the count of steps comes back."""
    device = RecordingDevice()
    made, rows = _program(device), 20_000
    x = Lent(np.zeros((rows, 7), np.float32), 1 << 60)
    made.predict(x)
    uploads, downloads, rooms = len(device.uploads), len(device.downloads), len(device.rooms)
    found = made.predict(x)
    assert isinstance(found, Lent) and found.numbers.shape == (rows, 5)
    sent = device.uploads[uploads:]
    assert sum(size for _, size in sent) < 2 * 8 * rows + 100_000 < x.numbers.nbytes
    assert set(device.downloads[downloads:]) == {8}
    assert len(device.rooms) == rooms + 1, "that of the result"
    copied = [(target, size) for target, _, size in device.copies if target >= found.address]
    assert sum(size for _, size in copied) == found.numbers.nbytes and copied[0][0] == found.address
    assert [mark[1] for mark in device.marks[-2:]] == ["mark", "reached"], "who reads it waits for no stream of ours"
    read = {launch.arguments["xs"] for launch in device.launches[-5:] if "xs" in launch.arguments}
    assert read == {1 << 60}, "the kernels read them where they lie"


@needs_compiler
@pytest.mark.integration
def test_several_threads_predict_with_one_program() -> None:
    made = _program(ShimDevice())
    rows = [np.random.default_rng(n).normal(size=(8, 7)).astype(np.float32) for n in range(6)]
    wanted = [made.predict(x).tobytes() for x in rows]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda x: [made.predict(x).tobytes() for _ in range(20)], rows))
    assert found == [[one] * 20 for one in wanted]


def test_parameters_are_read_and_written_where_they_lie() -> None:
    device = RecordingDevice()
    made = _program(device)
    lying = resident.parameters(made)
    assert {name: p.shape for name, p in lying.items()} == {name: p.shape for name, p in made.parameters().items()}
    assert all(device.holds(p.address, p.nbytes) for p in lying.values())
    before = len(device.uploads)
    lent = {name: Lent(np.zeros(p.shape, np.float32), (1 << 60) + n * 65536) for n, (name, p) in enumerate(lying.items())}
    made.load_parameters(lent)
    assert len(device.uploads) == before, "nothing comes from the host"
    assert [mark[1] for mark in device.marks[-2:]] == ["mark", "reached"]
    assert device.copies[-len(lying) :] == [(p.address, lent[name].address, p.nbytes) for name, p in lying.items()]


def test_a_backend_of_the_host_has_no_parameters_on_a_device() -> None:
    with pytest.raises(BackendError, match=r"^backend.kind = numpy: its memory is the host's; use program.parameters\(\)$"):
        resident.parameters(pipeline.compile(pipeline.compose([*NETWORK])))


# -- data that do not fit -----------------------------------------------------------------------------------------------------------------


def _large(steps: int, trials: int = 2) -> tuple[RecordingDevice, Feed]:
    """A run over rows that take more than half of what is free."""
    plan, device = _plans("plain MLP")[0], RecordingDevice()
    device.room = 20_000_000
    feed = _feed(plan, trials, steps, rows=70_000)
    order = np.random.default_rng(0).integers(0, 70_000, feed.order.shape)
    backend = CupyBackend(device)
    executable, memory = backend.load(plan), backend.allocate(plan.state, trials)
    executable.run(memory, replace(feed, order=order))
    return device, replace(feed, order=order)


def test_rows_that_do_not_fit_go_through_two_rooms_in_turn() -> None:
    device, feed = _large(100)
    sends = [mark for mark in device.marks if mark[1] == "send"]
    assert len(sends) == 4 and len({address for _, _, address, _ in sends}) == 2, "100 steps are three parts of 32 and one of 4"
    assert [address for _, _, address, _ in sends][:2] == [address for _, _, address, _ in sends][2:]
    read = [launch.arguments["xs"] for launch in device.launches if launch.kernel == "train_0"]
    assert list(dict.fromkeys(read)) == [address for _, _, address, _ in sends][:2]
    assert max(size for _, size in device.uploads) < feed.x.nbytes / 2
    assert [step for _, step in _steps(device.launches)] == sorted(step for _, step in _steps(device.launches))
    assert len({step for _, step in _steps(device.launches)}) == 100


def test_no_room_is_written_while_it_is_read_and_none_is_read_before_it_is_there() -> None:
    device, _ = _large(160)
    for number, (when, what, *arguments) in enumerate(device.marks):
        if what != "send":
            continue
        address, free = arguments
        waits = [w for w, kind, *given in device.marks[number:] if kind == "after" and given[0] == number]
        assert waits, "the steps wait for the copy"
        first = next(i for i in range(waits[0], len(device.launches)) if "xs" in device.launches[i].arguments)
        assert device.launches[first].arguments["xs"] == address
        earlier = [i for i, launch in enumerate(device.launches[:when]) if launch.arguments.get("xs") == address]
        assert free is None or device.marks[free][0] > max(earlier), "the copy waits for the steps that read the room before"
    assert any(kind == "reached" for _, kind, *_ in device.marks), "the host waits before it fills pinned memory again"


def test_a_part_is_sent_while_the_one_before_it_runs() -> None:
    device, _ = _large(160)
    sends = [when for when, kind, *_ in device.marks if kind == "send"]
    assert sends[1] > 0 and all(a < b for a, b in pairwise(sends))
    after = [when for when, kind, *_ in device.marks if kind == "after"]
    assert all(sent == waited for sent, waited in zip(sends[1:], after[1:], strict=True)), (
        "sent as soon as the steps before are on their way"
    )


def test_places_of_a_part_are_those_of_its_own_rows() -> None:
    x = np.arange(50, dtype=np.float32)[:, None]
    order = np.random.default_rng(0).integers(0, 50, (3, 7, 4))
    passing = Passing(RecordingDevice(), x, order, 3)
    for number, used in enumerate(passing._used):
        steps = slice(3 * number, 3 * number + 3)
        np.testing.assert_array_equal(used[passing.order[:, steps]], order[:, steps])


@needs_compiler
@pytest.mark.integration
@pytest.mark.parametrize("steps", [5, GRAPH_STEPS, 70])
def test_a_training_whose_rows_pass_through_has_the_same_bits(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    plan = pipeline.compile(pipeline.compose([*NETWORK])).structure.compiled("train", 16).plan
    x, y = rng.normal(size=(500, 7)).astype(np.float32), rng.integers(0, 5, 500).astype(np.int32)
    order = rng.integers(0, 500, (1, steps, 16))
    losses = []
    for free in (None, 1000):
        device = ShimDevice()
        monkeypatch.setattr(device, "free", lambda free=free: free)
        made = _program(ShimDevice())
        made.structure.backend.device = device  # type: ignore[attr-defined]
        tables = made.feed("train", x, y, order[0])
        executable = CupyBackend(device).load(plan)
        losses.append(executable.run(made.own_memory(), replace(tables, fixed=True)).outputs["loss"].tobytes())
    assert losses[0] == losses[1] and np.isfinite(np.frombuffer(losses[0], np.float32)).all()
