"""Classes written as one-hot rows: [0, 1, 0] for class 1 of three."""

# N rows, C classes
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def one_hot(y: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each row of y [N, C] holds a single 1 among zeros -> bool [N]."""
    rows: npt.NDArray[np.bool_] = np.all((y == 0) | (y == 1), axis=1) & (np.sum(y == 1, axis=1) == 1)
    return rows
