"""Rows, parameters and predictions that stay in the memory of a device, where the program's backend has one.

A prediction of rows that lie there is made of them where they lie, to the bits of the same rows on the host, and stays there.  What goes
over the host all the same: rows of a type that no gather knows, a preprocessing that is more than shifts and factors, targets in own units.
"""

# N rows, S steps, B batch rows
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from backends import Unavailable
from backends.contract import Feed, Resident
from pipeline.errors import BackendError, DataError
from pipeline.graph.values import Array
from pipeline.program.steps import in_steps

if TYPE_CHECKING:
    from backends.cupy import CupyBackend
    from pipeline.compiler.structure import Structure
    from pipeline.preprocessing import Fitted
    from pipeline.preprocessing.target_scale import TargetScale
    from pipeline.program.access import Access

STEPS = 64  # of a call, at most


class Program(Protocol):
    """What is needed of a program."""

    structure: Structure
    access: Access

    def own_memory(self) -> Any:
        """The memory of its trial alone."""

    def fold(self, x: Array, y: Array) -> None:
        """Makes the folded weights of the present state; x [N, ...] and y [N] are not read."""

    def feed(self, form: Literal["evaluate"], x: Array, y: Array, order: npt.NDArray[np.int64]) -> Feed:
        """What the plan of `form` consumes for rows x [N, ...], y [N]; order [S, B]."""


class Model(Protocol):
    """What is needed of a model."""

    @property
    def program(self) -> Program:
        """Of prepared rows."""

    @property
    def fitted(self) -> Fitted:
        """The preprocessing."""

    @property
    def target_scale(self) -> TargetScale | None:
        """Of the targets."""


def borrowed(program: Program, x: Any) -> Resident | None:
    """x [...] where it lies on the device of the program's backend; None where it does not, or goes over the host.  Raises BackendError."""
    try:
        return program.structure.backend.borrow(x, program.structure.precision)
    except Unavailable as error:
        raise BackendError(str(error)) from None


def of_program(program: Program, x: Any) -> Resident | None:
    """Rows x [N, ...] on the device -> their predictions [N, C] or [N, T] there; None for rows that go over the host.

    Raises DataError, BackendError.
    """
    given = borrowed(program, x)
    return None if given is None else _predicted(program, given, None)


def of_model(model: Model, x: Any) -> Resident | None:
    """The same of raw rows x [N, ...], whose preprocessing the gather does."""
    given = borrowed(model.program, x) if model.target_scale is None else None
    if given is None:
        return None
    pairs = model.fitted.pairs(model.fitted.shape(given.shape[1:]))
    return None if pairs is None else _predicted(model.program, given, pairs)


def parameters(program: Program) -> dict[str, Resident]:
    """The trained tensors where they lie on the device, `fc1.weight` [in, out], without a copy: who writes there changes the program.

    Raises BackendError for a backend whose memory is the host's.
    """
    memory, structure = program.own_memory(), program.structure
    if not hasattr(memory, "lies"):
        rule = "its memory is the host's; use program.parameters()"
        raise BackendError(f"backend.kind = {structure.backend.name}: {rule}")
    return {p.name: memory.lies(0, p.name) for p in structure.network.parameters if p.trained}


def taken(program: Program, mapping: Mapping[str, Any]) -> dict[str, Array]:
    """Tensors of a caller, fc1.weight [I, O]: NumPy's, or where they lie on the device, if they have the type of the program there."""
    made: dict[str, Any] = {}
    for name, value in mapping.items():
        there = borrowed(program, value)
        made[name] = there if there is not None and there.dtype == program.structure.precision else np.asarray(value)
    return made


def _predicted(program: Program, x: Resident, pairs: Array | None) -> Resident:
    """Predictions of x [N, ...], after (x - shift) * factor for each of `pairs`."""
    structure, backend = program.structure, cast("CupyBackend", program.structure.backend)  # whoever lends has such a memory
    wanted = structure.network.input_shape
    if x.shape[1:] != wanted:
        raise DataError(
            f"x has shape {list(x.shape)}: must be [{', '.join(map(str, ('N', *wanted)))}]; give rows as the data declares them"
        )
    place = backend.not_finite(x)
    if place is not None:
        raise DataError(f"x: {list(place)} is not finite; every number must be finite")
    batch = structure.evaluation_rows(len(x))
    executable: Any = structure.executable("evaluate", batch, False)
    shape = dict(structure.compiled("evaluate", batch, False).plan.outputs)["prediction"].shape
    made: Resident = backend.room((len(x), *shape[1:]), structure.precision)
    blank, y = np.zeros((1, *wanted), structure.precision), structure.blank_y(1)

    def predict() -> None:
        program.fold(blank, y)
        for first in range(0, len(x), STEPS * batch):
            places = first + in_steps(min(STEPS * batch, len(x) - first), batch)
            feed = program.feed("evaluate", blank, y, np.zeros_like(places))
            executable.keep(program.own_memory(), replace(feed, x=x, x_order=places[None], affine=pairs), "prediction", made, first)

    program.access.read(predict)
    return made
