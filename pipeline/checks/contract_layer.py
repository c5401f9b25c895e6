"""The contract of a layer of an extension."""

# N rows, H W C image, S steps, B batch rows, K trials
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline import random
from pipeline.checks.gradients import check_gradients
from pipeline.checks.material import Material
from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.extend.declared import Declared
from pipeline.graph.values import Array
from pipeline.layers.part import Merge
from pipeline.program.make import compile_experiment, compile_stack
from pipeline.program.program import Program

SHAPES = ((7,), (1,), (5, 3, 2), (3, 7, 1))  # of a row
ROWS, CLASSES, STEPS = 5, 3, 3
CLOSE = 1e-9  # two backends, in float64


def check_layer(kind: Declared, example: Mapping[str, Any]) -> str:
    """What was measured, in words.  Raises AssertionError for a promise that is not kept, PipelineError."""
    taken, refusal = [], ""
    for shape in SHAPES:
        try:
            config = _network(kind, example, shape)
            _compiled(config, shape)
            taken.append((shape, config))
        except ConfigError as error:
            refusal = str(error)
    assert taken, f"takes none of the shapes {', '.join(str(list(shape)) for shape in SHAPES)}: {refusal}"
    apart, worst = 0.0, 0.0
    for shape, config in taken:
        apart = max(apart, _both_backends(config, shape))
        worst = max(worst, _gradients(config, shape))
        _rows_apart(config, shape)
    shape, config = taken[0]
    for batch in range(1, ROWS + 1):
        _both_backends(replace(config, training=replace(config.training, batch_size=batch)), shape)
    _same_again(config, shape)
    _in_a_stack(config, shape)
    shapes = ", ".join(str(list(shape)) for shape, _ in taken)
    return f"rows {shapes}; batches 1 to {ROWS}; gradients {worst:.0e}; backends {apart:.0e}; stack, repetition and rows apart: same bits"


def _network(kind: Declared, example: Mapping[str, Any], shape: Sequence[int]) -> Experiment:
    """The layer behind one that is trained, so that the gradient of its input counts too.  Raises ConfigError."""
    before = {"kind": "dense", "units": shape[0]} if len(shape) == 1 else {"kind": "conv", "channels": shape[-1], "kernel": 1}
    merges = issubclass(kind.made, Merge) and "inputs" not in example
    first = [{**before, "name": name, "input": "input"} for name in (("one", "two") if merges else ("one",))]
    layer = {"kind": kind.kind, **example, **({"inputs": ["one", "two"]} if merges else {})}
    return experiment(
        {
            "architecture": {"layers": [*first, layer]},
            "activation": {"kind": "tanh"},  # smooth: a difference quotient says nothing at a kink
            "training": {"batch_size": 3, "epochs": 1},
            "precision": "float64",
            "data": {"kind": "arrays"},
        }
    )


def _rows(shape: Sequence[int]) -> tuple[Array, Array]:
    """x [N, ...] and classes y [N]."""
    numbers = random.normal(0, random.GENERATOR, "check/extension", 0, ROWS * int(np.prod(shape)))
    return numbers.reshape(ROWS, *shape), np.arange(ROWS, dtype=np.int32) % CLASSES


def _compiled(config: Experiment, shape: Sequence[int], backend: str = "numpy") -> Program:
    asked = replace(config, backend=replace(config.backend, kind=backend, threads=1))  # type: ignore[arg-type]  # one of its words
    return compile_experiment(asked, DataShape(input_shape=tuple(shape), classes=CLASSES))


def _trained(program: Program, shape: Sequence[int]) -> Program:
    x, y = _rows(shape)
    batch = program.batch_size
    order = np.arange(STEPS * batch).reshape(STEPS, batch) % ROWS
    losses = program.run(x, y, order)
    assert np.isfinite(losses).all(), f"with rows {list(shape)} and {batch} rows a step the loss is {losses.tolist()}"
    return program


def _both_backends(config: Experiment, shape: Sequence[int]) -> float:
    """The largest difference of state, gradients and predictions after some steps, relative to the largest number."""
    native, oracle = (_trained(_compiled(config, shape, backend), shape) for backend in ("numpy", "reference"))
    x, y = _rows(shape)
    pairs = [(native.state(), oracle.state()), (native.gradients(x, y), oracle.gradients(x, y))]
    pairs.append(({"prediction": native.predict(x)}, {"prediction": oracle.predict(x)}))
    worst = 0.0
    for one, other in pairs:
        for name, value in one.items():
            apart = float(np.max(np.abs(value - other[name]), initial=0.0)) / max(1.0, float(np.max(np.abs(value), initial=0.0)))
            size = config.training.batch_size
            assert apart < CLOSE, f"with rows {list(shape)}, {size} a step, the backends differ in {name} by {apart:.1e}"
            worst = max(worst, apart)
    return worst


def _gradients(config: Experiment, shape: Sequence[int]) -> float:
    """The largest error of a gradient against centred differences."""
    x, y = _rows(shape)
    made = DataShape(input_shape=tuple(shape), classes=CLASSES)
    findings = check_gradients(config, Material(config=config, name="random", shape=made, x=x, y=y, seed=0), elements=10)
    for finding in findings:
        assert finding.passed, f"with rows {list(shape)}, {finding.check}: {finding.measured}, expected {finding.expected}"
    return max(_figures(finding.measured for finding in findings), default=0.0)


def _figures(measured: Iterator[str]) -> Iterator[float]:
    for text in measured:
        number = text.split()[0]
        if number[:1].isdigit() and "rounding" not in text:
            yield float(number)


def _rows_apart(config: Experiment, shape: Sequence[int]) -> None:
    """A prediction is that of its row alone."""
    x, _ = _rows(shape)
    program = _trained(_compiled(config, shape), shape)
    together = program.predict(x)
    for row in range(ROWS):
        same = np.array_equal(program.predict(x[row : row + 1])[0], together[row])
        assert same, f"with rows {list(shape)}, the prediction of a row depends on the rows beside it"


def _same_again(config: Experiment, shape: Sequence[int]) -> None:
    one, other = (_trained(_compiled(config, shape), shape).state() for _ in range(2))
    wrong = [name for name in one if not np.array_equal(one[name], other[name])]
    assert not wrong, f"two trainings from the same seed differ in {', '.join(wrong)}"


def _in_a_stack(config: Experiment, shape: Sequence[int]) -> None:
    """Two trials of other seeds in a stack are the trials alone."""
    configs = [replace(config, seed=seed, backend=replace(config.backend, kind="numpy", threads=1)) for seed in (0, 1)]
    alone = [_trained(_compiled(each, shape), shape).state() for each in configs]
    stack = compile_stack(configs, DataShape(input_shape=tuple(shape), classes=CLASSES))
    x, y = _rows(shape)
    batch = config.training.batch_size
    order = np.arange(STEPS * batch).reshape(STEPS, batch) % ROWS
    stack.run(x, y, np.stack([order, order]))
    for number, member in enumerate(stack.programs):
        wrong = [name for name, value in member.state().items() if not np.array_equal(value, alone[number][name])]
        assert not wrong, f"trial {number} of a stack differs from the trial alone in {', '.join(wrong)}"
