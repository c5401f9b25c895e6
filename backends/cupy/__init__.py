"""The CuPy backend: the plan as CUDA C, one launch a phase, all trials at once, many steps a graph; the bits are the NumPy backend's.

Its kernels are run on the CPU, in the tests, and compiled for GPUs; none of it has been run on a device yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from backends import Unavailable
from backends.contract import Buffer, Plan, Target
from backends.cupy.device import Device
from backends.cupy.executor import GRAPH_STEPS, Executable, arena_sizes
from backends.cupy.memory import Memory
from backends.cupy.source.body import Refused
from backends.cupy.source.program import program

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
        """What a run of one trial takes beside state and work: tables and rings of some steps, rooms of kernels.  Raises Unavailable."""
        with _refusals():
            sizes = arena_sizes(plan, program(plan), 1, GRAPH_STEPS)
        return sum(sizes.values()) - plan.work_bytes

    def free_bytes(self) -> int | None:
        """Of the device."""
        return self.device.free()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Unavailable(kind="cupy", reason=str(refused), hint="use numpy") from None


def create(*, threads: int | Literal["auto"] = "auto") -> CupyBackend:
    """The CuPy backend on the current device; `threads` concerns the host and is not used."""
    from backends.cupy.cuda import CudaDevice  # noqa: PLC0415  # imports cupy, an optional heavy dependency

    return CupyBackend(CudaDevice())


__all__ = ["CupyBackend", "create"]
