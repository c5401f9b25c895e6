"""What the compiler hands to a backend, and what a backend gives back.

A backend knows nothing of configs, layers or data sets: it receives a `Plan` (calls over buffers with fixed offsets) and returns
an `Executable` that runs many steps of it in one call.  Every array that belongs to a trial lies in that trial's own slab:
memory is [K, slab], K trials of one structure.
"""

# K trials, S steps, B batch rows
from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ITEM_BYTES = {"float32": 4, "float64": 8, "int32": 4, "uint32": 4, "bool": 1}
ALIGNMENT = 64
RUN = 4096  # numbers of a flat body that are summed by themselves, where it has blocks
STORED = ("uint8", "float32")  # the types of x, beside a plan's precision, that every backend gathers from


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A place for one tensor of one trial.

    region  state: parameters, optimizer slots, running statistics; lives as long as the program, shared by its plans
            work: values of one step
            values: a scalar of the step's row of the value table (offset counts scalars of the program's float type)
            words: a scalar of the step's row of the word table (offset counts 32-bit words)
    offset  bytes from the start of the region for state and work
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    region: Literal["state", "work", "values", "words"]
    offset: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.count * ITEM_BYTES[self.dtype]


Level = Literal["full", "column", "row", "scalar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One operation of a fused body: `name = op(operands)`; an operand is the name of an earlier instruction or of an input.

    level is the extent of the result: full [rows, columns], column [columns] (one number for each column), row [rows] or scalar.
    A `sum` or `max` from full to column, row or scalar is a reduction.
    """

    name: str
    op: str
    operands: tuple[str, ...]
    dtype: str
    level: Level
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reduces(self) -> bool:
        """Whether it is a sum or a maximum over rows, columns or both."""
        return "axes" in self.attributes

    @property
    def draws(self) -> bool:
        """Whether it makes random numbers."""
        return self.op == "uniform"


@dataclass(frozen=True, kw_only=True)
class Body:
    """A fused chain over a domain of `rows` x `columns`.

    kind     flat: rows is 1, no reduction but to a scalar; column: reductions run over rows; row: reductions run over columns
    inputs   (name, level) in the order of the call's inputs
    outputs  names of the results in the order of the call's outputs
    blocks   of a column body: its sums run over each of so many runs of rows, rows * t // blocks to rows * (t + 1) // blocks, and its
             results are [blocks, columns]; of a flat body with sums: over each run of RUN numbers, and these are [blocks]
    """

    kind: Literal["flat", "column", "row"]
    rows: int
    columns: int
    inputs: tuple[tuple[str, Level], ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[str, ...]
    blocks: int = 1

    @cached_property
    def levels(self) -> Mapping[str, Level]:
        """Every input and result -> its level."""
        return dict(self.inputs) | {i.name: i.level for i in self.instructions}

    @cached_property
    def made(self) -> Mapping[str, Instruction]:
        """Every result -> the instruction that makes it."""
        return {i.name: i for i in self.instructions}

    @cached_property
    def reductions(self) -> tuple[Instruction, ...]:
        """The sums and maxima."""
        return tuple(i for i in self.instructions if i.reduces)

    @cached_property
    def stages(self) -> Mapping[str, int]:
        """Every input and result -> how many reductions, one after the other, it waits for, itself included."""
        ready = dict.fromkeys((name for name, _ in self.inputs), 0)
        for i in self.instructions:
            ready[i.name] = max((ready[o] for o in i.operands), default=0) + i.reduces
        return ready

    def chain(self, names: Iterable[str], given: Collection[str] = ()) -> tuple[Instruction, ...]:
        """The instructions that make `names`, in order; what is `given` is not made, and what makes a given one of `names` is left out."""
        wanted = dict.fromkeys(names)
        waiting = [name for name in wanted if name not in given]
        while waiting:
            for operand in self.made[waiting.pop()].operands:
                if operand in self.made and operand not in wanted and operand not in given:
                    wanted[operand] = None
                    waiting.append(operand)
        return tuple(i for i in self.instructions if i.name in wanted)

    def renamed(self, names: Mapping[str, str]) -> Body:
        """The body with the inputs and results in `names` called otherwise."""
        return replace(
            self,
            inputs=tuple((names.get(name, name), level) for name, level in self.inputs),
            instructions=tuple(
                replace(i, name=names.get(i.name, i.name), operands=tuple(names.get(o, o) for o in i.operands)) for i in self.instructions
            ),
            outputs=tuple(names.get(name, name) for name in self.outputs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductOp:
    """A product as an op with its attributes: matmul, a convolution or its data gradient."""

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a kernel.  Calls of one phase do not depend on each other; phases run in order.

    op is `gather` (rows `order[step]` of the data array `attributes["source"]` into the output), `fused` (see `body`) or an op name.
    A fused call with a `product` makes that of its first two inputs; the body's first input is the product, its others are the call's
    inputs from the third.
    """

    op: str
    name: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    phase: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None
    product: ProductOp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A static program: calls in order over one arena.

    precision  float32 or float64
    outputs    (name, buffer): copied out after each step
    guard      a scalar of the work region: when it is not finite the trial stops before phase `guard_phase`, its state untouched
    digest     of the structure; the key of the compile cache
    """

    name: str
    precision: str
    batch: int
    calls: tuple[Call, ...]
    state: tuple[Buffer, ...]
    values: tuple[str, ...]
    words: tuple[str, ...]
    outputs: tuple[tuple[str, Buffer], ...]
    guard: Buffer | None
    guard_phase: int
    state_bytes: int
    work_bytes: int
    unshared_bytes: int
    digest: str

    def __repr__(self) -> str:
        return f"<Plan {self.name}: {len(self.calls)} calls in {self.phases} phases, batch {self.batch}, {self.precision}>"

    @property
    def phases(self) -> int:
        """Number of phases."""
        return max((call.phase for call in self.calls), default=-1) + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Resident:
    """An array [...] in the memory of a device, dense and in the order of C; `owner` keeps it there.

    CuPy, PyTorch and others read it through `__cuda_array_interface__`, without a copy.
    """

    address: int
    shape: tuple[int, ...]
    dtype: str
    owner: Any

    @property
    def nbytes(self) -> int:
        """Bytes of the device."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3 of that protocol; all that made it is done, so no stream is waited for."""
        return {"shape": self.shape, "typestr": np.dtype(self.dtype).str, "data": (self.address, False), "version": 3, "stream": None}

    def __len__(self) -> int:
        return self.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a run consumes.

    x       [rows, ...] and y [rows, ...]: the data; y int32 for classes; x may lie on the device that the plan runs on
    weight  [rows]: what each row counts in the loss; empty for a plan that gathers none
    order   int64 [K, S, B]: the row numbers of every step
    x_order int64 [K, S, B]: the row numbers of x, where they are not those of y and weight
    values  float [K, S, V] and words uint32 [K, S, W]: the value and word tables
    affine  float [P, 2, numbers of a row of x], or [K, P, 2, ...] where trials differ: P pairs (shift, factor).  The gather makes the
            numbers of x from what is stored: in the plan's precision, then (x - shift) * factor for one pair after the other, each
            operation rounded.  x is then of a type that STORED names, or of the plan's precision.  None: they are those that are stored.
    done    int64 [K], zeros: the completed steps of each trial are counted here, where the backend can while they are made; None: in an
            array of the results alone
    fixed   whether nobody changes x, y and weight as long as they are there: rows of a data set, which may be sent to a device once
    """

    x: Array | Resident
    y: Array
    order: Array
    values: Array
    words: Array
    weight: Array = field(default_factory=lambda: np.zeros(0))
    affine: Array | None = None
    x_order: Array | None = None
    done: Array | None = None
    fixed: bool = False

    @property
    def pairs(self) -> Array:
        """`affine` as [K or 1, P, 2, numbers of a row of x]; no pairs where there is none."""
        if self.affine is None:
            return np.zeros((1, 0, 2, math.prod(self.x.shape[1:])))
        return self.affine if self.affine.ndim == 4 else self.affine[None]

    def rows_of(self, source: str) -> Array:
        """The row numbers [K, S, B] that a gather of `source` takes."""
        return self.x_order if source == "x" and self.x_order is not None else self.order


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """outputs: name -> [K, S, ...]; done: int64 [K], the steps each trial completed before it stopped."""

    outputs: Mapping[str, Array]
    done: Array


class Memory(Protocol):
    """The state of K trials."""

    trials: int

    def read(self, trial: int, name: str) -> Array:
        """A host copy of the state tensor `name` of `trial`, [*shape] of its buffer."""

    def write(self, trial: int, name: str, value: Array) -> None:
        """Overwrites the state tensor `name` of `trial`, [*shape] of its buffer."""

    def part(self, first: int, count: int) -> Memory:
        """The memory of trials first, first + 1, ... of this one: the same bytes, no copy."""

    def move(self, source: int, target: int) -> None:
        """Overwrites the state of trial `target` with that of `source`."""


class Executable(Protocol):
    """A plan made ready to run."""

    def run(self, memory: Any, feed: Feed) -> Results:
        """Runs the plan for every trial and step of the feed."""

    def again(self, memory: Any, feed: Feed, x: Array, output: str) -> Array:
        """`output` [K, S, ...] of a plan without a guard for `feed`, the same one call after call, but for other rows x [rows, ...]."""

    def source(self) -> str:
        """The generated program as text, for a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a graph is made ready for by the passes.

    keeps       the composite ops that the backend has kernels of its own for, so that they are not decomposed
    fuses       whether element-wise chains become single kernels
    joins       the products that may go on in such a kernel
    recomputes  whether the backward half makes cheap values again instead of keeping them
    """

    keeps: frozenset[str] = frozenset()
    fuses: bool = False
    joins: frozenset[str] = frozenset()
    recomputes: bool = False


class Backend(Protocol):
    """name: for tables; target: what the passes make of a graph for it."""

    name: str
    target: Target

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> Any:
        """Zeroed memory for the state of `trials` trials."""

    def load(self, plan: Plan) -> Executable:
        """Compiles `plan`."""

    def scratch_bytes(self, plan: Plan) -> int | None:
        """What a run of one trial of `plan` takes beside state and work; None where an array library takes memory as it goes."""

    def free_bytes(self) -> int | None:
        """What a device with memory of its own has left; None for a backend in the memory of the machine."""

    def borrow(self, x: Any, precision: str) -> Resident | None:
        """x [...] where it lies, if that is this backend's device and its type one that a plan of `precision` gathers from; else None."""
