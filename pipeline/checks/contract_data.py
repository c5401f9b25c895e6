"""The contract of a data source and of a preprocessing step of an extension."""

# N rows, F... shape of one row
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline import data, random
from pipeline.config.spec import experiment
from pipeline.data.prepared import prepared
from pipeline.errors import ConfigError, DataError
from pipeline.extend.declared import Declared
from pipeline.graph.values import Array
from pipeline.preprocessing import Fitted, fit
from pipeline.program.make import compile_experiment

SHAPES = ((7,), (1,), (5, 3, 2))
ROWS = 11
CLOSE = 1e-12  # a product over one row may add up in another order


def check_source(kind: Declared, example: Mapping[str, Any]) -> str:
    """What was measured, in words.  Raises AssertionError for a promise that is not kept, PipelineError."""
    asked = {"data": {"kind": kind.kind, "settings": dict(example)}, "architecture": {"layers": []}}
    config = experiment({**asked, "training": {"batch_size": 1}})
    found, again = (data.load(config.data, seed=0) for _ in range(2))
    assert found.fingerprint == again.fingerprint, "gives other rows when it is read again: what it draws needs a seed of its own"
    declared = data.describe(config.data, seed=0)
    assert declared == found.shape, f"shape() says {declared}, and the rows are {found.shape}"
    rows = prepared(found, config.preprocessing)
    program = compile_experiment(config, rows.shape)
    losses = program.run(rows.train.x, rows.train.targets, np.zeros((1, 1), np.int64))
    assert np.isfinite(losses).all(), f"the loss of its first row is {losses.tolist()}"
    counts = ", ".join(f"{len(getattr(found, part))} {part}" for part in ("train", "validation", "test"))
    return f"rows {list(found.shape.input_shape)}: {counts}; the same when read again; a step trains"


def check_step(kind: Declared, example: Mapping[str, Any]) -> str:
    """What was measured, in words.  Raises AssertionError for a promise that is not kept, PipelineError."""
    settings = {"steps": [kind.kind], **({"settings": {kind.kind: dict(example)}} if example else {})}
    config = experiment({"preprocessing": settings}).preprocessing
    taken, refusal = [], ""
    for shape in SHAPES:
        x = random.normal(0, random.GENERATOR, "check/extension", 0, ROWS * int(np.prod(shape))).reshape(ROWS, *shape)
        try:
            fitted = fit(config, x, precision="float64")
        except (ConfigError, DataError) as error:
            refusal = str(error)
            continue
        _check_fitted(fitted, fit(config, x, precision="float64"), x)
        taken.append(f"{list(shape)} -> {list(fitted.shape(shape))}")
    assert taken, f"takes none of the shapes {', '.join(str(list(shape)) for shape in SHAPES)}: {refusal}"
    return f"rows {', '.join(taken)}; the same again, from a checkpoint, and for a row alone"


def _check_fitted(fitted: Fitted, again: Fitted, x: Array) -> None:
    made, before = np.asarray(fitted.apply(x)), x.copy()
    assert np.array_equal(x, before), "changes the rows that it is given to fit"
    assert np.array_equal(made, again.apply(x)), "two fits to the same rows differ"
    kept = {name: value.copy() for name, value in fitted.arrays().items()}
    assert np.array_equal(made, Fitted.restore(kept, fitted.steps, "float64").apply(x)), "what a checkpoint holds makes other numbers"
    for row in range(len(x)):
        alone = np.asarray(fitted.apply(x[row : row + 1]))[0]
        assert np.allclose(alone, made[row], rtol=CLOSE, atol=CLOSE), "a row depends on the rows beside it"
