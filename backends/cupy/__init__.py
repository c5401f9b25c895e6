"""The plan run call by call on CuPy arrays: the debugging mode of the GPU backend.

Written against an array namespace `xp`, so that the tests run every line of it under NumPy.
It has not been run on a GPU yet; nothing is claimed here of its speed or of the device's rounding.
"""

from __future__ import annotations

from typing import Any, Literal

from backends.contract import Buffer, Plan, Target
from backends.cupy.arena import Memory
from backends.cupy.executor import Executable


class CupyBackend:
    """Runs the fused plan op by op; `xp` is the module `cupy`, or `numpy` to run the same code on the host."""

    name = "cupy"
    target = Target(fuses=True)

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> Memory:
        """Zeroed memory on the device for the state of `trials` trials."""
        return Memory(self.xp, state, trials)

    def load(self, plan: Plan) -> Executable:
        """`plan` made ready to run."""
        return Executable(self.xp, plan)

    def scratch_bytes(self, plan: Plan) -> None:
        """Unknown: each operation makes arrays of its own."""


def create(*, threads: int | Literal["auto"] = "auto") -> CupyBackend:
    """The CuPy backend on the current device; `threads` concerns the host and is not used."""
    import cupy  # noqa: PLC0415  # an optional heavy dependency: only who asks for this backend needs it

    return CupyBackend(cupy)
