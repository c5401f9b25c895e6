"""The planned memory against the measured one, and results that take the place of an input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from backends.contract import ALIGNMENT, Buffer, Feed, Plan, Target
from backends.numpy import NumpyBackend
from pipeline.compiler.lower import Form
from pipeline.config.compose import compose
from pipeline.config.spec import experiment
from pipeline.passes import compile_passes
from pipeline.plan import build, make_plan, state_layout
from pipeline.program.make import compile_experiment
from tests.networks import VALUES, training_graph
from tests.ops.test_random_graphs import draw


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not tell the most memory that a process held")
@pytest.mark.parametrize("settings", [{}, {"threads": 1}], ids=str)
def test_the_planned_peak_is_the_measured_one(settings: dict[str, object]) -> None:
    command = [sys.executable, "-m", "tests.plan.measured", json.dumps(settings)]
    planned, measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert planned == pytest.approx(measured, rel=0.05)


def _plans(B: int, D: int, H: int, C: int, *, dropout: bool) -> tuple[Plan, Plan]:
    """The plan, and the plan without results in the place of inputs."""
    graph = training_graph(B=B, D=D, H=H, C=C, dropout=dropout)
    backend = NumpyBackend(threads=1)
    compiled, _ = compile_passes(graph, backend.target)
    state = state_layout([graph])
    plan = make_plan(compiled, name="train", batch=B, state=state)
    with patch.object(build, "taken_over", lambda *_: {}):
        return plan, make_plan(compiled, name="train", batch=B, state=state)


def _inside(plan: Plan) -> int:
    """How many results lie where an input of their own call lies."""
    found = 0
    for call in plan.calls:
        work = {b.offset for b in call.inputs if b.region == "work"}
        found += sum(b.region == "work" and b.offset in work for b in call.outputs)
    return found


def _check_owners(plan: Plan) -> None:
    """Walks through the plan with a note of whose each byte of the arena is: no result may land on bytes that are still to be read."""
    owner = np.full(plan.work_bytes // ALIGNMENT + 1, -1)
    number = {name: n for n, name in enumerate({b.name for call in plan.calls for b in (*call.inputs, *call.outputs)})}

    def lines(buffer: Buffer) -> slice:
        return slice(buffer.offset // ALIGNMENT, (buffer.offset + buffer.bytes - 1) // ALIGNMENT + 1)

    for phase in range(plan.phases):
        calls = [call for call in plan.calls if call.phase == phase]
        for buffer in (b for call in calls for b in call.inputs if b.region == "work"):
            assert (owner[lines(buffer)] == number[buffer.name]).all(), f"{buffer.name} is lost before phase {phase}"
        for one in calls:  # side by side: what one writes, no other reads
            for other in calls:
                if one is not other:
                    touched = [lines(b) for b in (*other.inputs, *other.outputs) if b.region == "work"]
                    written = [lines(b) for b in one.outputs if b.region == "work"]
                    assert not any(w.start < t.stop and t.start < w.stop for w in written for t in touched)
        for buffer in (b for call in calls for b in call.outputs if b.region == "work"):
            owner[lines(buffer)] = number[buffer.name]
    for name, buffer in plan.outputs:
        assert buffer.region == "state" or (owner[lines(buffer)] == number[buffer.name]).all(), f"the output {name} is lost"


@pytest.mark.parametrize("architecture", ["mlp", "cnn_small", "resnet20"])
@pytest.mark.parametrize("form", ["train", "evaluate", "gradient"])
def test_no_value_is_lost_before_it_is_read_for_the_last_time(architecture: str, form: Form) -> None:
    options = [f"architecture={architecture}", "regularization=dropout", "normalization=batch", "data=mnist"]
    structure = compile_experiment(experiment(compose([*options, "training.batch_size=16"]))).structure
    _check_owners(structure.compiled(form, 16).plan)


@pytest.mark.parametrize("architecture", ["mlp", "cnn_small", "resnet20"])
def test_nor_is_one_that_is_made_again(architecture: str) -> None:
    options = [f"architecture={architecture}", "regularization=dropout", "normalization=batch", "data=mnist", "backend.recompute=true"]
    structure = compile_experiment(experiment(compose([*options, "training.batch_size=16"]))).structure
    _check_owners(structure.compiled("train", 16).plan)


@pytest.mark.parametrize("seed", range(30))
def test_no_value_of_a_random_graph_is_lost(seed: int) -> None:
    graph, _ = draw(seed, length=30)
    for fuses in (True, False):
        compiled, _ = compile_passes(graph, Target(fuses=fuses))
        _check_owners(make_plan(compiled, name="test", batch=1, state=state_layout([graph])))


SHAPES = [(64, 20, 96, 10), (33, 17, 130, 11), (128, 8, 64, 3), (8, 6, 65, 3)]


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_in_the_place_of_inputs_take_less_memory_and_change_no_bit(shape: tuple[int, int, int, int], dropout: bool) -> None:
    plans = _plans(*shape, dropout=dropout)
    assert plans[0].work_bytes < plans[1].work_bytes and _inside(plans[0]) > _inside(plans[1]) == 0
    outcomes = []
    for plan in plans:
        backend = NumpyBackend(threads=1)
        memory, rng = backend.allocate(plan.state, 1), np.random.default_rng(0)
        for buffer in plan.state:
            memory.write(0, buffer.name, rng.normal(size=buffer.shape) * 0.3)
        x, y = rng.normal(size=(200, shape[1])), rng.integers(0, shape[3], 200).astype(np.int32)
        values = np.array([[[VALUES[n] for n in plan.values]] * 5])
        words = np.array([[[{"seed": 3, "step_low": s, "step_high": 0}[n] for n in plan.words] for s in range(5)]])
        order = rng.integers(0, 200, (1, 5, plan.batch))
        losses = backend.load(plan).run(memory, Feed(x=x, y=y, order=order, values=values, words=words)).outputs["loss"]
        outcomes.append([losses.tobytes(), *(memory.read(0, b.name).tobytes() for b in plan.state)])
    assert outcomes[0] == outcomes[1]
