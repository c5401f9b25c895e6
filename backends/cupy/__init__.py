"""The CuPy backend: the plan as CUDA C, one launch a phase, all trials at once, many steps a graph; the bits are the NumPy backend's.

Its kernels are run on the CPU, in the tests, and compiled for GPUs; none of it has been run on a device yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from backends import Unavailable, cost
from backends.contract import ALIGNMENT, Buffer, Plan, Resident, Target
from backends.cupy.device import Device
from backends.cupy.executor import MOST_STEPS, Executable, arena_sizes
from backends.cupy.memory import Memory
from backends.cupy.source.body import Refused
from backends.cupy.source.program import forms, program

MOST_TRIALS = 2**16 - 1  # blocks of the second axis of a launch


class CupyBackend:
    """Plans on `device`; captured: steps run as graphs (see `Executable`)."""

    name = "cupy"
    target = Target(fuses=True, joins=frozenset({"matmul", "conv", "conv_data_gradient"}))  # as the NumPy backend: the same plan

    def __init__(self, device: Device, *, captured: bool = True) -> None:
        self.device, self.captured = device, captured

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> Memory:
        """Zeroed memory on the device for the state of `trials` trials.  Raises Unavailable for more than a launch has room for."""
        if trials > MOST_TRIALS:
            hint = f"use at most {MOST_TRIALS:,} trials in a stack"
            raise Unavailable(kind="cupy", reason=f"a launch has no room for {trials:,} trials", hint=hint)
        return Memory(self.device, state, trials)

    def load(self, plan: Plan) -> Executable:
        """`plan` compiled.  Raises Unavailable where no source is made for one of its ops."""
        with _refusals():
            return Executable(self.device, plan, captured=self.captured)

    def scratch_bytes(self, plan: Plan) -> int:
        """What a run of one trial takes beside state and work: tables and rings of MOST_STEPS, rooms of kernels.  Raises Unavailable."""
        with _refusals():
            sizes = arena_sizes(plan, program(plan), 1, MOST_STEPS)
        return sum(sizes.values()) - plan.work_bytes

    def seconds(self, plan: Plan, trials: int) -> float:
        """A step of `plan`, by the model of `backends/cost.py`.  Raises Unavailable."""
        with _refusals():
            made = program(plan)
        return cost.seconds(plan, trials, self.device.machine(), lambda number: made.blocks[number])

    def borrow(self, x: Any, precision: str) -> Resident | None:
        """x [...] where it lies on the device; None for one of the host, and for types that no gather knows.  Raises Unavailable."""
        if not (hasattr(x, "__cuda_array_interface__") or hasattr(x, "__dlpack_device__")):
            return None
        there = self.device.borrow(x)
        return there if there is not None and there.dtype in forms(precision) else None

    def not_finite(self, x: Resident) -> tuple[int, ...] | None:
        """The place of the first number of x [...] that is not finite; None without one."""
        return self.device.first_not_finite(x)

    def room(self, shape: tuple[int, ...], dtype: str) -> Resident:
        """A new array [...] of zeros on the device."""
        room = self.device.allocate(max(ALIGNMENT, math.prod(shape) * np.dtype(dtype).itemsize))
        return Resident(address=room.address, shape=shape, dtype=dtype, owner=room)

    def free_bytes(self) -> int | None:
        """Of the device."""
        return self.device.free()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Unavailable(kind="cupy", reason=str(refused), hint="use numpy") from None


def create(*, threads: int | Literal["auto"] = "auto", captured: bool = True) -> CupyBackend:
    """The CuPy backend on the current device; `threads` concerns the host and is not used."""
    from backends.cupy.cuda import CudaDevice  # noqa: PLC0415  # imports cupy, an optional heavy dependency

    return CupyBackend(CudaDevice(), captured=captured)


__all__ = ["CupyBackend", "create"]
