"""Whether it is the same computation: losses of ours and of the timed peers from the same weights over the same rows, without dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.contenders import missing
from benchmarks.machine import stamp
from benchmarks.workloads import WORKLOADS, Workload

LIMIT = 1e-3
STEPS = 100
# the peers that are compared; in a residual net float32's rounding grows so fast that only float64 can show many steps to be the same
COMPARED: dict[str, tuple[int, tuple[str, ...]]] = {
    "mlp": (STEPS, ("torch", "jax")),
    "mlp_plain": (STEPS, ("torch", "jax")),
    "cnn": (STEPS, ("torch", "jax")),
    "logistic": (STEPS, ("torch",)),
    "resnet20": (5, ("torch",)),
    "resnet20_float64": (STEPS, ("torch",)),
}
CHANGED: dict[str, dict[str, Any]] = {"resnet20_float64": {"precision": "float64", "batch": 8}}  # PyTorch's float64 is slow: few rows


def workload_of(name: str, **changes: Any) -> Workload:
    """The workload without dropout, over rows that come once and can be learned: learning noise by heart makes a last bit large."""
    known = {"dropout": False, "learnable": True, "batches": COMPARED[name][0], **CHANGED.get(name, {})}
    return replace(WORKLOADS[name.removesuffix("_float64")], **{**known, **changes})


def losses_of(peer: str) -> Callable[[Workload, Mapping[str, Any], int], list[float]]:
    """The function of `peer` that trains and gives the loss before each step."""
    if peer == "torch":
        from benchmarks.contenders.with_torch import losses
    else:
        from benchmarks.contenders.with_jax import losses
    return losses


def agreement(name: str, peers: tuple[str, ...] | None = None, steps: int | None = None, **changes: Any) -> dict[str, Any]:
    """Losses of ours and of each peer that is installed, and how far they are apart.

    apart     peer -> the most of all steps
    last_bit  the same between ours and ours from weights changed by one unit in the last place: what rounding alone can make of it
    """
    from benchmarks.contenders import own

    most, compared = COMPARED[name]
    w, steps = workload_of(name, **changes), steps or most
    parameters = own.program(w).parameters()
    ours = own.losses(w, parameters, steps)
    nudged = own.losses(w, {key: np.nextafter(value, value.dtype.type(np.inf)) for key, value in parameters.items()}, steps)
    there = [peer for peer in peers or compared if not missing(peer)]
    theirs = {peer: losses_of(peer)(w, parameters, steps) for peer in there}
    return {
        **stamp(there),
        "steps": steps,
        "limit": LIMIT,
        "losses": {"caviar": ours, **theirs},
        "apart": {peer: apart(ours, losses) for peer, losses in theirs.items()},
        "last_bit": apart(ours, nudged),
        "skipped": {peer: reason for peer in peers or compared if (reason := missing(peer))},
    }


def apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest |ours - theirs|, in the units of the loss; infinite where one is not a number."""
    distance = np.abs(np.subtract(ours, theirs))
    return float(np.max(np.where(np.isnan(distance), np.inf, distance)))
