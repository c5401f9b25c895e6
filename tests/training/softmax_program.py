"""A real, tiny program in NumPy with the interface the loop asks for: softmax regression by momentum, float64."""

# N rows, F features, C classes, B batch, S steps
from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import Dataset, DataShape, Part
from pipeline.data.prepared import Prepared, prepared
from pipeline.errors import DivergedError
from pipeline.preprocessing import Preprocessing
from pipeline.recipe.course import Course
from pipeline.training.checkpoint import Stored
from pipeline.training.facts import facts_of

Array = npt.NDArray[Any]


def blobs(rows: int = 150, validation: int = 60) -> Prepared:
    """Three clouds of points."""
    generator = np.random.default_rng(7)
    y = np.arange(rows + validation) % 3
    x = generator.normal(size=(len(y), 4)) + np.eye(3, 4)[y]
    y = y.astype(np.int32)
    return in_two_parts((x[:rows], y[:rows]), (x[rows:], y[rows:]))


def in_two_parts(train: tuple[Array, Array], validation: tuple[Array, Array]) -> Prepared:
    """Rows (x, y) of three classes, for the program as they are."""
    parts = {"train": train, "validation": validation, "test": (train[0][:0], train[1][:0])}
    made = {name: Part(x=x, y=y, rows=np.arange(len(x))) for name, (x, y) in parts.items()}
    dataset = Dataset(name="blobs", task="classification", shape=DataShape(input_shape=(4,), classes=3), fingerprint="", **made)
    return prepared(dataset, Preprocessing(steps=()), precision="float64")


def stored(**arrays: Array) -> Stored:
    """What a checkpoint of a training on blobs holds beside the state."""
    return Stored(arrays=arrays, facts=facts_of(blobs().dataset, "no network"))


class SoftmaxProgram:
    """weight [F, C] and bias [C], with one velocity each.  `pause` makes a step slow; `diverges_at` makes it fail."""

    def __init__(self, *, learning_rate: float = 0.1, pause: float = 0.0, diverges_at: int | None = None) -> None:
        self.learning_rate, self.pause, self.diverges_at = learning_rate, pause, diverges_at
        self.arrays: dict[str, Array] = {"weight": np.zeros((4, 3)), "bias": np.zeros(3)}
        self.arrays |= {f"{name}.velocity": np.zeros_like(value) for name, value in self.arrays.items()}
        self.steps_done = 0
        self.course = Course()
        self.calls: list[int] = []

    reestimates = False

    def reestimate(self, x: Array, order: Array) -> None:
        raise AssertionError("nothing was asked for")

    def follow(self, course: Course) -> None:
        self.course = course

    def run(self, x: Array, y: Array, order: Array, sample_weight: Array | None = None) -> Array:
        self.calls.append(len(order))
        return np.array([self._step(x[rows], y[rows]) for rows in order])

    def _step(self, x: Array, y: Array) -> float:
        if self.steps_done == self.diverges_at:
            raise DivergedError(f"training diverged at step {self.steps_done}: the first value that is not finite is in layer head")
        time.sleep(self.pause)
        probabilities, losses = self.evaluate(x, y)
        delta = (probabilities - np.eye(3)[y]) / len(x)
        for name, gradient in (("weight", x.T @ delta), ("bias", delta.sum(axis=0))):
            self.arrays[f"{name}.velocity"] = 0.9 * self.arrays[f"{name}.velocity"] + gradient
            self.arrays[name] = (
                self.arrays[name] - self.learning_rate * self.course.plateau.scale * self.course.slowed * self.arrays[f"{name}.velocity"]
            )
        self.steps_done += 1
        return float(losses.mean())

    def diverged(
        self, x: Array, y: Array, rows: Array, weight: Array | None, *, losses: Array, after: Mapping[str, Array] | None
    ) -> DivergedError:
        return DivergedError(f"training diverged at step {self.steps_done}: the update")

    def evaluate(self, x: Array, y: Array, sample_weight: Array | None = None) -> tuple[Array, Array]:
        logits = x @ self.arrays["weight"] + self.arrays["bias"]
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return probabilities, -np.log(probabilities[np.arange(len(y)), y])

    def state(self) -> dict[str, Array]:
        return {name: value.copy() for name, value in self.arrays.items()} | {"step": np.array(self.steps_done)}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.arrays = {name: value.copy() for name, value in state.items() if name != "step"}
        self.steps_done = int(state["step"])
