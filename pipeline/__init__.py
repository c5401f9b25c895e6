"""A laboratory for training neural networks; the names below are its Python interface, loaded when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import compile, compose, load, plot, stack, sweep, train

__all__ = ["compile", "compose", "load", "plot", "stack", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("pipeline.api"), name)
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The names that a notebook completes."""
    return sorted(__all__)
