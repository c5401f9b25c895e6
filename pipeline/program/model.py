"""A trained program with what stands before and behind it: raw rows in, predictions in the units of the data out."""

# N rows, C classes, T targets, S steps, B batch rows
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compiler.structure import Structure
from pipeline.config.task_settings import SHORT
from pipeline.data.sources.frames import is_frame
from pipeline.errors import DataError
from pipeline.graph.values import Array
from pipeline.preprocessing import Fitted
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.program import inputs, resident
from pipeline.program.arrays import as_given
from pipeline.program.known import UNKNOWN, Known
from pipeline.program.program import Program
from pipeline.program.shown import layers_table
from pipeline.recipe.course import Course
from pipeline.rows import Streamed
from pipeline.screen.page import Lines

Given = Array | Streamed
MOST_NAMES = 12  # of columns or classes that a notebook shows


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Model:
    """The interface of `program` for rows as the data has them: every x goes through `fitted` first.

    target_scale   every y given and every prediction is in its own units; None: the program's numbers are those
    known          what it was trained on: its columns, by which a table of pandas, Polars or Arrow is taken as x, and its classes
    """

    program: Program
    fitted: Fitted
    target_scale: TargetScale | None
    known: Known = UNKNOWN

    def __repr__(self) -> str:
        return repr(self.program)

    def _repr_html_(self) -> str:
        """Layers, and what it takes and tells, as a notebook shows them."""
        taken = f"takes {_some(self.feature_names)}" if self.feature_names else ""
        told = f"tells {_some(self.classes)} apart" if self.classes else ""
        return layers_table(repr(self), self.layers, after="; ".join(filter(None, (taken, told))))

    @as_given(resident.of_model)
    def predict(self, x: npt.ArrayLike) -> Array:
        """Raw x [N, ...] -> class probabilities [N, C] or values [N, T]; see `Program.predict`."""
        return self._own_units(self.program.predict(self._prepared(x)))

    def predict_proba(self, x: npt.ArrayLike) -> Array:
        """Raw x [N, ...] -> probabilities of the classes [N, C], or of the labels [N, L].  Raises DataError for a model of numbers."""
        if not self.classes:
            raise DataError("predict_proba: the model predicts numbers; use predict")
        probabilities: Array = self.predict(x)
        return probabilities

    def predict_classes(self, x: npt.ArrayLike) -> Array:
        """Raw x [N, ...] -> the name of the most probable class [N]; of labels, 0 or 1 for each [N, L].

        Raises DataError for a model of numbers.
        """
        probability = self.predict_proba(x)
        if self.known.labels:
            return np.asarray(probability >= 0.5, np.int64)
        names: Array = np.array(self.classes)
        told: Array = names[probability.argmax(axis=1)]
        return told

    def evaluate(
        self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[Array, npt.NDArray[np.float64]]:
        """Raw x [N, ...], y [N] or [N, T] -> predictions as in `predict`, data loss of each row, float64 [N]."""
        prediction, row_loss = self.program.evaluate(*self._both(x, y), sample_weight)
        return self._own_units(prediction), row_loss

    def layer_values(self, x: npt.ArrayLike) -> dict[str, Array]:
        """Raw x [N, ...] -> what each layer makes of it; see `Program.layer_values`."""
        return self.program.layer_values(self._prepared(x))

    def loss(self, x: npt.ArrayLike, y: npt.ArrayLike, training: bool = False, sample_weight: npt.ArrayLike | None = None) -> float:
        """Mean data loss plus regularization terms over x [N, ...], y [N] or [N, T]; see `Program.loss`."""
        return self.program.loss(*self._both(x, y), training, sample_weight)

    def gradients(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> dict[str, Array]:
        """The gradient of the training loss over all rows of x [N, ...], for each of `parameters` in its shape."""
        return self.program.gradients(*self._both(x, y), sample_weight)

    def step(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """One optimizer step on all rows of x [N, ...] -> the loss before it.  Raises DivergedError."""
        return self.program.step(*self._both(x, y), sample_weight)

    def run(self, x: npt.ArrayLike, y: npt.ArrayLike, order: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Array:
        """One optimizer step for each row of order [S, B] -> the loss before each step [S]; see `Program.run`."""
        return self.program.run(*self._both(x, y), order, sample_weight)

    def parameters(self) -> dict[str, Array]:
        """Copies of the trained tensors, each in its shape: fc1.weight [I, O]."""
        return self.program.parameters()

    def load_parameters(self, mapping: Mapping[str, npt.ArrayLike]) -> None:
        """Overwrites every trained tensor, given in its shape: fc1.weight [I, O].  Raises DataError."""
        self.program.load_parameters(mapping)

    def state(self) -> dict[str, Array]:
        """Copies of all that training changes, each in its shape: fc1.weight [I, O]."""
        return self.program.state()

    def load_state(self, mapping: Mapping[str, npt.ArrayLike]) -> None:
        """Goes back to a `state`, each tensor in its shape: fc1.weight [I, O].  Raises DataError."""
        self.program.load_state(mapping)

    def balance(self, y: npt.ArrayLike) -> bool:
        """Sets the class weights from labels y [N] where they are to be balanced -> whether they are."""
        return self.program.balance(y)

    def follow(self, course: Course) -> None:
        """From the next step on the training is that of `course`."""
        self.program.follow(course)

    def penalty(self) -> float:
        """The regularization terms of the loss."""
        return self.program.penalty()

    def learning_rate(self, step: int) -> float:
        """The learning rate of `step`, counted from 0."""
        return self.program.learning_rate(step)

    def explain(self, parts: Sequence[str] = SHORT) -> Lines:
        """The program as text; see `Program.explain`."""
        return self.program.explain(parts)

    @property
    def measured(self) -> str:
        """Which weights predictions are made of, where they are averages; else empty."""
        return self.program.measured

    @property
    def structure(self) -> Structure:
        """What was compiled."""
        return self.program.structure

    @property
    def digest(self) -> str:
        """Of the structure."""
        return self.program.digest

    @property
    def layers(self) -> tuple[tuple[str, str, tuple[int, ...], int], ...]:
        """(name, kind, output shape without the batch axis, number of trained parameters) of each layer."""
        return self.program.layers

    @property
    def backend(self) -> str:
        """The backend that runs the program, and why it is that one."""
        return self.program.backend

    @property
    def class_weights(self) -> Array | None:
        """A copy of the weights of the classes [C], or None without any."""
        return self.program.class_weights

    @property
    def batch_size(self) -> int:
        """Rows of a training step, as configured."""
        return self.program.batch_size

    @property
    def steps_done(self) -> int:
        """Steps taken so far."""
        return self.program.steps_done

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that it takes, those of the table it was trained on; empty where they have no names."""
        return self.known.columns

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities, or of the labels; empty where numbers are predicted."""
        return self.known.classes

    def _prepared(self, x: npt.ArrayLike) -> Given:
        if type(x) is np.ndarray and not self.fitted.steps and x.dtype == self.program.structure.precision:
            return x  # the program looks at it itself
        if not isinstance(x, np.ndarray | Streamed) and is_frame(x):
            x = self.known.rows(x)
        rows = x if isinstance(x, Streamed) else inputs.check_numbers(x)
        if rows.ndim:
            inputs.check_finite(rows)  # before a rotation spreads it over the row
        return self.fitted.apply(rows)

    def _both(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Given, Given]:
        """x and y as the program takes them; of what is wrong with them x is told first."""
        network = self.program.structure.network
        rows = inputs.check_x(self._prepared(x), network)
        targets = inputs.check_y(self.known.numbered(y), network, len(rows))
        inputs.check_finite(rows, targets)
        return rows, targets if self.target_scale is None else self.target_scale.view(np.asarray(targets))

    def _own_units(self, prediction: Array) -> Array:
        return prediction if self.target_scale is None else self.target_scale.undo(prediction)


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
