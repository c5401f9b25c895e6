"""The launches of a run, against a device that writes them down: their number, their memory, their order."""

# K trials, S steps, B batch rows
from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import pipeline
from backends.contract import Buffer, Feed, Plan
from backends.cupy import CupyBackend
from backends.cupy.executor import GRAPH_STEPS, Executable
from backends.cupy.source.program import Source, program
from tests.cuda.recording import Launch, RecordingDevice
from tests.golden.cases import CONVOLUTIONS, DECODER, IMAGES, JOINS

MLP = ("architecture.layers=[{kind: dense, units: 512}, {kind: dense, units: 512}]", "training.batch_size=128", "optimizer=adam")
# the workloads whose launches are promised, and the most launches a step
PROMISED = {
    "plain MLP": ((*MLP, "normalization=none"), 12),
    "MLP with batch norm and dropout": ((*MLP, "normalization=batch", "regularization=dropout"), 24),
    "cnn_small": (("architecture=cnn_small", "training.batch_size=128"), 60),
}
NETWORKS = {
    **{name: overrides for name, (overrides, _) in PROMISED.items()},
    "joins": (JOINS, *IMAGES, "normalization=group", "normalization.groups=4", "augmentation=flip_shift"),
    "decoder": (DECODER, *IMAGES),
    "layer norm": ("architecture=mlp_small", "normalization=layer", "regularization=clip_norm", "activation=gelu"),
    "sums in runs": (*MLP, "regularization=clip_norm"),
    "convolutions": (CONVOLUTIONS, *IMAGES, "normalization=batch", "backend.recompute=true"),
}


@cache
def _plans(name: str) -> tuple[Plan, ...]:
    structure = pipeline.compile(pipeline.compose([*NETWORKS[name]])).structure
    return structure.compiled("train", structure.batch_size).plan, structure.compiled("evaluate", 32).plan


@cache
def _source(name: str, form: int = 0) -> Source:
    return program(_plans(name)[form])


def _feed(plan: Plan, trials: int, steps: int, rows: int = 256) -> Feed:
    gathered = {str(c.attributes["source"]): c.outputs[0] for c in plan.calls if c.op == "gather"}
    arrays = {name: np.zeros((rows, *b.shape[1:]), b.dtype) for name, b in gathered.items()}
    return Feed(
        x=arrays["x"], y=arrays.get("y", np.zeros(rows)), order=np.zeros((trials, steps, plan.batch), np.int64),
        values=np.zeros((trials, steps, len(plan.values))), words=np.zeros((trials, steps, len(plan.words)), np.uint32), fixed=True,
    )  # fmt: skip


def _run(plan: Plan, device: RecordingDevice, trials: int, *steps: int, captured: bool = True) -> list[list[Launch]]:
    """The launches of each of some runs one after the other."""
    backend = CupyBackend(device, captured=captured)
    executable, memory = backend.load(plan), backend.allocate(plan.state, trials)
    feeds = {count: _feed(plan, trials, count) for count in steps}
    found = []
    for count in steps:
        before = len(device.launches)
        executable.run(memory, feeds[count])
        found.append(device.launches[before:])
    return found


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("trials", [1, 64])
def test_a_step_takes_no_more_launches_than_promised_whatever_the_number_of_trials(name: str, trials: int) -> None:
    plan = _plans(name)[0]
    (launches,) = _run(plan, RecordingDevice(), trials, 1)
    assert 0 < len(launches) <= PROMISED[name][1]
    assert {launch.blocks[1] for launch in launches} == {trials}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", [0, 1], ids=["train", "evaluate"])
def test_every_call_is_in_one_launch_and_phases_are_in_order(name: str, form: int) -> None:
    plan, source = _plans(name)[form], _source(name, form)
    launched = [number for kernel in source.kernels for number in kernel.calls]
    assert sorted(launched) == list(range(len(plan.calls)))
    phases = [plan.calls[number].phase for number in launched]
    assert phases == sorted(phases)
    assert all(len({plan.calls[n].phase for n in kernel.calls}) <= 1 for kernel in source.kernels)


def _span(buffer: Buffer) -> range:
    return range(buffer.offset, buffer.offset + buffer.bytes)


