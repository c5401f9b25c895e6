"""The contract of a metric and of a callback of an extension."""

# N rows, C classes, L labels, T targets, S steps
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline import data, random
from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment
from pipeline.data.prepared import prepared
from pipeline.extend.declared import Declared
from pipeline.graph.values import Array
from pipeline.program.make import compile_experiment
from pipeline.training import loop
from pipeline.training.callbacks import Callbacks
from pipeline.training.events import Outcome
from pipeline.training.scores import SCORES

ROWS, FEW, WIDTH = 60, 5, 3
CLOSE = 1e-9


def check_metric(kind: Declared, example: Mapping[str, Any]) -> str:
    """What was measured, in words.  Raises AssertionError for a promise that is not kept, PipelineError."""
    tasks = [task for task, scores in SCORES.items() if kind.kind in scores]
    said = []
    for task in tasks:
        score = SCORES[task][kind.kind]
        prediction, y = _predicted(task)
        value = score(prediction, y)
        assert np.isfinite(value), f"is {value} of {ROWS} rows of {task}"
        assert score(prediction, y) == value, f"is another number when measured again, of {task}"
        back = score(prediction[::-1], y[::-1])
        assert abs(back - value) <= CLOSE * max(1.0, abs(value)), f"depends on which row comes first: {value:g} and {back:g}"
        for rows in range(1, FEW + 1):
            score(prediction[:rows], y[:rows])
        said.append(f"{task} {value:.4g}")
    return f"{', '.join(said)} of random predictions; a number for 1 to {FEW} rows; the same again and in any order"


def _predicted(task: str) -> tuple[Array, Array]:
    """Predictions [N, C], [N, L] or [N, T], and what there is: [N], [N, L] or [N, T]."""
    drawn = random.normal(0, random.GENERATOR, "check/extension", 0, 2 * ROWS * WIDTH).reshape(2, ROWS, WIDTH)
    if task == "classification":
        shares = np.exp(drawn[0])
        return shares / shares.sum(axis=1, keepdims=True), np.arange(ROWS, dtype=np.int32) % WIDTH
    if task == "multilabel":
        return 1 / (1 + np.exp(-drawn[0])), (drawn[1] > 0).astype(np.float64)
    return drawn[0], drawn[0] + 0.3 * drawn[1]


def check_callback(kind: Declared, example: Mapping[str, Any]) -> str:
    """What was measured, in words.  Raises AssertionError for a promise that is not kept, PipelineError."""
    config = _training([{"kind": kind.kind, **example}])
    (outcome, asked), (again, twice) = _trained(config), _trained(config)
    kept = asked.states()
    assert Callbacks(asked=config.callbacks, saved=kept).states() == kept, "state() after restore() gives something else"
    by_the_clock = type(config.callbacks[0]).every_steps is None and _of_chunks(kind)
    if not by_the_clock:
        assert twice.states() == kept and again.message == outcome.message, "two trainings from the same seed leave it in another state"
    if not asked.stopped:
        plain, _ = _trained(_training([]))
        same = [{k: v for k, v in epoch.items() if not k.startswith("time/")} for epoch in outcome.history] == [
            {k: v for k, v in epoch.items() if not k.startswith("time/")} for epoch in plain.history
        ]
        assert same, "the metrics are others than without it"
    noted = f"keeps {len(str(kept))} letters" if kept else "keeps nothing"
    clock = "is asked when the clock says, so two runs may differ" if by_the_clock else "the same again"
    return f"{outcome.message}; {noted}, which come back; changes no metric; {clock}"


def _of_chunks(kind: Declared) -> bool:
    """Whether it is asked between steps."""
    return "on_step_chunk" in {name for owner in kind.made.__mro__[:-2] for name in vars(owner)}


def _training(callbacks: list[dict[str, Any]]) -> Experiment:
    layers = [{"kind": "dense", "units": 4}]
    asked = {"data": {"kind": "iris"}, "architecture": {"layers": layers}, "training": {"epochs": 3, "batch_size": 17}}
    return experiment({**asked, "callbacks": callbacks, "backend": {"threads": 1}})


def _trained(config: Experiment) -> tuple[Outcome, Callbacks]:
    dataset = data.load(config.data, seed=0)
    rows = prepared(dataset, config.preprocessing)
    program = compile_experiment(config, rows.shape)
    asked = Callbacks(asked=config.callbacks)
    outcome = loop.train(
        program, rows, config.training, seed=0, emit=lambda event: None, learning_rate=program.learning_rate, callbacks=asked
    )
    return outcome, asked
