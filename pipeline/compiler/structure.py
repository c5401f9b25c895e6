"""All that depends on the structure of a network alone: its layers, its op graphs, its plans, its native programs.

Everything but the layer graph is made when first asked for, and kept: a form of the network for a batch size is compiled once.
Programs of one structure (the trials of a stack) share it.
"""

# B batch rows
from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from backends import Unavailable
from backends.contract import Backend, Buffer, Executable, Plan
from pipeline.compiler.accumulate import described
from pipeline.compiler.build import build
from pipeline.compiler.fold_batch_norm import fold_batch_norms, fold_graph
from pipeline.compiler.lower import Form, Source, averaged, lower, with_average
from pipeline.compiler.remove_biases import remove_biases
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.errors import BackendError, ConfigError
from pipeline.graph.ir import Graph
from pipeline.graph.text import digest
from pipeline.passes import PassReport, compile_passes
from pipeline.plan import make_plan, state_layout
from pipeline.recipe import augmentation
from pipeline.recipe.averaging import average_name, reestimates
from pipeline.recipe.schedules import resets

_Key = tuple[Form, int, bool, int]  # form, batch size, whether rows have weights, rows of an update
EVALUATION_ROWS = 256
FEW_ROWS = (1, 32)
SERVED_ROWS = (1, 8, 32, 64)  # of a prediction, which a web server, say, asks for again and again
EVALUATION_NUMBERS = 2**24  # of one layer's values in an evaluation batch


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """One form for one batch size: the graph as lowered, what each pass did, and the plan."""

    graph: Graph
    reports: tuple[PassReport, ...]
    plan: Plan