def _meet(one: Buffer, other: Buffer) -> bool:
    a, b = _span(one), _span(other)
    return one.region == other.region and one.region in ("state", "work") and a.start < b.stop and b.start < a.stop


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", [0, 1], ids=["train", "evaluate"])
def test_calls_of_a_launch_do_not_race(name: str, form: int) -> None:
    """No block of one call writes what a block of another reads or writes in the same launch; what leaves a step is written before."""
    plan, source = _plans(name)[form], _source(name, form)
    for kernel in source.kernels:
        calls = [plan.calls[n] for n in kernel.calls]
        for one in calls:
            others = [c for c in calls if c is not one]
            assert not [(a.name, b.name) for a in one.outputs for c in others for b in (*c.inputs, *c.outputs) if _meet(a, b)], kernel.name
        rooms = [range(start, start + size) for n, (start, size) in source.scratch.items() if n in kernel.calls]
        assert all(a.stop <= b.start or b.stop <= a.start for i, a in enumerate(rooms) for b in rooms[i + 1 :])
        assert all(room.start >= plan.work_bytes and room.stop <= source.work for room in rooms)
    last = source.kernels[-1]
    written = [b for n in last.calls for b in plan.calls[n].outputs]
    read = [b for _, b in plan.outputs] + ([plan.guard] if plan.guard else [])
    assert not [(a.name, b.name) for a in written for b in read if _meet(a, b)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", [0, 1], ids=["train", "evaluate"])
def test_nothing_is_read_before_it_is_written(name: str, form: int) -> None:
    plan, source = _plans(name)[form], _source(name, form)
    written = np.zeros(source.work, bool)
    for kernel in source.kernels:
        for number in kernel.calls:
            for buffer in plan.calls[number].inputs:
                if buffer.region == "work":
                    assert written[buffer.offset : buffer.offset + buffer.bytes].all(), (kernel.name, buffer.name)
        for number in kernel.calls:
            for buffer in plan.calls[number].outputs:
                if buffer.region == "work":
                    written[buffer.offset : buffer.offset + buffer.bytes] = True
    for buffer in [b for _, b in plan.outputs] + ([plan.guard] if plan.guard else []):
        assert buffer.region == "state" or written[buffer.offset : buffer.offset + buffer.bytes].all()


def test_after_the_first_run_nothing_is_allocated_and_a_graph_is_kept() -> None:
    plan, device = _plans("plain MLP")[0], RecordingDevice()
    _run(plan, device, 3, 96)
    rooms, graphs = len(device.rooms), device.recorded
    assert graphs == 1
    device = RecordingDevice()
    _run(plan, device, 3, 96, 96, 40, 7, 96)
    assert (len(device.rooms), device.recorded) == (rooms, 1), "shorter runs and further ones use the same memory and the same graph"


@pytest.mark.parametrize("name", ["plain MLP", "joins"])
def test_every_pointer_lies_in_what_was_allocated(name: str) -> None:
    plan, device = _plans(name)[0], RecordingDevice()
    (launches,) = _run(plan, device, 3, 40)
    source = _source(name)
    for launch in launches:
        if launch.kernel == "advance":
            assert device.holds(launch.arguments["clock"], 8)
            continue
        a = launch.arguments
        needed = {
            "states": 3 * plan.state_bytes, "works": 3 * source.work, "orders": 3 * 40 * plan.batch * 8,
            "x_orders": 3 * 40 * plan.batch * 8, "value_table": 3 * 40 * len(plan.values) * 4,
            "word_table": 3 * 40 * len(plan.words) * 4, "done": 24, "stopped": 12, "clock": 24, "rings": 3 * 40 * 4,
        }  # fmt: skip
        assert all(device.holds(a[argument], size) for argument, size in needed.items()), launch.kernel
        assert device.holds(a["xs"], 256) and device.holds(a["ys"], 256)
    assert all(device.holds(address, size) for address, size in device.uploads)


def _steps(launches: list[Launch]) -> list[tuple[str, int]]:
    """(kernel, number of the step that it finds in the tables) in order."""
    clock, found = 0, []
    for launch in launches:
        if launch.kernel == "advance":
            clock += launch.arguments["steps"]
        else:
            found.append((launch.kernel, clock + launch.arguments["offset"]))
    return found


@pytest.mark.parametrize("steps", [1, GRAPH_STEPS, GRAPH_STEPS + 1, 3 * GRAPH_STEPS, 1000])
def test_graphs_start_the_same_kernels_for_the_same_steps_as_launches_by_themselves(steps: int) -> None:
    plan = _plans("plain MLP")[0]
    (graphs,) = _run(plan, RecordingDevice(), 2, steps)
    (single,) = _run(plan, RecordingDevice(), 2, steps, captured=False)
    assert _steps(graphs) == _steps(single)
    assert [step for _, step in _steps(single)[:: len(_source("plain MLP").kernels)]] == list(range(steps))


def test_the_data_set_is_sent_once_and_what_may_change_each_time() -> None:
    plan, device = _plans("plain MLP")[0], RecordingDevice()
    executable = CupyBackend(device).load(plan)
    memory, feed = CupyBackend(device).allocate(plan.state, 1), _feed(plan, 1, 4, rows=300)
    assert isinstance(executable, Executable)
    executable.run(memory, feed)
    sent = [size for _, size in device.uploads].count(feed.x.nbytes)
    executable.run(memory, feed)
    assert [size for _, size in device.uploads].count(feed.x.nbytes) == sent == 1
    for more in (2, 3):
        executable.run(
            memory, replace(feed, fixed=False, order=np.zeros((1, 64, 128), np.int64), values=np.zeros((1, 64, len(plan.values))))
        )
        assert [size for _, size in device.uploads].count(feed.x.nbytes) == more
