"""The Python interface under the product's own name: `import caviar` is `import pipeline`, for those who have a `pipeline` of their own.

    import caviar
    result = caviar.train(caviar.compose(["+experiment=bn"]))

`caviar.X` is `pipeline.X` for each X of `pipeline.__all__`; `python -m caviar` is `python -m pipeline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pipeline

if TYPE_CHECKING:
    from pipeline import compile, compose, load, plot, stack, sweep, train

__all__ = ["compile", "compose", "load", "plot", "stack", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(pipeline, name)
    raise AttributeError(f"module 'caviar' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The names that a notebook completes."""
    return sorted(__all__)