class Structure:
    """The structure of `config` over data of `shape`, compiled for `backend`; `reason` says why that backend.  Raises ConfigError.

    keep_biases   leaves the biases before batch norm where they are, to compare with and without
    """

    def __init__(self, config: Experiment, shape: DataShape, backend: Backend, reason: str = "", *, keep_biases: bool = False) -> None:
        self.shape, self.built = shape, build(config, shape)
        self.network, self.bias_reasons = (self.built, ()) if keep_biases else remove_biases(self.built)
        # the oracle normalizes in evaluation, so that it checks the folded weights of the others
        self.folded, self.folds, self.fold_reasons = fold_batch_norms(self.network) if backend.target.fuses else (self.network, (), ())
        self.backend, self.backend_reason = backend, reason
        self.precision, self.batch_size = config.precision, config.training.rows
        self.accumulate, self.micro_batch = config.training.accumulate, config.training.batch_size
        self._target = replace(backend.target, recomputes=config.backend.recompute)
        if self._target.recomputes and not self._target.fuses:
            raise ConfigError(
                at="backend.recompute", got=True, rule=f"the {backend.name} backend keeps every value", hint="use numpy, or leave it out"
            )
        self.weighted = config.data.sample_weight is not None
        augmentation.check(config.augmentation, shape.input_shape)
        self._source = Source(
            network=self.network, precision=self.precision, optimizer=config.optimizer, regularization=config.regularization,
            augmented=config.augmentation, averaging=config.averaging, resets=resets(config.schedule),
        )  # fmt: skip
        self.averaged = with_average(self.network, config.averaging)
        # what evaluation needs after training has gone on: the statistics of batch norm at the averages
        self.reestimates = reestimates(config.averaging) and any(not p.trained for p in self.averaged)
        self._lowered: dict[_Key, Graph] = {}
        self._compiled: dict[_Key, Compiled] = {}
        self._executables: dict[_Key, Executable] = {}

    def lowered(self, form: Form, batch: int, weighted: bool | None = None, total: int | None = None) -> Graph:
        """The op graph before any pass and before batch norm is folded into weights: what the digest is taken of.

        weighted: whether each row has a weight in the loss; None: as the config's data have.  total: the rows of an update, of which
        `batch` are a micro-batch; None: as configured.
        """
        key = self._key(form, batch, weighted, total)
        if key not in self._lowered:
            self._lowered[key] = lower(self._source, form=form, batch=batch, weighted=key[2], total=key[3])
        return self._lowered[key]

    def compiled(self, form: Form, batch: int, weighted: bool | None = None, total: int | None = None) -> Compiled:
        """The op graph, the passes and the plan."""
        key = self._key(form, batch, weighted, total)
        if key not in self._compiled:
            graph = self._graph(*key)
            final, reports = compile_passes(graph, self._target)
            plan = make_plan(final, name=form, batch=batch, state=self._layout)
            self._compiled[key] = Compiled(graph=graph, reports=reports, plan=plan)
        return self._compiled[key]

    def executable(self, form: Form, batch: int, weighted: bool | None = None, total: int | None = None) -> Executable:
        """The native program.  Raises BackendError where the backend has none for an op."""
        key = self._key(form, batch, weighted, total)
        if key not in self._executables:
            with _refusals():
                self._executables[key] = self.backend.load(self.compiled(*key).plan)
        return self._executables[key]

    def peak(self) -> int | None:
        """The bytes that one trial takes in training and evaluation, without the data; None where the backend cannot tell.

        Forms run one after another in the same room, so the largest counts.
        """
        plans = [self.compiled(*form).plan for form in (*self.training, ("evaluate", self.evaluation_batch))]
        plans += [self.compiled("fold", 1).plan] if self.folds else []
        with _refusals():
            scratch = [self.backend.scratch_bytes(plan) for plan in plans]
        known = [size for size in scratch if size is not None]
        if len(known) < len(plans):
            return None
        return max(plan.state_bytes for plan in plans) + max(plan.work_bytes for plan in plans) + max(known)

    def _key(self, form: Form, batch: int, weighted: bool | None, total: int | None) -> _Key:
        """Evaluation gives the plain losses of the rows: whoever wants them weighted multiplies."""
        counts = form in ("train", "gradient", "first", "more") and (self.weighted if weighted is None else weighted)
        return form, batch, counts, (total or self.batch_size) if form in ("first", "more") else batch

    @cached_property
    def training(self) -> tuple[tuple[Form, int], ...]:
        """The forms of a training step, with their rows."""
        if self.accumulate == 1:
            return (("train", self.batch_size),)
        return ("first", self.micro_batch), ("more", self.micro_batch), ("update", self.batch_size)

    @property
    def accumulation(self) -> str:
        """What the micro-batches of a step are, for the reader; empty where there are none."""
        if self.accumulate == 1:
            return ""
        drawn, rows = self._source.augmented is not None and any(got for _, got in self._source.augmented.moves()), self.micro_batch
        return described(self.network, self.lowered("more", rows), rows=rows, times=self.accumulate, drawn=drawn)

    def micro_batches(self, rows: int) -> tuple[tuple[Form, int, int], ...]:
        """(form, rows, how many) of the micro-batches of an update with `rows` rows, in order: as even as they can be."""
        size = -(-rows // self.accumulate)
        whole, rest = divmod(rows, size)
        parts: list[tuple[Form, int, int]] = [("first", size, 1), ("more", size, whole - 1), ("more", rest, 1)]
        return tuple(part for part in parts if part[1] and part[2])

    def allocate(self, trials: int) -> Any:
        """Zeroed memory for the state of `trials` trials.  Raises ConfigError where the machine or the device has less than is needed."""
        last = self._layout[-1] if self._layout else None
        wanted, there = trials * (last.offset + last.bytes if last else 0), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if wanted > there:
            rule = f"its parameters and the optimizer's state take {wanted / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB"
            raise ConfigError(at="architecture", got=f"{len(self.network.nodes)} layers", rule=rule, hint="use fewer units or trials")
        free = self.backend.free_bytes()
        if free is not None and (peak := trials * (self.peak() or 0)) > free:
            whose = f"{trials} trials take" if trials > 1 else "training and evaluation take"
            rule = f"{whose} {_size(peak)} of the device's memory, and {_size(free)} of it are free"
            fewer = f"fewer than {max(2, trials * free // peak + 1)} trials in a stack, " if trials > 1 else ""
            hint = f"use {fewer}a smaller training.batch_size, or backend.recompute=true"
            raise ConfigError(at="training.batch_size", got=self.batch_size, rule=rule, hint=hint)
        with _refusals():
            return self.backend.allocate(self._layout, trials)

    def places(self, tensor: str) -> tuple[str, ...]:
        """Where a tensor stands in the state: under its name, and as its average where it has one."""
        return (tensor, average_name(tensor)) if any(p.name == tensor for p in self.averaged) else (tensor,)

    @cached_property
    def state(self) -> tuple[Buffer, ...]:
        """Where parameters, optimizer slots and running statistics lie: the same for every form and batch size."""
        return state_layout([self.lowered("train", self.batch_size), self.lowered("evaluate", self.evaluation_batch)])

    @cached_property
    def _layout(self) -> tuple[Buffer, ...]:
        """`state`, and after it what is made from it anew whenever it is needed: the folded weights, gathered gradients."""
        kept = [self.lowered("train", self.batch_size), self.lowered("evaluate", self.evaluation_batch)]
        gathering = [self.lowered(*form) for form in self.training if form[0] != "train"]
        return state_layout([*kept, *self._fold_graphs, *gathering])

    @cached_property
    def _fold_graphs(self) -> tuple[Graph, ...]:
        return (averaged(fold_graph(self.folds, self.precision), self._source),) if self.folds else ()

    def _graph(self, form: Form, batch: int, weighted: bool, total: int) -> Graph:
        """What is compiled: as lowered, but for evaluation with folded weights."""
        if form == "fold":
            return self._fold_graphs[0]
        if form == "evaluate" and self.folds:
            return lower(self._source, form=form, batch=batch, folded=self.folded)
        return self.lowered(form, batch, weighted, total)

    @cached_property
    def evaluation_batch(self) -> int:
        """The rows of an evaluation step: one size for any number of rows, smaller where a layer's values are many."""
        widest = max(math.prod(shape) for shape in (self.network.input_shape, *(node.shape for node in self.network.nodes)))
        batch = EVALUATION_ROWS
        while batch > 1 and batch * widest > EVALUATION_NUMBERS:
            batch //= 2
        return batch

    def evaluation_rows(self, count: int, sizes: tuple[int, ...] = FEW_ROWS) -> int:
        """The rows of a step that evaluates `count` rows: a few sizes, so that few programs are compiled and a single row is quick.

        A row's values are the same to the bit for every size.
        """
        for size in sizes:
            if count <= size < self.evaluation_batch:
                return size
        return self.evaluation_batch

    def blank_y(self, count: int) -> Any:
        """Some y [N] or [N, T] for a form that needs one where nobody reads the loss."""
        tail, dtype = self._row_of_y
        return np.zeros((count, *tail), dtype)

    @cached_property
    def _row_of_y(self) -> tuple[tuple[int, ...], str]:
        y = self.lowered("evaluate", self.evaluation_batch).types["y"]
        return y.shape[1:], y.dtype

    @cached_property
    def digest(self) -> str:
        """The sha256 of the structure -> 16 hex digits: equal for configs that differ in values only, whatever the backend."""
        parts = digest(self.lowered("train", self.batch_size)) + digest(self.lowered("evaluate", self.evaluation_batch))
        parts += f" in {self.accumulate} micro-batches" if self.accumulate > 1 else ""
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@contextmanager
def _refusals() -> Iterator[None]:
    """What a backend cannot do is told as a mistake that its reader can mend."""
    try:
        yield
    except Unavailable as error:
        raise BackendError(str(error)) from None


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
