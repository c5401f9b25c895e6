"""A program: one network with its state, ready to be trained, evaluated and read."""

# N rows, S steps, B batch rows, K trials
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from backends.contract import Executable, Feed, Memory
from pipeline.compiler import loss_weights
from pipeline.compiler.lower import Form
from pipeline.compiler.structure import SERVED_ROWS, Structure
from pipeline.config.experiment import Experiment
from pipeline.config.task_settings import SHORT
from pipeline.errors import ConfigError, DivergedError
from pipeline.graph.values import Array
from pipeline.layers.graph import LayerGraph, Parameter
from pipeline.program import arrays, averages, inputs, micro, resident, shown
from pipeline.program.access import Access
from pipeline.program.divergence import diverged
from pipeline.program.explain import explain
from pipeline.program.initial import initial_values
from pipeline.program.steps import Pace, in_steps, rows_of
from pipeline.program.tables import Tables
from pipeline.recipe.course import Course
from pipeline.rows import Streamed, is_known_finite
from pipeline.screen.page import Lines

FEW = SERVED_ROWS[-1]  # rows at most of a prediction for which all that it needs beside the rows is kept ready
CHUNK = 64  # evaluation steps in one native call, at most


class Program:
    """Trial `trial` of `memory`: the network that `config` describes, with initial weights drawn from its seed.  Numbers in, numbers out.

    batch_size       rows of a training step, as configured; any other size is compiled when first used
    steps_done       steps taken so far; the clock of schedules, bias corrections and dropout masks
    reestimates      whether evaluation needs what `reestimate` makes: batch norm's statistics at averages of the weights

    A `sample_weight` [N] is what each row counts in the loss, beside the weight of its class; None: every row counts once.

    Several threads may use a program: what one of them changes the others see before or after, as a whole number of steps.
    Programs that share a memory share the `access` to it.
    """

    def __init__(
        self, structure: Structure, config: Experiment, memory: Memory, trial: int = 0, *,
        network: LayerGraph | None = None, access: Access | None = None,
    ) -> None:  # fmt: skip
        self.structure, self.config, self.seed = structure, config, config.seed
        self.batch_size, self.digest = structure.batch_size, structure.digest
        self.reestimates = structure.reestimates
        self.access, self._pace = access or Access(), Pace()
        self.steps_done = 0
        self._few: dict[int, tuple[Executable, Feed]] = {}  # by the number of rows
        self._memory, self._trial = memory, trial
        network = network or structure.network
        self._folded = False  # whether the folded weights are those of the present state
        self.tables = Tables(network, config)
        for parameter in network.parameters:
            for name in structure.places(parameter.name):
                memory.write(trial, name, initial_values(parameter, config.seed))
        given = loss_weights.of_classes(network)
        self._weighs_classes = given is not None
        self._balances = self._unbalanced = given == "balanced"
        if isinstance(given, tuple):
            memory.write(trial, loss_weights.CLASS_WEIGHTS, np.array(given))

    def __repr__(self) -> str:
        return shown.line(self.digest, self.layers, self.steps_done, self.structure.backend.name)

    def _repr_html_(self) -> str:
        return shown.layers_table(repr(self), self.layers)

    def __getstate__(self) -> tuple[dict[str, Array], Course, bool]:
        """What a copy is given after it is compiled; see `pipeline/program/make.py`."""
        return self.state(), self.tables.course, self._unbalanced

    def __setstate__(self, given: tuple[dict[str, Array], Course, bool]) -> None:
        state, course, unbalanced = given
        self.load_state(state)
        self.follow(course)
        self._unbalanced = unbalanced

    @property
    def steps_done(self) -> int:
        """Steps taken so far."""
        before, counted = self._steps
        return before + int(counted[0])

    @steps_done.setter
    def steps_done(self, steps: int) -> None:
        self.count_in(np.zeros(1, np.int64), steps)

    def count_in(self, counted: npt.NDArray[np.int64], steps: int | None = None) -> None:
        """The steps after `steps` (None: the present ones) are counted in `counted` [1], by who takes them: no signal comes in between."""
        self._steps = (self.steps_done if steps is None else steps, counted)
        self._folded = False

    def moved(self, trial: int) -> None:
        """Its state lies in the memory of trial `trial` now."""
        self._trial = trial

    @property
    def layers(self) -> tuple[tuple[str, str, tuple[int, ...], int], ...]:
        """(name, kind, output shape without the batch axis, number of trained parameters) of each layer."""
        return tuple((node.name, node.kind, node.shape, node.parameter_count) for node in self.structure.network.nodes)

    @property
    def backend(self) -> str:
        """The backend that runs this program, and why it is that one."""
        return f"{self.structure.backend.name} ({self.structure.backend_reason})"

    def parameters(self) -> dict[str, Array]:
        """Copies of the trained tensors: `fc1.weight` [in, out], `bn1.gamma` [channels], ...; their averages are in `state`."""
        return self.access.read(lambda: {p.name: self._memory.read(self._trial, p.name) for p in self._trained()})

    def load_parameters(self, mapping: Mapping[str, npt.ArrayLike]) -> None:
        """Overwrites every trained tensor, and its average, fc1.weight [I, O].  Raises DataError with all differences to `parameters`."""
        self._write(mapping, {p.name: p.shape for p in self._trained()}, what="parameters")

    def state(self) -> dict[str, Array]:
        """Copies of all that training changes: parameters (fc1.weight [I, O]), running statistics, slots, and `step`, the steps done."""
        names = [b.name for b in self.structure.state]
        read = self._memory.read
        return self.access.read(lambda: {**{n: read(self._trial, n) for n in names}, "step": np.asarray(self.steps_done, np.int64)})

    def load_state(self, mapping: Mapping[str, npt.ArrayLike]) -> None:
        """Goes back to a `state`, fc1.weight [I, O].  Raises DataError with all differences when it is not one of this structure."""
        wanted = {b.name: b.shape for b in self.structure.state}
        with self.access:
            self._write(mapping, {**wanted, "step": ()}, what="state tensors")
            self.steps_done = int(np.asarray(mapping["step"]))
            self._unbalanced = False

    def balance(self, y: npt.ArrayLike) -> bool:
        """Sets the class weights from the training labels y [N] where loss.class_weights is `balanced` -> whether it is."""
        if not self._balances:
            return False
        labels = np.asarray(inputs.check_y(y, self.structure.network, len(np.asarray(y))))
        self._memory.write(
            self._trial, loss_weights.CLASS_WEIGHTS, loss_weights.balanced(labels, loss_weights.classes(self.structure.network))
        )
        self._unbalanced = False
        return True

    @property
    def class_weights(self) -> Array | None:
        """A copy of the weights of the classes [C], or None without any.  Raises ConfigError before `balance`."""
        if not self._weighs_classes:
            return None
        self._check_balanced()
        return self._memory.read(self._trial, loss_weights.CLASS_WEIGHTS)

    @arrays.as_given(resident.of_program)
    def predict(self, x: npt.ArrayLike) -> Array:
        """x [N, ...] -> class probabilities [N, C] or values [N, T], with running statistics and without dropout."""
        rows = inputs.check_x(x, self.structure.network)
        inputs.check_finite(rows)
        if type(rows) is not np.ndarray or not 0 < len(rows) <= FEW or self._memory.trials > 1:
            return self._evaluate(rows, None)[0]
        executable, feed = self._few.get(len(rows)) or self._prepared(len(rows))

        def prediction() -> Array:
            self.fold(rows, feed.y)
            return executable.again(self._memory, feed, rows, "prediction")

        made = self.access.read(prediction)
        return made[0, 0, : len(rows)] if made.shape[1] == 1 else made.reshape(-1, *made.shape[3:])[: len(rows)]

    def evaluate(
        self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[Array, npt.NDArray[np.float64]]:
        """x [N, ...], y [N] or [N, T] -> predictions as in `predict`, data loss of each row, weighted, float64 [N].

        Streamed rows are made ready chunk by chunk.
        """
        given, targets = self._given(x, y)
        inputs.check_finite(given, targets)
        prediction, row_loss = self._evaluate(given, targets)
        return prediction, inputs.weighed(row_loss, targets, self.class_weights, sample_weight)

    def layer_values(self, x: npt.ArrayLike) -> dict[str, Array]:
        """x [N, ...] -> what each layer makes of it, [N, *shape] by the layer's name, with running statistics and without dropout."""
        given = np.asarray(inputs.check_x(x, self.structure.network))
        inputs.check_finite(given)
        outputs = self._run("layers", given, self.structure.blank_y(len(given)), np.arange(len(given))[None])
        return {name: array[0] for name, array in outputs.items()}

    def penalty(self) -> float:
        """The regularization terms of the loss."""
        batch = self.structure.evaluation_batch
        if "penalty" not in self.structure.lowered("evaluate", batch).outputs:
            return 0.0
        x = np.zeros((1, *self.structure.network.input_shape))
        return float(self._run("evaluate", x, self.structure.blank_y(1), np.zeros((1, batch), np.int64))["penalty"][0])

    def loss(self, x: npt.ArrayLike, y: npt.ArrayLike, training: bool = False, sample_weight: npt.ArrayLike | None = None) -> float:
        """Mean data loss plus regularization terms over x [N, ...], y [N] or [N, T], sample_weight [N].

        training: with batch statistics and the dropout masks of the next step.
        """
        if training:
            return float(self._whole_batch(x, y, sample_weight)["loss"][0])
        return float(np.mean(self.evaluate(x, y, sample_weight)[1])) + self.penalty()

    def gradients(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> dict[str, Array]:
        """The gradient of the training loss over all rows of x [N, ...], for each of `parameters` that is not frozen, in its shape."""
        outputs = self._whole_batch(x, y, sample_weight)
        return {p.name: outputs[f"gradient:{p.name}"][0] for p in self._trained() if p.learns}

    def step(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """One optimizer step on all rows of x [N, ...] -> the loss before it.  Raises DivergedError."""
        return float(self.run(x, y, np.arange(len(np.asarray(x)))[None], sample_weight)[0])

    def run(self, x: npt.ArrayLike, y: npt.ArrayLike, order: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Array:
        """One optimizer step for each row of order [S, B], in native calls of a tenth of a second -> the loss before each step [S].

        Raises DivergedError when a loss is not finite; the state is then as it was before that step.
        After a KeyboardInterrupt the state is that of the steps that `state()["step"]` tells.
        """
        given, targets = self._given(x, y)
        wanted = inputs.check_order(order, len(given))
        inputs.check_finite(given, targets, wanted)
        weight = None if sample_weight is None else inputs.check_weight(sample_weight, len(given))
        if isinstance(targets, Streamed) or (isinstance(given, Streamed) and not given.raw):
            used, places = np.unique(wanted, return_inverse=True)
            given = given.part(used) if isinstance(given, Streamed) else given[used]
            targets, wanted = targets[used], places.reshape(wanted.shape)
            weight = None if weight is None else weight[used]
        losses, done = self._train(given, np.asarray(targets), wanted, weight)
        if done < len(wanted):
            raise self.diverged(given, np.asarray(targets), wanted[done], weight, losses=losses[:done])
        return losses

    def diverged(
        self, x: Array | Streamed, y: Array | Streamed, rows: npt.NDArray[np.int64], weight: Array | None, *,
        losses: Array, after: Mapping[str, Array] | None = None,
    ) -> DivergedError:  # fmt: skip
        """The error for the next step, on `rows` [B]; `losses` of those before it; after: the state it makes, where the loss is finite."""
        feed = self.feed("train", x[rows], np.asarray(y[rows]), np.arange(len(rows))[None], None if weight is None else weight[rows])
        return diverged(self.structure, self.state(), feed, learning_rate=self.learning_rate(self.steps_done), losses=losses, after=after)

    @property
    def measured(self) -> str:
        """Which weights predictions are made of, where they are averages; else empty."""
        return averages.measured(self.config.averaging, self.tables, self.steps_done)

    def reestimate(self, x: Array | Streamed, order: npt.NDArray[np.int64]) -> None:
        """Sets the statistics of averages to the means over the batches order [S, B] of x [N, ...]  (Izmailov et al. 2018)."""
        order = order.reshape(-1, order.shape[1] // self.structure.accumulate)
        executable = self.structure.executable("statistics", order.shape[1])
        for rows, places, first in averages.batches(inputs.check_x(x, self.structure.network), order):
            with self.access:
                executable.run(self.own_memory(), self.feed("statistics", rows, self.structure.blank_y(len(rows)), places, first=first))
                self._folded = False

    def prepare(self, *, weighted: bool = False) -> None:
        """Compiles what a training and its evaluations need, so that the first of them does not wait; weighted: with sample weights."""
        more: list[tuple[Form, int]] = [("statistics", self.structure.micro_batch)] if self.reestimates else []
        for form, rows in (*self.structure.training, ("evaluate", self.structure.evaluation_batch), *more):
            self.structure.executable(form, rows, weighted)

    def follow(self, course: Course) -> None:
        """From the next step on the training is that of `course`; without one its length is not known."""
        self.tables.follow(course)

    def learning_rate(self, step: int) -> float:
        """The learning rate of `step`, counted from 0."""
        return self.tables.learning_rate(step)

    def explain(self, parts: Sequence[str] = SHORT) -> Lines:
        """The parts that `task=explain` lists, or ["all"].  Raises ConfigError for another."""
        return explain(self.structure, self.config, parts)

    def feed(
        self, form: Form, x: Array | Streamed, y: Array, order: npt.NDArray[np.int64], weight: Array | None = None,
        first: int | None = None, total: int | None = None,
    ) -> Feed:  # fmt: skip
        """What the plan of `form` consumes for this trial alone; its first step is number `first`, None: the next one.  total: see
        `Structure.lowered`.

        x [N, ...]: prepared, or raw; order [S, B].
        """
        if form not in ("evaluate", "statistics"):
            self._check_balanced()
        plan = self.structure.compiled(form, order.shape[1], weight is not None, total).plan
        values, words = self.tables.of(plan, (self.steps_done if first is None else first) + np.arange(len(order)))
        stored, fixed = (x.store, True) if isinstance(x, Streamed) else (x, is_known_finite(x))
        feed = Feed(x=stored, y=y, order=order[None], values=values[None], words=words[None], fixed=fixed)
        if isinstance(x, Streamed):
            assert x.raw, "rows that no gather can make are made before"
            feed = replace(feed, affine=x.pairs, x_order=None if x.rows is None else x.rows[order][None])
        return feed if weight is None else replace(feed, weight=weight)

    def _train(self, x: Array | Streamed, y: Array, order: npt.NDArray[np.int64], weight: Array | None) -> tuple[Array, int]:
        """Trains on the steps of order [S, B] -> losses [S] as far as they were made, completed steps."""
        losses, taken = [], 0
        for part in self._pace.cuts(("train", order.shape[1], weight is not None), len(order)):
            with self.access:
                made, counted = micro.steps([self], self.own_memory(), [x], y, order[None, part], weight)
            losses.append(made[0])
            taken += int(counted[0])
            if counted[0] < part.stop - part.start:
                break
        return losses[0] if len(losses) == 1 else np.concatenate(losses) if losses else np.zeros(0, self.structure.precision), taken

    def _run(
        self, form: Form, x: Array | Streamed, y: Array, order: npt.NDArray[np.int64], weight: Array | None = None
    ) -> dict[str, Array]:
        """Runs `form`, which changes no state, for this trial alone -> outputs [S, ...]."""
        executable = self.structure.executable(form, order.shape[1], weight is not None)

        def outputs() -> Mapping[str, Array]:
            feed = self.feed(form, x, y, order, weight)
            if form == "evaluate":
                self.fold(x, y)
            return executable.run(self.own_memory(), feed).outputs

        return {name: array[0] for name, array in self.access.read(outputs).items()}

    def fold(self, x: Array | Streamed, y: Array) -> None:
        """Makes the folded weights of the present state, where there are any and they are not made; x [N, ...] and y [N] are not read."""
        if self.needs_fold:
            with self.access.lock:  # whoever changes the state waits, and then tells that they are old
                if self.needs_fold:
                    feed = self.feed("fold", x[:1], y[:1], np.zeros((1, 1), np.int64))
                    self.structure.executable("fold", 1).run(self.own_memory(), feed)
                    self._folded = True

    @property
    def needs_fold(self) -> bool:
        """Whether evaluation uses folded weights, and those of the present state are not made."""
        return bool(self.structure.folds) and not self._folded

    def was_folded(self) -> None:
        """Says that they were made, together with those of other trials."""
        self._folded = True

    def own_memory(self) -> Memory:
        """The memory of this trial alone: an executable runs every trial of a memory."""
        return self._memory if self._memory.trials == 1 else self._memory.part(self._trial, 1)

    def _evaluate(self, x: Array | Streamed, y: Array | Streamed | None) -> tuple[Array, npt.NDArray[np.float64]]:
        """Evaluates in steps of one size, the last one filled up with its own first row, as many in a call as fit a tenth of a second."""
        count = len(x)
        batch = self.structure.evaluation_rows(count)
        targets = self.structure.blank_y(count) if y is None else y
        made = []
        for steps in self._pace.cuts(("evaluate", batch), -(-count // batch), most=CHUNK):
            chunk = slice(steps.start * batch, min(steps.stop * batch, count))
            size = chunk.stop - chunk.start
            part = x.part(chunk) if isinstance(x, Streamed) else x[chunk]
            outputs = self._run("evaluate", part, targets[chunk], in_steps(size, batch))
            made.append([rows_of(outputs[name])[:size] for name in ("prediction", "row_loss")])
        if not made:
            shapes = {name: buffer.shape for name, buffer in self.structure.compiled("evaluate", batch).plan.outputs}
            return np.zeros((0, *shapes["prediction"][1:]), self.structure.precision), np.zeros(0)
        prediction, row_loss = made[0] if len(made) == 1 else map(np.concatenate, zip(*made, strict=True))
        return prediction, row_loss.astype(np.float64, copy=False)

    def _prepared(self, count: int) -> tuple[Executable, Feed]:
        """What predicts `count` rows in one step, whatever the rows are."""
        blank = np.zeros((count, *self.structure.network.input_shape), self.structure.precision)
        batch = self.structure.evaluation_rows(count, SERVED_ROWS)
        feed = self.feed("evaluate", blank, self.structure.blank_y(count), in_steps(count, batch))
        return self._few.setdefault(count, (self.structure.executable("evaluate", batch, False), feed))

    def _whole_batch(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None) -> dict[str, Array]:
        given, targets = map(np.asarray, self._given(x, y))
        inputs.check_finite(given, targets)
        order = inputs.check_order(np.arange(len(given))[None], len(given))
        weight = None if sample_weight is None else inputs.check_weight(sample_weight, len(given))
        return self._run("gradient", given, targets, order, weight)

    def _check_balanced(self) -> None:
        if self._unbalanced:
            rule, hint = "needs the training labels", "call program.balance(y) first, or give the weights as a list"
            raise ConfigError(at=loss_weights.CLASS_WEIGHTS, got="balanced", rule=rule, hint=hint)

    def _given(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array | Streamed, Array | Streamed]:
        """Rows and targets of a caller, checked."""
        rows = inputs.check_x(x, self.structure.network)
        return rows, inputs.check_y(y, self.structure.network, len(rows))

    def _trained(self) -> list[Parameter]:
        return [p for p in self.structure.network.parameters if p.trained]

    def _write(self, mapping: Mapping[str, npt.ArrayLike], wanted: dict[str, tuple[int, ...]], *, what: str) -> None:
        given = resident.taken(self, mapping)
        inputs.check_tensors(given, wanted, what=what)
        with self.access:
            self._folded = False
            places = ((name, place) for name in wanted if name != "step" for place in self.structure.places(name))
            for name, place in places:
                if place == name or place not in wanted:
                    self._memory.write(self._trial, place, given[name])
