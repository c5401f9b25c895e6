"""The oracle: plain NumPy in float64, op by op.  It shares no kernel with the other backends."""

from __future__ import annotations

from typing import Any, Literal

from backends.contract import Buffer, Plan, Target
from backends.reference.arena import Memory
from backends.reference.executor import Executable


class ReferenceBackend:
    """Runs a plan call by call in float64, also a plan of float32 precision.  Composites have kernels of their own; nothing is fused."""

    name = "reference"
    target = Target(keeps=frozenset({"batch_norm", "softmax_cross_entropy", "softplus", "standardize"}))

    def allocate(self, state: tuple[Buffer, ...], trials: int) -> Memory:
        """Zeroed memory for the state of `trials` trials."""
        return Memory(state, trials)

    def load(self, plan: Plan) -> Executable:
        """`plan` made ready to run."""
        return Executable(plan)

    def scratch_bytes(self, plan: Plan) -> None:
        """Unknown: each operation makes arrays of its own."""

    def free_bytes(self) -> None:
        """The memory of the machine."""

    def borrow(self, x: Any, precision: str) -> None:
        """The memory of the machine is all there is: no x [...] lies elsewhere."""


def create(*, threads: int | Literal["auto"] = "auto") -> ReferenceBackend:
    """The reference backend; it runs on one thread whatever `threads` says."""
    return ReferenceBackend()
