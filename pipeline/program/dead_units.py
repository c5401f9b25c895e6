"""Dead units: those whose activation gives one value for every row, so that no gradient reaches what is before them."""

# N rows, C units of a dense layer or channels of an image
from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.layers.part import Activation
from pipeline.program.model import Model
from pipeline.program.program import Program

ROWS, BLOCK = 2000, 250


def shown_rows(count: int) -> int:
    """How many of `count` rows are looked at."""
    return min(count, ROWS)


def dead_units(program: Program | Model, x: Any) -> dict[str, tuple[int, int]]:
    """x [N, ...] as the program takes it -> layer of an activation -> (how many of its units are dead, how many it has).

    At most ROWS rows are looked at, evenly over x.  A channel of an image is dead when it has one value in all places of all rows.
    """
    rows = np.linspace(0, len(x) - 1, shown_rows(len(x))).astype(np.int64)
    block = min(BLOCK, len(rows))
    names = [node.name for node in program.structure.network.nodes if isinstance(node.record, Activation)]
    if not names or len(rows) < 2:
        return {}
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    for start in range(0, len(rows), block):
        first = min(start, len(rows) - block)  # blocks of one size: one program
        values = program.layer_values(x[rows[first : first + block]])
        for name in names:
            units = values[name].reshape(-1, values[name].shape[-1])
            least[name] = np.minimum(least.get(name, np.inf), units.min(axis=0))
            most[name] = np.maximum(most.get(name, -np.inf), units.max(axis=0))
    return {name: (int(np.sum(least[name] == most[name])), len(least[name])) for name in names}
