"""The workloads in this project."""

# K trials, S steps, B batch rows
from __future__ import annotations

from typing import Any

import numpy as np

import pipeline
from benchmarks.workloads import LEARNING_RATE, Workload
from pipeline.program.program import Program


def config(w: Workload) -> dict[str, Any]:
    """The config of a workload."""
    architecture = {"mlp": "mlp", "cnn": "cnn_small", "resnet20": "resnet20", "logistic": "logistic_regression"}[w.network]
    overrides = [
        f"architecture={architecture}",
        f"data.input_shape={list(w.inputs)}",
        f"data.classes={w.classes}",
        f"training.batch_size={w.batch if w.task == 'train' else 128}",
        f"optimizer={w.optimizer}",
        f"optimizer.learning_rate={LEARNING_RATE[w.optimizer]}",
        f"backend.threads={w.threads or 'auto'}",
        f"precision={w.precision}",
        "backend=numpy",
    ]
    if w.network == "logistic":
        overrides.append("loss=logistic")
    if w.network == "mlp" and w.normalized:
        overrides += ["normalization=batch", *(["regularization=dropout", "regularization.keep_prob=0.8"] if w.dropout else [])]
    made = pipeline.compose(overrides)
    layers = made["architecture"]["layers"]
    if w.network == "mlp":
        layers[:] = [{"kind": "dense", "units": w.hidden}] * w.depth
    if w.network == "cnn" and not w.dropout:
        layers[-1] = {key: value for key, value in layers[-1].items() if key != "regularization"}
    if w.network == "resnet20":  # PyTorch pads a row on every side; `same` would pad one behind where the stride is 2
        layers[:] = [{**layer, "padding": 1} if layer["kind"] == "conv" and layer["kernel"] == 3 else layer for layer in layers]
    return made


def program(w: Workload) -> Program:
    """The compiled program of one trial."""
    return pipeline.compile(config(w))


def order(w: Workload, first: int, steps: int) -> Any:
    """Row numbers [S, B] in stored order."""
    numbers = (first + np.arange(steps)) % w.batches
    return numbers[:, None] * w.batch + np.arange(w.batch)


def run_of(w: Workload) -> Any:
    """One native call for all steps; the gather of the rows is part of it."""
    x, y = w.data()
    if w.trials > 1:
        return _stacked(w, x, y)
    made = program(w)
    if w.task == "predict":

        def predict(first: int, steps: int) -> None:
            for number in range(first, first + steps):
                made.predict(x[w.rows(number)])

        return predict
    return lambda first, steps: made.run(x, y, order(w, first, steps))


def _stacked(w: Workload, x: Any, y: Any) -> Any:
    one = config(w)
    rates = 10 ** (-4 + 3 * np.arange(w.trials) / w.trials)
    configs = [{**one, "seed": k, "optimizer": {**one["optimizer"], "learning_rate": float(rate)}} for k, rate in enumerate(rates)]
    stack = pipeline.stack(configs)
    return lambda first, steps: stack.run(x, y, np.broadcast_to(order(w, first, steps), (w.trials, steps, w.batch)))


def losses(w: Workload, parameters: Any, steps: int) -> list[float]:
    """The loss before each of `steps` steps from `parameters`."""
    made = program(w)
    made.load_parameters(parameters)
    x, y = w.data()
    return [float(loss) for loss in made.run(x, y, order(w, 0, steps))]
