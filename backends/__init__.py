"""The backends by name, each imported only when it is asked for.

`backends/` is a leaf: it imports nothing from `pipeline/`.  Every backend is a package with `create(threads) -> Backend`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal, cast

from backends.contract import Backend, Plan

KINDS = ("numpy", "reference", "cupy")


class Unavailable(Exception):
    """A backend that cannot run on this machine: `kind`, the `reason`, and the `hint` that says what to do."""

    def __init__(self, *, kind: str, reason: str, hint: str) -> None:
        self.kind, self.reason, self.hint = kind, reason, hint
        super().__init__(f"backend.kind = {kind}: {reason}; {hint}")


def choose(kind: str, plan: Callable[[], Plan] | None = None, trials: int = 1) -> tuple[str, str]:
    """The backend that `kind` stands for, and why.

    auto is numpy without a GPU; with one it is whichever takes less for a step of `trials` trials of the training's `plan`, by the model of
    `backends/cost.py`.  Any other kind is itself; it never falls back to another.  plan: None for who only asks how auto chooses.
    Raises Unavailable for cupy on a machine that cannot run it.
    """
    assert kind in (*KINDS, "auto"), f"unknown backend {kind}"
    if kind not in ("auto", "cupy"):
        return kind, "asked for by name"
    from backends.cupy.probe import available  # noqa: PLC0415  # only who asks for a GPU needs the package

    usable, reason = available()
    if kind == "cupy":
        if not usable:
            raise Unavailable(kind="cupy", reason=reason, hint="use numpy")
        return "cupy", f"asked for by name: {reason}"
    if not usable:
        return "numpy", f"no usable GPU: {reason}"
    if plan is None:
        return "numpy", f"or cupy, on {reason}, where a model of the cost of a step says that it is faster there"
    return _faster(plan(), trials)


def _faster(plan: Plan, trials: int) -> tuple[str, str]:
    """The backend that takes less for a step, and what each takes by the model."""
    from backends import cost  # noqa: PLC0415  # imports the contract, and with it NumPy
    from backends.cupy import create  # noqa: PLC0415  # only who asks for a GPU needs the package
    from backends.numpy.machine import processor  # noqa: PLC0415  # of the NumPy backend alone

    cpu, gpu = cost.processor(processor.usable_cores(), processor.host().vector_bytes), create()
    machine = gpu.device.machine()
    try:
        there = gpu.seconds(plan, trials)
    except Unavailable as error:
        return "numpy", f"auto: no cupy, {error.reason}"
    here, steps = cost.seconds(plan, trials, cpu), f"a step of {trials} trials" if trials > 1 else "a step"
    times = f"{1e6 * here:,.0f} us on {cpu.name}, {1e6 * there:,.0f} us on {machine.name}"
    said = f"auto: {steps} is estimated at {times}{'' if machine.measured else ', a model that was measured on no GPU'}"
    return ("cupy" if there < here else "numpy"), said


def step_seconds(plan: Plan, trials: int) -> float:
    """How long a step of `plan` for so many trials takes with the NumPy backend on the cores of this process, by the model of its cost."""
    from backends import cost  # noqa: PLC0415  # imports the contract, and with it NumPy
    from backends.numpy.machine import processor  # noqa: PLC0415  # of the NumPy backend alone

    return cost.seconds(plan, trials, cost.processor(processor.usable_cores(), processor.host().vector_bytes))


def crowded(kind: str, threads: int | Literal["auto"]) -> str:
    """What to tell who asks `kind`, a name of KINDS, for more threads than there are cores for them; empty where all is well."""
    if kind != "numpy" or threads == "auto":
        return ""
    from backends.numpy.machine.processor import usable_cores  # noqa: PLC0415  # of this backend alone

    cores = usable_cores()
    said = f"backend.threads = {threads}, and this process may use {cores} core{'s' if cores > 1 else ''}: the others only wait for them"
    return said if threads > cores else ""


def load(kind: str, *, threads: int | Literal["auto"] = "auto", capture: bool = True) -> Backend:
    """The backend of `kind` (numpy, reference, cupy or auto).  Raises Unavailable with the reason when it cannot run here.

    capture: whether cupy records its steps as graphs; else it launches each kernel by itself, which is slower and easier to follow.
    """
    chosen, _ = choose(kind)
    package = importlib.import_module(f"backends.{chosen}")
    own = {"captured": capture} if chosen == "cupy" else {}
    return cast(Backend, package.create(threads=threads, **own))


def described() -> Backend:
    """The CuPy backend for a reader, on a machine that cannot run it: its programs are text."""
    from backends.cupy import CupyBackend  # noqa: PLC0415  # only who asks for it
    from backends.cupy.absent import AbsentDevice  # noqa: PLC0415

    return CupyBackend(AbsentDevice())
