"""The backends by name, each imported only when it is asked for.

`backends/` is a leaf: it imports nothing from `pipeline/`.  Every backend is a package with `create(threads) -> Backend`.
"""

from __future__ import annotations

import importlib
from typing import Literal, cast

from backends.contract import Backend

KINDS = ("numpy", "reference", "cupy")


class Unavailable(Exception):
    """A backend that cannot run on this machine: `kind`, the `reason`, and the `hint` that says what to do."""

    def __init__(self, *, kind: str, reason: str, hint: str) -> None:
        self.kind, self.reason, self.hint = kind, reason, hint
        super().__init__(f"backend.kind = {kind}: {reason}; {hint}")


def choose(kind: str) -> tuple[str, str]:
    """The backend that `kind` stands for, and why.

    auto is numpy, and says what a GPU would change: how long a step takes on one has not been measured, and what a step costs there,
    a launch for each phase of the plan, may be more than a small network costs the CPU.  Any other kind is itself; it never falls back
    to another.  Raises Unavailable for cupy on a machine that cannot run it.
    """
    assert kind in (*KINDS, "auto"), f"unknown backend {kind}"
    if kind not in ("auto", "cupy"):
        return kind, "asked for by name"
    from backends.cupy.probe import available  # noqa: PLC0415  # only who asks for a GPU needs the package

    usable, reason = available()
    if kind == "auto":
        return "numpy", f"a GPU is here, {reason}, unmeasured: backend=cupy takes it" if usable else f"no usable GPU: {reason}"
    if not usable:
        raise Unavailable(kind="cupy", reason=reason, hint="use numpy")
    return "cupy", f"asked for by name: {reason}"


def crowded(kind: str, threads: int | Literal["auto"]) -> str:
    """What to tell who asks `kind`, a name of KINDS, for more threads than there are cores for them; empty where all is well."""
    if kind != "numpy" or threads == "auto":
        return ""
    from backends.numpy.machine.processor import usable_cores  # noqa: PLC0415  # of this backend alone

    cores = usable_cores()
    said = f"backend.threads = {threads}, and this process may use {cores} core{'s' if cores > 1 else ''}: the others only wait for them"
    return said if threads > cores else ""


def load(kind: str, *, threads: int | Literal["auto"] = "auto") -> Backend:
    """The backend of `kind` (numpy, reference, cupy or auto).  Raises Unavailable with the reason when it cannot run here."""
    chosen, _ = choose(kind)
    package = importlib.import_module(f"backends.{chosen}")
    return cast(Backend, package.create(threads=threads))


def described() -> Backend:
    """The CuPy backend for a reader, on a machine that cannot run it: its programs are text."""
    from backends.cupy import CupyBackend  # noqa: PLC0415  # only who asks for it
    from backends.cupy.absent import AbsentDevice  # noqa: PLC0415

    return CupyBackend(AbsentDevice())
