"""How each contender does a workload: a function that makes `run(first, steps)`, `steps` steps or calls from batch number `first`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from benchmarks.workloads import Workload

Run = Callable[[int, int], Any]


def caviar(w: Workload) -> Run:
    """This project."""
    from benchmarks.contenders.own import run_of

    return run_of(w)


def torch(w: Workload) -> Run:
    """PyTorch, eager, fused optimizer, NCHW; trials one after the other."""
    from benchmarks.contenders.with_torch import run_of

    return run_of(w)


def torch_channels_last(w: Workload) -> Run:
    """PyTorch, eager, images and weights channels last."""
    from benchmarks.contenders.with_torch import run_of

    return run_of(w, channels_last=True)


def torch_compile(w: Workload) -> Run:
    """PyTorch with forward half and loss under torch.compile."""
    from benchmarks.contenders.with_torch import run_of

    return run_of(w, compiled=True)


def jax(w: Workload) -> Run:
    """JAX: the whole step under jit with donated buffers; trials under vmap."""
    from benchmarks.contenders.with_jax import run_of

    return run_of(w)


def sklearn(w: Workload) -> Run:
    """scikit-learn: MLPClassifier step by step; SGDClassifier over all rows in one call."""
    from benchmarks.contenders.with_sklearn import run_of

    return run_of(w)


def sklearn_minibatches(w: Workload) -> Run:
    """scikit-learn's SGDClassifier, a call for each minibatch."""
    from benchmarks.contenders.with_sklearn import run_of

    return run_of(w, minibatches=True)


CONTENDERS: dict[str, Callable[[Workload], Run]] = {
    made.__name__: made for made in (caviar, torch, torch_channels_last, torch_compile, jax, sklearn, sklearn_minibatches)
}
# contender -> the module it needs and the package that brings it
NEEDS = {
    "caviar": ("numpy", "numpy"),
    **dict.fromkeys(("torch", "torch_channels_last", "torch_compile"), ("torch", "torch")),
    "jax": ("jax", "jax"),
    **dict.fromkeys(("sklearn", "sklearn_minibatches"), ("sklearn", "scikit-learn")),
}


def missing(contender: str) -> str | None:
    """Why `contender` cannot take part, or None."""
    module, package = NEEDS[contender]
    return None if importlib.util.find_spec(module) else f"{package} is not installed; `make bench` or `pip install '.[peers]'` brings it"
