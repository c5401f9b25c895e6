"""Preprocessing: steps fitted on the training part, in float64, and applied wherever x enters the program.

settings (what is asked) -> statistics, affine, rotation (one family of steps a file) -> steps (their table) -> fitted.
"""

from __future__ import annotations

from pipeline.preprocessing.fitted import Fitted, fit
from pipeline.preprocessing.settings import Preprocessing, shape_without_data
from pipeline.preprocessing.steps import STEPS

__all__ = ["STEPS", "Fitted", "Preprocessing", "fit", "shape_without_data"]
